"""``Stream``, the base of ``Flow``, and the table of which node is described by which class of flow.

``Flow`` has a method for each operator, so it imports the operators; they must return flows without importing
it. Therefore ``penstock.flow`` registers its classes here.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aioreactive import AsyncObservable

from penstock.errors import GraphError
from penstock.runtime.arguments import assembled_at, at
from penstock.runtime.functions import plain_result

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
        """The last node of the graph, for code that writes operators."""

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
    kind = _KINDS.get(type(node))
    if kind is None:
        import_module("penstock.flow")  # it registers its classes
        kind = _KINDS[type(node)] = next(_KINDS[base] for base in type(node).__mro__ if base in _KINDS)
    return cast("Flow[Any]", kind(node))


def node_of(who: str, flow: object) -> Node:
    """Return the node of a flow.

    Raises:
        GraphError: ``flow`` is not a flow; the message begins with ``who``.
    """
    if isinstance(flow, Stream):
        return flow.node
    msg = f"{who} must be a Flow, not {type(flow).__name__}{at(before=', ')}. {advice_for(flow)}"
    raise GraphError(msg)


SUBSCRIBED = (
    "For an observable of RxPY, use create(lambda emitter: observable.subscribe(emitter.emit_threadsafe, "
    "emitter.fail, emitter.complete).dispose)."
)
"""How to make a flow of what has ``subscribe``, and is not of aioreactive."""


def advice_for(given: object) -> str:
    """Return how to make a flow of an object, for messages."""
    if isinstance(given, AsyncObservable):
        return "Wrap it: from_observable(...)."
    if callable(given):
        ours = (getattr(given, "__module__", None) or "").startswith("penstock.")
        uncalled = "Call it, or wrap it: from_iterable(f), from_async_iterable(f) or from_callable(f)."
        return "Apply the operator to a flow: flow | operator." if ours else uncalled
    if callable(getattr(type(given), "subscribe", None)):  # of RxPY; it can be awaited, too
        return SUBSCRIBED
    if hasattr(type(given), "__aiter__"):
        return "Wrap it: from_async_iterable(...)."
    return _advice_for_value(given)


def _advice_for_value(given: object) -> str:
    if isinstance(given, asyncio.Event):
        return "Wrap it: from_callable(event.wait)."
    if isinstance(given, int | float) and not isinstance(given, bool):
        return f"Wrap it: just({given!r}) for the item itself, or timer({given!r}) for a time in seconds."
    if inspect.isawaitable(given):
        return "Wrap it: from_future(...)."
    return "Wrap it: from_iterable(...) for its items, or just(...) for the object itself."


MAPPING = {"concat_map", "flat_map_merge", "switch_map", "exhaust_map"}
"""The operators that run one flow for each item: for lists there is ``flat_map``."""


def building(operator: str, function: Callable[..., object]) -> Callable[..., Node]:
    """Return ``function``, which must return a flow, as a function that returns the flow's node."""
    origin = assembled_at()

    @wraps(function)  # pictures of the graph show its name
    def build(*args: Any) -> Node:
        returned = function(*args)
        if isinstance(returned, Stream):
            return returned.node
        plain_result(returned, operator, origin)
        if isinstance(returned, list | tuple | set | dict) and operator in MAPPING:
            msg = (
                f"what the function of {operator} returns must be a Flow, not {type(returned).__name__}"
                f"{at(origin, ', ')}. Use flat_map, which takes iterables, or wrap it: from_iterable(...)."
            )
            raise GraphError(msg)
        return node_of(f"what the function of {operator} returns", returned)

    return build


def attach(make: Callable[[Node], Node]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Return an operator: it takes a flow and returns the flow of ``make(node)``."""
    operator = _operator_called()

    def step(flow: Flow[Any], /) -> Flow[Any]:
        return flow_of(make(node_of(f"the input of {operator}", flow)))

    return step


def _operator_called() -> str:
    """Return the name of the operator that calls ``attach``, perhaps through a helper of its family."""
    frame = sys._getframe(2)  # noqa: SLF001  as in ``assembled_at``
    name = frame.f_code.co_name
    while frame.f_globals.get("__name__", "").startswith("penstock.operators."):
        name = frame.f_code.co_name
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "an operator" if name.startswith("<") else name
