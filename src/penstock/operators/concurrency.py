"""Operators that let work overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.core import boundaries, concurrent
from penstock.core.node import positive
from penstock.core.overflow import LimitRate, LossyBuffer, Overflow, Prefetch, strategy
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.core.overflow import OverflowName
    from penstock.flow import Flow
    from penstock.operators.attach import Same

__all__ = ["buffer", "limit_rate", "map_async", "prefetch"]

T = TypeVar("T")
U = TypeVar("U")

WINDOWS = 4
"""The default window, in multiples of the concurrency."""


def map_async(
    function: Callable[[T], Awaitable[U]],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into ``await function(item)``, ``concurrency`` of them at a time.

    Args:
        function: An async function.
        concurrency: How many calls may be under way at once.
        ordered: Whether results keep the order of their inputs; otherwise they come as they complete.
        window: How many inputs may be taken from upstream and not delivered yet; four times the
            concurrency by default. A larger one keeps the workers busy behind a slow input.
    """
    function_for("map_async", function, asynchronous=True)
    positive("map_async", "concurrency", concurrency)
    window = concurrency * WINDOWS if window is None else window
    positive("map_async", "window", window)
    if window < concurrency:
        msg = f"map_async(concurrency={concurrency}, window={window}): the window must hold what is under way"
        raise GraphError(msg)
    kind = concurrent.MapAsync if ordered else concurrent.MapAsyncUnordered
    return attach(
        lambda node: kind(inputs=(node,), function=function, concurrency=concurrency, window=window)
    )


def buffer(capacity: int, overflow: OverflowName = "wait") -> Same:
    """Fetch up to ``capacity`` items ahead of demand, in a task of their own.

    It lets a slow source and a slow consumer work at the same time. By default none is dropped: a full
    buffer makes upstream wait. Every other ``overflow`` asks upstream on and on from the first request,
    as for a source that cannot wait, and drops what nobody takes in time; how many, ``statistics`` says.

    Args:
        capacity: The most items to hold.
        overflow: What a full buffer does: ``wait``; ``drop_oldest``, the item held longest;
            ``drop_newest``, the one that just came; ``latest``, all but the one that just came; or
            ``error``: fail with ``BufferOverflow`` behind the items it holds.

    What is dropped is settled as soon as a later item is delivered. A run resumed from before that reads
    it again, and may deliver it then.
    """
    positive("buffer", "capacity", capacity)
    what = strategy("buffer", overflow)
    if what is Overflow.WAIT:
        return attach(lambda node: boundaries.Buffer(inputs=(node,), capacity=capacity))
    return attach(lambda node: LossyBuffer(inputs=(node,), capacity=capacity, overflow=what))


def prefetch(count: int) -> Same:
    """Ask for ``count`` items ahead, and for more only when three quarters of them were taken.

    Like ``buffer``, but upstream sees few large requests instead of one for each item that leaves.
    """
    positive("prefetch", "count", count)
    return attach(lambda node: Prefetch(inputs=(node,), capacity=count, low=three_quarters(count)))


def limit_rate(high: int, low: int | None = None) -> Same:
    """Ask for ``high`` items first and for ``low`` more each time ``low`` were taken, whatever is requested.

    Args:
        high: The most items that upstream is asked for and that were not taken yet.
        low: How many to ask for again, three quarters of ``high`` by default; 0 is all of ``high``, when
            the last of them was taken.
    """
    positive("limit_rate", "high", high)
    low = three_quarters(high) if low is None else low
    positive("limit_rate", "low", low, least=0)
    if low > high:
        msg = f"limit_rate(high={high}, low={low}): low may not be more than high, or nothing would be asked"
        raise GraphError(msg)
    return attach(lambda node: LimitRate(inputs=(node,), capacity=high, low=low or high))


def three_quarters(count: int) -> int:
    """Return three quarters, rounded up."""
    return count - count // 4
