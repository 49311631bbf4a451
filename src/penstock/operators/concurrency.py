"""Operators that let work overlap."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core import boundaries, concurrent, parallel, threads
from penstock.core.node import positive
from penstock.core.overflow import LimitRate, LossyBuffer, Overflow, Prefetch, strategy
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.core.node import Node
    from penstock.core.overflow import OverflowName
    from penstock.core.windowed import Windowed
    from penstock.flow import Flow
    from penstock.operators.attach import Same

__all__ = [
    "buffer",
    "filter_async",
    "limit_rate",
    "map_async",
    "map_process",
    "map_thread",
    "prefetch",
]

T = TypeVar("T")
U = TypeVar("U")

WINDOWS = 4
"""The default window, in multiples of the concurrency."""

WINDOWS_OF_PROCESSES = 64
"""The same for processes: short calls travel in long lists."""


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
            concurrency by default. A larger one keeps the workers busy behind a slow input: unordered
            results overtake one by no more inputs than this.
    """
    function_for("map_async", function, asynchronous=True)
    kind = concurrent.MapAsync if ordered else concurrent.MapAsyncUnordered
    return _windowed("map_async", kind, function, concurrency, window)


def filter_async(
    function: Callable[[T], Awaitable[object]],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[T]]:
    """Keep the items for which ``await function(item)`` is true, asking about ``concurrency`` at a time.

    The arguments are those of ``map_async``.
    """
    function_for("filter_async", function, asynchronous=True)
    kind = concurrent.FilterAsync if ordered else concurrent.FilterAsyncUnordered
    return _windowed("filter_async", kind, function, concurrency, window)


def map_thread(
    function: Callable[[T], U],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into ``function(item)``, a plain function that may block, in ``concurrency`` threads.

    The threads belong to the run. Each call sees a copy of the context variables as they were at the first
    request. A call that runs cannot be stopped: closing waits for those under way, without blocking the
    event loop, and begins no other. The other arguments are those of ``map_async``.
    """
    function_for("map_thread", function)
    kind = threads.MapThread if ordered else threads.MapThreadUnordered
    return _windowed("map_thread", kind, function, concurrency, window)


def map_process(
    function: Callable[[T], U],
    processes: int | None = None,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into ``function(item)``, called in worker processes: for work that computes.

    The processes belong to the run, are new interpreters (never forks), and import the function by its
    name: it must be defined at the top of a module, or of a script that does its work under
    ``if __name__ == "__main__":``. Items and results are pickled. Quick calls travel in lists, so a result
    may wait for those in front of it in its list, but not for more than a few milliseconds of work and the
    call under way.

    Args:
        function: A plain function.
        processes: How many; by default as many as there are processors. 0 makes the calls in this
            process, one after the other, for debugging.
        ordered: Whether results keep the order of their inputs; otherwise they come as they complete.
        window: How many inputs may be taken from upstream and not delivered yet; 64 for each process by
            default. A list has at most half of a process's part of it: a larger window suits calls of
            microseconds, a smaller one calls of seconds.

    Raises:
        GraphError: the function cannot be found by its name (a lambda, a function within a function).
        WorkerDied: when it runs, a process ended by itself or was killed; the message says how, and which
            items were lost. The position stands before them.
    """
    function_for("map_process", function)
    parallel.importable(function)
    processes = os.cpu_count() or 1 if processes is None else processes
    positive("map_process", "processes", processes, least=0)
    count = max(processes, 1)
    kind = parallel.MapProcess if ordered else parallel.MapProcessUnordered
    window = count * WINDOWS_OF_PROCESSES if window is None else window
    return _windowed("map_process", kind, function, count, window, inline=not processes)


def _windowed(
    operator: str,
    kind: type[Windowed],
    function: Callable[..., Any],
    concurrency: int,
    window: int | None,
    **more: Any,
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Check the numbers, and return the operator that adds such a node."""
    positive(operator, "concurrency", concurrency)
    window = concurrency * WINDOWS if window is None else window
    positive(operator, "window", window)
    if window < concurrency:
        msg = (
            f"{operator}(concurrency={concurrency}, window={window}): the window must hold what is under way"
        )
        raise GraphError(msg)

    def make(node: Node) -> Node:
        return kind(inputs=(node,), function=function, concurrency=concurrency, window=window, **more)

    return attach(make)


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
