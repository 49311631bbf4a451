"""``buffer`` between two stages of ready items, compared with an ``asyncio.Queue`` between two tasks.

The code by hand: a producer maps each number and puts it into a queue of the same capacity; a consumer takes it,
maps it and adds it up. This is the least code that lets the two overlap. ``prefetch(16)`` is measured without a target:
at most 16 items travel at a time, so fewer items share the cost of an ``await``. A request that finds a ``buffer`` empty
may fetch more than its capacity.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness import Row, Way, at_least, measure

from penstock import from_iterable

if TYPE_CHECKING:
    from collections.abc import Coroutine

ITEMS = 200_000
TITLE = f"buffer between two maps over {ITEMS:,} ints"
CAPACITIES = {16: (1.5, None), 256: (3, 3), 1000: (3, 3)}
"""Targets of ``buffer`` and of ``prefetch`` by capacity."""

up = lambda x: x + 1  # noqa: E731  as in benchmarks/elements.py
twice = lambda x: x * 2  # noqa: E731
add = lambda total, x: total + x  # noqa: E731


async def queue(capacity: int) -> int:
    """Do the same by hand."""
    between: asyncio.Queue[int | None] = asyncio.Queue(capacity)

    async def produce() -> None:
        for x in range(ITEMS):
            await between.put(up(x))
        await between.put(None)

    total = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        while (x := await between.get()) is not None:
            total = add(total, twice(x))
    return total


async def buffer(capacity: int) -> int:
    return await from_iterable(range(ITEMS)).map(up).buffer(capacity).map(twice).reduce(add, 0)


async def prefetch(capacity: int) -> int:
    return await from_iterable(range(ITEMS)).map(up).prefetch(capacity).map(twice).reduce(add, 0)


async def async_for(capacity: int) -> int:
    total = 0
    async for x in from_iterable(range(ITEMS)).map(up).buffer(capacity).map(twice):
        total = add(total, x)
    return total


def rows() -> list[Row]:
    """Return the measured rows."""
    result = []
    with asyncio.Runner() as runner:

        def later(work: Coroutine[object, object, int]) -> int:
            return runner.run(work)

        for capacity, (target, prefetching) in CAPACITIES.items():
            found = measure(
                [
                    Way("queue", lambda k=capacity: later(queue(k)), ITEMS),  # type: ignore[misc]
                    Way("buffer", lambda k=capacity: later(buffer(k)), ITEMS),  # type: ignore[misc]
                    Way("prefetch", lambda k=capacity: later(prefetch(k)), ITEMS),  # type: ignore[misc]
                    Way("async for", lambda k=capacity: later(async_for(k)), ITEMS),  # type: ignore[misc]
                ],
                rounds=7,
            )
            result += [
                at_least(f"buffer({capacity}), by Queue({capacity})", found, "buffer", "queue", target),
                at_least(
                    f"prefetch({capacity}), by Queue({capacity})", found, "prefetch", "queue", prefetching
                ),
                at_least(
                    f"(buffer({capacity}) in an async for, by Queue({capacity}))",
                    found,
                    "async for",
                    "queue",
                    None,
                ),
            ]
    return result
