"""``Stream``, the base of ``Flow``, and the table of which node is described by which class of flow.

``Flow`` has a method for each operator, so it imports the operators; they must return flows without importing
it. Therefore ``penstock.flow`` registers its classes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from aioreactive import AsyncObservable

from penstock.errors import GraphError
from penstock.runtime.arguments import assembled_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Node

T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S", bound="type[Stream[Any]]")

_KINDS: dict[type[Node], type[Stream[Any]]] = {}


class Stream(AsyncObservable[T_co]):
    """The root node of a graph; the base of ``Flow``, never used alone."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def _flow(self) -> Flow[T_co]:
        """This object, typed as the ``Flow`` that operators take."""
        return cast("Flow[T_co]", self)


def describes(*kinds: type) -> Callable[[S], S]:
    """Register a class of flows for these types of nodes and their subclasses; for ``penstock.flow``."""

    def register(flow: S) -> S:
        _KINDS.update(dict.fromkeys(kinds, flow))
        return flow

    return register


def flow_of(node: Node) -> Flow[Any]:
    """Return the flow that ``node`` describes: a ``Flow``, or the class registered for its type."""
    kind = next(_KINDS[base] for base in type(node).__mro__ if base in _KINDS)
    return cast("Flow[Any]", kind(node))


def node_of(who: str, flow: object) -> Node:
    """Return the node of a flow.

    Raises:
        GraphError: ``flow`` is not a flow; the message begins with ``who``.
    """
    if not isinstance(flow, Stream):
        msg = (
            f"{who} must be a Flow, not {type(flow).__name__}, at {assembled_at()}. "
            "Begin with from_iterable(...), or from_observable(...) for an aioreactive observable."
        )
        raise GraphError(msg)
    return flow.node


def attach(make: Callable[[Node], Node]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Return an operator: it takes a flow and returns the flow of ``make(node)``."""

    def step(flow: Flow[Any], /) -> Flow[Any]:
        return flow_of(make(node_of("the input of an operator", flow)))

    return step
