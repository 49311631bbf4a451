"""Operators that join several flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.core import boundaries
from penstock.operators.attach import attach, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow

__all__ = ["concat", "merge"]

T = TypeVar("T")


def concat(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Continue with the items of ``others``; each begins when the one before has completed."""
    nodes = tuple(node_of("what concat continues with", other) for other in others)
    return attach(lambda node: boundaries.Concat(inputs=(node, *nodes)))


def merge(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of all flows as they come; the order within each is kept, and none starves.

    The first error ends the whole.
    """
    nodes = tuple(node_of("what merge joins", other) for other in others)
    return attach(lambda node: boundaries.Merge(inputs=(node, *nodes)))
