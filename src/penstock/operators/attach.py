"""How an operator is put behind a flow."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.runtime.stream import flow_of, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Node


__all__ = ["Lists", "Same", "attach"]

T = TypeVar("T")


def nodes_of(operator: str, others: tuple[object, ...]) -> tuple[Node, ...]:
    return tuple(node_of(f"what {operator} joins", other) for other in others)


def building(operator: str, function: Callable[[Any], object]) -> Callable[[Any], Node]:
    @wraps(function)  # pictures of the graph show its name
    def build(item: Any) -> Node:
        return node_of(f"what the function of {operator} returns", function(item))

    return build


class Same(Protocol):
    """An operator that leaves the type of items as it is, whatever it is."""

    def __call__(self, flow: Flow[T], /) -> Flow[T]:
        """Attach the operator to a flow."""
        ...


class Lists(Protocol):
    """An operator that gathers items into lists, whatever their type is."""

    def __call__(self, flow: Flow[T], /) -> Flow[list[T]]:
        """Attach the operator to a flow."""
        ...


def attach(make: Callable[[Node], Node]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Return the operator that puts the node ``make`` returns behind a flow's."""

    def step(flow: Flow[Any], /) -> Flow[Any]:
        return flow_of(make(node_of("what an operator is put behind", flow)))

    return step
