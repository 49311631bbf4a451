"""Helpers for writing an operator: ``attach`` its node to a flow, and get the nodes of its arguments."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from penstock.runtime.stream import Stream, attach, building, node_of
from penstock.sources.from_async_iterable import from_async_iterable
from penstock.sources.from_iterable import from_iterable

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node

__all__ = ["Alone", "Joinable", "Same", "attach", "building", "joined", "nodes_of"]

T = TypeVar("T")

Joinable: TypeAlias = "Flow[T] | AsyncIterable[T] | Iterable[T]"
"""What operators join with their input: a flow, or an iterable of any kind."""

Alone: TypeAlias = "Flow[T] | AsyncIterable[T]"
"""What a join of many takes as its only argument: an iterable would be one of flows."""


class Same(Protocol):
    """An operator that does not change the type of items."""

    def __call__(self, flow: Flow[T], /) -> Flow[T]:
        """Apply the operator to a flow."""
        ...


def nodes_of(operator: str, others: Iterable[object]) -> tuple[Node, ...]:
    """Return the nodes of what ``operator`` joins with its input: flows, or iterables of any kind."""
    return tuple(joined(f"each argument of {operator}", other) for other in others)


def joined(who: str, other: object) -> Node:
    """Return the node of a flow, of an iterable or of an async iterable.

    Raises:
        GraphError: ``other`` is none of them, or a string, which is rarely meant as a flow of its characters.
    """
    if not isinstance(other, Stream | str | bytes | bytearray):
        if isinstance(other, AsyncIterable):
            return node_of(who, from_async_iterable(other))
        if isinstance(other, Iterable):
            return node_of(who, from_iterable(other))
    return node_of(who, other)
