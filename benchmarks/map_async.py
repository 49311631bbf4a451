"""``map_async(concurrency=64)`` over 100,000 coroutines, compared with 64 tasks that share one iterator.

The pool by hand yields results in the order of completion. Both of our forms, ordered and unordered, do more. Results are
compared as sums. Coroutines that never suspend show our own cost, because there is nothing else to wait for. The
window is the default: 4 times the concurrency, 256 inputs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness import Row, Way, at_most, measure

from penstock import from_iterable
from penstock.operators.concurrency.pooled import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

CALLS = 100_000
CONCURRENCY = 64
TITLE = f"map_async(concurrency={CONCURRENCY}, window={WINDOWS * CONCURRENCY}, the default) over {CALLS:,} coroutines"


async def suspends(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


async def never_suspends(x: int) -> int:
    return x + 1


async def pool(function: Callable[[int], Awaitable[int]]) -> int:
    """Do the same by hand."""
    iterator, results = iter(range(CALLS)), []

    async def work() -> None:
        for x in iterator:
            results.append(await function(x))

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return sum(results)


async def ours(function: Callable[[int], Awaitable[int]], *, ordered: bool) -> int:
    return sum(await from_iterable(range(CALLS)).map_async(function, CONCURRENCY, ordered=ordered).to_list())


def rows() -> list[Row]:
    """Return the measured rows."""
    with asyncio.Runner() as runner:

        def later(work: Coroutine[object, object, int]) -> int:
            return runner.run(work)

        def ways(function: Callable[[int], Awaitable[int]]) -> list[Way]:
            return [
                Way("pool", lambda: later(pool(function)), CALLS),
                Way("ordered", lambda: later(ours(function, ordered=True)), CALLS),
                Way("unordered", lambda: later(ours(function, ordered=False)), CALLS),
            ]

        waiting, quick = measure(ways(suspends), rounds=11), measure(ways(never_suspends), rounds=11)
    return [
        at_most("sleep(0) once, ordered, by the pool", waiting, "ordered", "pool", 1.25),
        at_most("sleep(0) once, unordered, by the pool", waiting, "unordered", "pool", 1.25),
        at_most("never suspending, ordered, by the pool", quick, "ordered", "pool", 5),
        at_most("never suspending, unordered, by the pool", quick, "unordered", "pool", 5),
    ]
