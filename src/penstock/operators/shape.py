"""Operators that change how many items there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from penstock.core import batching, elements, switching, windows
from penstock.core.node import assembled_at, positive
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for, node_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Lists, Same

__all__ = [
    "batch",
    "flat_map",
    "skip",
    "skip_last",
    "skip_while",
    "sliding",
    "split",
    "take",
    "take_last",
    "take_until",
    "take_while",
    "unbatch",
]

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


def batch(size: int, within: float | None = None) -> Lists:
    """Gather lists of ``size`` items; the last may be shorter.

    A position stands before the first item of an unfinished list, so nothing of it is stored. When
    upstream fails, the unfinished list is not delivered: a resumed run reads its items again. A run that
    is drained delivers it.

    Args:
        size: How many items a full list has.
        within: Seconds after which a list goes out as it is, counted from the arrival of its first item;
            never an empty one. Items are then gathered also while nobody asks, up to one full list, and
            the flow's order is *timed*.
    """
    positive("batch", "size", size)
    if within is None:
        return attach(lambda node: elements.Batch(inputs=(node,), number=size))
    positive("batch", "within", within, least=0, whole=False)
    return attach(lambda node: batching.BatchWithin(inputs=(node,), size=size, within=within))


def unbatch() -> Callable[[Flow[Iterable[T]]], Flow[T]]:
    """Turn each item, an iterable, into its items: ``flat_map`` without a function."""
    return attach(lambda node: elements.Unbatch(inputs=(node,), function=_itself))


def _itself(item: Iterable[T]) -> Iterable[T]:
    return item


def sliding(size: int, step: int = 1, *, partial: bool = False) -> Lists:
    """Gather lists of ``size`` consecutive items, each beginning ``step`` items behind the one before.

    A ``step`` smaller than ``size`` makes them overlap, a larger one leaves items out between them.

    Args:
        size: How many items a list has.
        step: How many items further the next list begins.
        partial: Whether the lists that the end cuts short are given, too: ``sliding(3, 2, partial=True)``
            of ``1 2 3 4`` is ``[1, 2, 3], [3, 4]``. Otherwise only full ones are.

    A position stands before the first item of the next list, so nothing of it is stored.
    """
    positive("sliding", "size", size)
    positive("sliding", "step", step)
    return attach(lambda node: windows.Sliding(inputs=(node,), size=size, step=step, partial=partial))


def skip_last(count: int) -> Same:
    """Drop the last ``count`` items; each item is given when ``count`` more have come.

    A position stands before the items that are held back, so nothing of them is stored.
    """
    positive("skip_last", "count", count, least=0)
    return attach(lambda node: windows.SkipLast(inputs=(node,), count=count))


def take_last(count: int) -> Same:
    """Give the last ``count`` items, or all if there are fewer, when the flow has completed.

    Nothing is given if it fails, or is drained before its end. A position stands before the first item
    that might be among the last, so nothing of them is stored; ``take_last(0)`` runs to the end for the
    effects along the way.
    """
    positive("take_last", "count", count, least=0)
    return attach(lambda node: windows.TakeLast(inputs=(node,), count=count))


def take_until(other: Flow[Any]) -> Same:
    """Complete when ``other`` gives an item, whatever the item is, and close both flows.

    An item that comes in the very moment in which ``other`` gives one is not delivered. An error of
    ``other`` is an error of the whole; that it completes without an item means nothing. A resumed run
    waits for ``other`` from where its own position says, so a timer starts anew.
    """
    signal = node_of("what take_until waits for", other)
    return attach(lambda node: switching.TakeUntil(inputs=(node, signal)))


def split(
    where: Callable[[T], object], *, keep: Literal["before", "after"] | None = None
) -> Callable[[Flow[T]], Flow[list[T]]]:
    """Gather lists of the items between separators: the items for which ``where(item)`` is true.

    Args:
        where: Says which items are separators; for a single value, ``lambda line: line == ""``.
        keep: What becomes of a separator. It is left out, and two in a row have an empty list between
            them; ``"before"`` puts it at the beginning of the list behind it, ``"after"`` at the end of
            the list before it, and then no list is empty.

    As with ``str.splitlines``, a separator at the very end begins no further, empty list. A list is as
    long as the items make it, so there is no bound on what is held: ``max_in_flight`` is infinite. A
    position stands before the first item of the unfinished list. A run that fails or is drained does not
    deliver that list.
    """
    function_for("split", where)
    if keep not in {None, "before", "after"}:
        msg = f"split(keep={keep!r}) at {assembled_at()}: keep is 'before', 'after' or None"
        raise GraphError(msg)
    return attach(lambda node: windows.Split(inputs=(node,), function=where, keep=keep))
