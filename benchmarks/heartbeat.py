"""The delay of a heartbeat beside a run: a task that sleeps 1 ms, again and again.

The delay is how much later than requested the sleep ends. The machine adds a delay of its own, the *floor*, which is
measured in two ways: beside an idle loop, and beside a loop by hand that is busy for 5 ms at a time and then lets the
other tasks run. The busy floor is needed because a shared processor is taken away only from programs that use it. If the
busy floor exceeds the target too, the machine is the cause. Each run is repeated; the least disturbed one decides.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from events import Trivial
from harness import Row

import penstock.operators as op
from penstock import Document, RawRecord, from_iterable
from penstock.adapters import Adapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from expression import Result

    from penstock.errors import DocumentError

TITLE = "A heartbeat of 1 ms beside a run: how late it is"
BEAT = 0.001
ALLOWED = 0.025
REPEATS = 5
ITEMS = 1_000_000
SLOW_CALLS = 1000
STRETCH = 0.005


def busy(x: object) -> object:
    """Stand for a user's function that takes a millisecond."""
    until = time.perf_counter() + 0.001
    while time.perf_counter() < until:
        pass
    return x


class Slow(Trivial):
    """A source whose documents take a millisecond each to parse."""

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        busy(raw)
        return super().parse(raw)


async def nothing() -> None:
    await asyncio.sleep(1)


async def by_hand() -> None:
    """Keep the loop busy for 5 ms at a time, and let other tasks run in between."""
    until = time.perf_counter() + 1
    while (now := time.perf_counter()) < until:
        while time.perf_counter() < now + STRETCH:
            pass
        for _ in range(3):
            await asyncio.sleep(0)


async def million() -> None:
    await from_iterable(range(ITEMS)).map(lambda x: x + 1).filter(lambda x: x % 2).for_each(lambda _: None)


async def million_for() -> None:
    async for _ in from_iterable(range(ITEMS)).map(lambda x: x + 1).filter(lambda x: x % 2):
        pass


async def million_to_list() -> None:
    await from_iterable(range(ITEMS)).map(lambda x: x + 1).to_list()


async def events() -> None:
    await (Adapter(Trivial(ITEMS // 4)) | op.batch_progress(1000)).run()


async def slow_map() -> None:
    await from_iterable(range(SLOW_CALLS)).map(busy).run()


async def slow_for_each() -> None:
    await from_iterable(range(SLOW_CALLS)).for_each(busy)


async def slow_body() -> None:
    async for x in from_iterable(range(SLOW_CALLS)):
        busy(x)


async def slow_parse() -> None:
    await Adapter(Slow(SLOW_CALLS)).run()


RUNS: dict[str, Callable[[], Awaitable[None]]] = {
    "floor: an idle loop": nothing,
    "floor: a loop kept busy for 5 ms at a time, by hand": by_hand,
    f"{ITEMS:,} items, for_each": million,
    f"{ITEMS:,} items, async for": million_for,
    f"{ITEMS:,} items, to_list": million_to_list,
    f"{ITEMS // 4:,} documents as events, run": events,
    "functions of 1 ms: map": slow_map,
    "functions of 1 ms: for_each": slow_for_each,
    "functions of 1 ms: the body of async for": slow_body,
    "functions of 1 ms: parse": slow_parse,
}


async def delays(work: Callable[[], Awaitable[None]]) -> list[float]:
    """Return how many seconds late each beat was while ``work`` ran."""
    late: list[float] = []

    async def beat() -> None:
        last = time.perf_counter()
        try:
            while True:
                await asyncio.sleep(BEAT)
                now = time.perf_counter()
                late.append(now - last - BEAT)
                last = now
        finally:
            late.append(time.perf_counter() - last - BEAT)  # also a beat that the run never let through

    heart = asyncio.create_task(beat())
    await asyncio.sleep(5 * BEAT)
    late.clear()
    await work()
    heart.cancel()
    with suppress(asyncio.CancelledError):
        await heart
    return late


def rows() -> list[Row]:
    """Measure each run several times, in turn."""
    found: dict[str, list[list[float]]] = {name: [] for name in RUNS}
    for _ in range(REPEATS):
        for name, work in RUNS.items():
            found[name].append(asyncio.run(delays(work)))
    return [row(name, runs) for name, runs in found.items()]


def row(name: str, runs: list[list[float]]) -> Row:
    """Return a row: median, 99th percentile and worst delay of the calmest run, and the worst of each run."""
    worst = sorted(max(run) for run in runs)
    calmest = sorted(min(runs, key=max))
    middle, high = statistics.median(calmest), calmest[int(0.99 * (len(calmest) - 1))]
    figures = f"p50 {ms(middle)} p99 {ms(high)} max {ms(calmest[-1])}; max of each run " + " ".join(
        map(ms, worst)
    )
    target = not name.startswith("floor")
    return Row(
        name, ms(worst[0]), "", figures, "≤ 25 ms" if target else "", worst[0] <= ALLOWED if target else None
    )


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"
