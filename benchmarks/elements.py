"""``map | filter | map`` of lambdas over a million numbers, compared with a loop written by hand.

The loop calls the same three lambdas. If our terminal calls a function for each item, the loop calls the same
function. For ``async for``, both add up in the body of the loop. aiostream and aioreactive get fewer numbers, because
a million would take minutes. They are compared per item, each with our terminal that does the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aioreactive as rx
from aiostream import pipe, stream
from harness import Row, Way, at_least, at_most, measure

from penstock import Flow, from_iterable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

TITLE = "map | filter | map of lambdas over 1,000,000 ints"
ITEMS = 1_000_000
FEWER = 20_000

up = lambda x: x + 1  # noqa: E731  lambdas are what is measured
keep = lambda x: x % 2 == 0  # noqa: E731
twice = lambda x: x * 2  # noqa: E731
add = lambda total, x: total + x  # noqa: E731


class Sum:
    """The function for ``for_each``: adds up."""

    def __init__(self) -> None:
        self.total = 0

    def take(self, x: int) -> None:
        self.total += x

    async def take_async(self, x: int) -> None:
        self.total += x


def flow(items: int) -> Flow[int]:
    return from_iterable(range(items)).map(up).filter(keep).map(twice)


# -- by hand


def loop_reduce(items: int) -> int:
    total = 0
    for x in range(items):
        x = up(x)  # noqa: PLW2901
        if keep(x):
            total = add(total, twice(x))
    return total


def loop_for_each(items: int) -> int:
    result = Sum()
    take = result.take
    for x in range(items):
        x = up(x)  # noqa: PLW2901
        if keep(x):
            take(twice(x))
    return result.total


def loop_inline(items: int) -> int:
    total = 0
    for x in range(items):
        x = up(x)  # noqa: PLW2901
        if keep(x):
            total += twice(x)
    return total


async def bare_generator(items: int) -> int:
    async def generate() -> AsyncIterator[int]:
        for x in range(items):
            x = up(x)  # noqa: PLW2901
            if keep(x):
                yield twice(x)

    total = 0
    async for x in generate():
        total += x
    return total


# -- ours


async def reduce(items: int) -> int:
    return await flow(items).reduce(add, 0)


async def for_each(items: int) -> int:
    result = Sum()
    await flow(items).for_each(result.take)
    return result.total


async def async_for(items: int) -> int:
    total = 0
    async for x in flow(items):
        total += x
    return total


# -- theirs


async def aiostream_for(items: int) -> int:
    xs: Any = stream.iterate(range(items)) | pipe.map(up) | pipe.filter(keep) | pipe.map(twice)
    total = 0
    async with xs.stream() as streamer:
        async for x in streamer:
            total += x
    return total


async def aiostream_reduce(items: int) -> int:
    xs: Any = stream.iterate(range(items)) | pipe.map(up) | pipe.filter(keep) | pipe.map(twice)
    return await (xs | pipe.reduce(add, 0))


async def aioreactive_observer(items: int) -> int:
    xs = rx.pipe(rx.from_iterable(range(items)), rx.map(up), rx.filter(keep), rx.map(twice))
    result = Sum()
    observer: Any = rx.AsyncAwaitableObserver(result.take_async)
    async with await xs.subscribe_async(observer):
        await observer
    return result.total


def rows() -> list[Row]:
    """Return the measured rows."""
    with asyncio.Runner() as runner:

        def later(work: Coroutine[Any, Any, int]) -> int:
            return runner.run(work)

        found = measure(
            [
                Way("loop, reduce", lambda: loop_reduce(ITEMS), ITEMS),
                Way("reduce", lambda: later(reduce(ITEMS)), ITEMS),
                Way("loop, for_each", lambda: loop_for_each(ITEMS), ITEMS),
                Way("for_each", lambda: later(for_each(ITEMS)), ITEMS),
                Way("loop", lambda: loop_inline(ITEMS), ITEMS),
                Way("async for", lambda: later(async_for(ITEMS)), ITEMS),
                Way("async generator", lambda: later(bare_generator(ITEMS)), ITEMS),
                Way("aiostream, async for", lambda: later(aiostream_for(FEWER)), FEWER),
                Way("aiostream, reduce", lambda: later(aiostream_reduce(FEWER)), FEWER),
                Way("aioreactive", lambda: later(aioreactive_observer(FEWER)), FEWER),
            ],
            rounds=9,
        )
    return [
        at_most("reduce, by the plain loop", found, "reduce", "loop, reduce", 1.25),
        at_most("for_each, by the plain loop", found, "for_each", "loop, for_each", 1.25),
        at_most("async for, by the plain loop", found, "async for", "loop", 1.6),
        at_most("(a bare async generator, by the plain loop)", found, "async generator", "loop", None),
        at_least(
            f"async for, by aiostream's ({FEWER:,} ints)", found, "async for", "aiostream, async for", 30
        ),
        at_least(f"reduce, by aiostream's ({FEWER:,} ints)", found, "reduce", "aiostream, reduce", 30),
        at_least(
            f"for_each, by aioreactive's observer ({FEWER:,} ints)", found, "for_each", "aioreactive", 30
        ),
    ]
