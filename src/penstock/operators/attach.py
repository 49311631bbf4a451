"""The one way in which operators are made: a function from flow to flow that adds a node."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.core.node import Order, assembled_at
from penstock.errors import GraphError
from penstock.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.node import Node

__all__ = ["Lists", "Same", "attach", "function_for", "node_of", "order_named"]

T = TypeVar("T")


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
        return Flow(make(node_of("what an operator is put behind", flow)))

    return step


def node_of(who: str, flow: object) -> Node:
    """Return the node of a flow, or refuse what is none."""
    if not isinstance(flow, Flow):
        msg = (
            f"{who} must be a Flow, not {type(flow).__name__}, at {assembled_at()}. "
            "Begin with from_iterable(...), or from_observable(...) for an aioreactive observable."
        )
        raise GraphError(msg)
    return flow.node


def function_for(operator: str, function: object, *, asynchronous: bool = False) -> None:
    """Refuse what cannot be called, and an async function where a plain one is wanted."""
    if not callable(function):
        msg = (
            f"{operator} takes a function, not {type(function).__name__} ({function!r}), at {assembled_at()}"
        )
        raise GraphError(msg)
    if not asynchronous and inspect.iscoroutinefunction(function):
        name = getattr(function, "__name__", repr(function))
        msg = (
            f"{operator}({name}) at {assembled_at()}: {name} is async, and {operator} does not await. "
            f"Use map_async({name}) instead."
        )
        raise GraphError(msg)


def order_named(operator: str, order: str) -> Order:
    """Return the order of that name, or refuse it while the graph is built."""
    try:
        return Order(order)
    except ValueError:
        known = ", ".join(repr(each.value) for each in Order)
        msg = f"{operator}(order={order!r}) at {assembled_at()}: order is one of {known}"
        raise GraphError(msg) from None
