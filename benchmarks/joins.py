"""Several flows at once: 8-way ``merge`` compared with aiostream's, and other joins with the code that they replace.

Ready sources show the cost of the join itself. Async generators, each in a task, show how much of it remains when items
come one by one. aiostream gets fewer numbers, because as many would take minutes, and is compared per item. Results are
compared as sums, because different merges interleave differently.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Any

from aiostream import stream
from harness import Row, Way, at_least, at_most, measure

from penstock import Flow, from_async_iterable, from_iterable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

WAYS = 8
ITEMS = 50_000
FEWER = 1_000
TITLE = f"joins: {WAYS} flows of {ITEMS:,} ints each, or {FEWER:,} where it says aiostream's"


async def generate(count: int) -> AsyncIterator[int]:
    for x in range(count):
        yield x


# -- ours


def ready(count: int) -> list[Flow[int]]:
    return [from_iterable(range(count)) for _ in range(WAYS)]


def one_by_one(count: int) -> list[Flow[int]]:
    return [from_async_iterable(lambda: generate(count)) for _ in range(WAYS)]


async def added(flow: Flow[int]) -> int:
    total = 0
    async for x in flow:
        total += x
    return total


async def merged(flows: list[Flow[int]]) -> int:
    return await added(flows[0].merge(*flows[1:]))


async def interleaved(flows: list[Flow[int]]) -> int:
    return await added(flows[0].interleave(*flows[1:]))


async def sorted_together(flows: list[Flow[int]]) -> int:
    return await added(flows[0].merge_sorted(*flows[1:]))


async def zipped(flows: list[Flow[int]]) -> int:
    return await added(flows[0].zip(*flows[1:]).map(sum))


async def latest(flows: list[Flow[int]]) -> int:
    return await flows[0].combine_latest(*flows[1:]).count()


async def flattened(count: int) -> int:
    return await added(from_iterable(range(count)).flat_map_merge(lambda _: from_iterable(range(WAYS)), WAYS))


# -- theirs


async def aiostream_added(joined: Any) -> int:
    total = 0
    async with joined.stream() as items:
        async for x in items:
            total += x if isinstance(x, int) else sum(x)
    return total


def aiostream_merge(source: Callable[[int], Any]) -> Coroutine[Any, Any, int]:
    return aiostream_added(stream.merge(*(stream.iterate(source(FEWER)) for _ in range(WAYS))))


def aiostream_zip() -> Coroutine[Any, Any, int]:
    return aiostream_added(stream.zip(*(stream.iterate(range(FEWER)) for _ in range(WAYS))))


def aiostream_flat_map() -> Coroutine[Any, Any, int]:
    inner = stream.flatmap(
        stream.iterate(range(FEWER)), lambda _: stream.iterate(range(WAYS)), task_limit=WAYS
    )
    return aiostream_added(inner)


def heapq_merge() -> int:
    total = 0
    for x in heapq.merge(*(range(ITEMS) for _ in range(WAYS))):
        total += x
    return total


def rows() -> list[Row]:
    """Return the measured rows."""
    few, many = WAYS * FEWER, WAYS * ITEMS
    with asyncio.Runner() as runner:

        def later(work: Coroutine[Any, Any, int]) -> int:
            return runner.run(work)

        found = measure(
            [
                Way("merge, ready", lambda: later(merged(ready(ITEMS))), many),
                Way("merge, generators", lambda: later(merged(one_by_one(ITEMS // 4))), many // 4),
                Way("interleave", lambda: later(interleaved(ready(ITEMS))), many),
                Way("merge_sorted", lambda: later(sorted_together(ready(ITEMS))), many),
                Way("heapq.merge", heapq_merge, many),
                Way("zip", lambda: later(zipped(ready(ITEMS))), many),
                Way("aiostream merge, ready", lambda: later(aiostream_merge(range)), few),
                Way("aiostream merge, generators", lambda: later(aiostream_merge(generate)), few),
                Way("aiostream zip", lambda: later(aiostream_zip()), few),
            ],
            rounds=7,
        )
        flat = measure(
            [
                Way("flat_map_merge", lambda: later(flattened(FEWER)), few),
                Way("aiostream flatmap", lambda: later(aiostream_flat_map()), few),
            ],
            rounds=7,
        )
    return [
        at_least("8-way merge of ready items, by aiostream's", found, "merge, ready", "aiostream merge, ready", 10),
        at_least(
            "8-way merge of async generators, by aiostream's",
            found, "merge, generators", "aiostream merge, generators", 10,
        ),
        at_least("8-way zip of ready items, by aiostream's", found, "zip", "aiostream zip", 10),
        at_least("flat_map_merge, by aiostream's flatmap", flat, "flat_map_merge", "aiostream flatmap", 10),
        at_most("8-way merge_sorted, by heapq.merge alone", found, "merge_sorted", "heapq.merge", 3),
        at_most("(8-way interleave, by merge)", found, "interleave", "merge, ready", None),
    ]  # fmt: skip
