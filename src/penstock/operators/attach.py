"""Helpers for writing an operator: ``attach`` its node to a flow, and get the nodes of its arguments."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.runtime.stream import attach as attach  # noqa: PLC0414  operators import it from here
from penstock.runtime.stream import node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Node

T = TypeVar("T")


class Same(Protocol):
    """An operator that does not change the type of items."""

    def __call__(self, flow: Flow[T], /) -> Flow[T]:
        """Apply the operator to a flow."""
        ...


def nodes_of(operator: str, others: tuple[object, ...]) -> tuple[Node, ...]:
    """Return the nodes of the flows that ``operator`` joins with its input."""
    return tuple(node_of(f"each argument of {operator}", other) for other in others)


def building(operator: str, function: Callable[[Any], object]) -> Callable[[Any], Node]:
    """Return ``function``, which must return a flow, as a function that returns the flow's node."""

    @wraps(function)  # pictures of the graph show its name
    def build(item: Any) -> Node:
        return node_of(f"what the function of {operator} returns", function(item))

    return build
