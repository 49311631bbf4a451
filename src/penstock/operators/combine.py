"""Operators that join several flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.core import boundaries
from penstock.operators.attach import attach

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow

__all__ = ["concat", "merge"]

T = TypeVar("T")


def concat(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Continue with the items of ``others``; each begins when the one before has completed."""
    return attach(lambda node: boundaries.Concat(inputs=(node, *(other.node for other in others))))


def merge(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of all flows as they come; the order within each is kept, and none starves.

    The first error ends the whole.
    """
    return attach(lambda node: boundaries.Merge(inputs=(node, *(other.node for other in others))))
