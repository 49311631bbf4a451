"""Operators that change how many items there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from penstock.core import elements
from penstock.core.node import positive
from penstock.operators.attach import attach, function_for

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Same

__all__ = ["batch", "flat_map", "skip", "skip_while", "take", "take_while"]

T = TypeVar("T")
U = TypeVar("U")


def flat_map(
    function: Callable[[T], Iterable[U]], *, name: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into the items of the iterable ``function(item)``, which may be lazy.

    A position counts the expansions of the item being expanded, so ``function`` must give the same
    ones again for a run to resume inside it.
    """
    function_for("flat_map", function)
    return attach(lambda node: elements.FlatMap(inputs=(node,), function=function, name=name))


def take(count: int) -> Same:
    """Complete after ``count`` items, and ask for no more than those; ``take(0)`` asks for nothing."""
    positive("take", "count", count, least=0)
    return attach(lambda node: elements.Take(inputs=(node,), number=count))


def take_while(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Complete before the first item for which ``function(item)`` is false."""
    function_for("take_while", function)
    return attach(lambda node: elements.TakeWhile(inputs=(node,), function=function))


def skip(count: int) -> Same:
    """Drop the first ``count`` items."""
    positive("skip", "count", count, least=0)
    return attach(lambda node: elements.Skip(inputs=(node,), number=count))


def skip_while(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Drop items up to the first for which ``function(item)`` is false; keep that one and all after it."""
    function_for("skip_while", function)
    return attach(lambda node: elements.SkipWhile(inputs=(node,), function=function))


class Batched:
    """What ``batch`` returns: generic in the item."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, flow: Flow[T], /) -> Flow[list[T]]:
        """Attach it to a flow."""
        return attach(lambda node: elements.Batch(inputs=(node,), number=self._size))(flow)


def batch(size: int) -> Batched:
    """Gather lists of ``size`` items; the last may be shorter.

    A position stands before the first item of an unfinished list, so nothing of it is stored. When
    upstream fails, the unfinished list is not delivered: a resumed run reads its items again.
    """
    positive("batch", "size", size)
    return Batched(size)
