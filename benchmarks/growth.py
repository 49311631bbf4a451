"""Time per item, as the number of items grows, and as the number of inputs, branches or groups grows.

``python benchmarks/growth.py [WORD...]`` prints a line for every flow of the laws' catalogue (those with a word in
their name), requested one item at a time, 256 at a time and all at once, and for every operator that takes many flows
or makes many, also with each size of request. A run that would take longer than ``--longest`` seconds is left out.
Time per item must stay the same. A line is marked when ten times as many take more than twice as long per item; a
sorted merge may take twice as long, because its time per item grows with the logarithm.

Time is processor time. The event loop has virtual time, so that flows which wait cost only what they compute. The
garbage collector is off: its time grows with all objects that are alive, and 10,000 inputs are 10,000 tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from entries import ENTRIES
from harness import machine, per_item, say

import penstock as ps
import penstock.operators as op
from penstock.testing import TestSource, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.laws.entry import Entry

ITEMS = (1_000, 10_000, 100_000)
INPUTS = (1_000, 10_000, 100_000)
ALL = 10**9
REQUESTS = {1: "requested one at a time", 256: "requested 256 at a time", ALL: "requested at once"}
LIMIT = 2.0
"""How many times longer an item may take if there are ten times as many."""
SORTED = 3.0
ROUNDS = 2


# -- every flow of the catalogue, with many items


class Quick(TestSource):
    """A source without a script's cost: a plain iterable, and the same for flows that play it themselves."""

    def __init__(self, items: range) -> None:
        super().__init__(items, style="iterable")
        self.node = ps.from_iterable(items).node


async def read(flow: Any, n: int) -> int:
    """Request ``n`` items at a time, and return how many came; a failure is an end like any other."""
    count = 0
    async with flow.subscribe() as subscription:
        with suppress(Exception):
            while items := await subscription.request(n):
                count += len(items)
    return count


def of_entry(entry: Entry, n: int) -> Callable[[int], tuple[float, int]]:
    """Return the seconds that a catalogue's flow needs for a number of items, and that number."""

    def measured(items: int) -> tuple[float, int]:
        async def main() -> float:
            flow = entry.factory(*(Quick(range(items)) for _ in entry.inputs))
            began = time.process_time()
            await read(flow, n)
            return time.process_time() - began

        return run(main()), items

    return measured


# -- many inputs, branches, groups


def pairs(count: int) -> list[ps.Flow[int]]:
    return [ps.just(k, k + 1) for k in range(count)]


async def same(x: int) -> int:
    return x


async def together(flows: Sequence[ps.Flow[Any]], n: int) -> None:
    await asyncio.gather(*(read(flow, n) for flow in flows))


async def each(flow: ps.Flow[Any], concurrency: int, n: int) -> None:
    await read(flow | op.map_async(lambda inner: read(inner, n), concurrency), n)


Work = tuple[Any, int]
"""What is awaited, and how many items that is."""


def joined(join: Callable[..., Any], **options: Any) -> Callable[[int, int], Work]:
    """Return the work of a join of ``count`` flows of two items."""

    def work(count: int, n: int) -> Work:
        first, *others = pairs(count)
        return read(first | join(*others, **options), n), 2 * count

    return work


def tuples(join: Callable[..., Any], rows: int) -> Callable[[int, int], Work]:
    """Return the work of a join that makes ``rows`` tuples of ``count`` items."""

    def work(count: int, n: int) -> Work:
        first, *others = pairs(count)
        return read(first | join(*others) | op.take(rows), n), rows * count

    return work


def flattened(operator: Callable[[int], Any]) -> Callable[[int, int], Work]:
    """Return the work of an operator that makes a flow of two items of each of ``count`` items."""
    return lambda count, n: (read(ps.range_(count) | operator(count), n), 2 * count)


def rejoined(count: int, n: int) -> Work:
    first, *others = ps.range_(10) | op.broadcast(count)
    return read(first | op.merge(*others), n), 10 * count


def twice(x: int) -> ps.Flow[int]:
    return ps.just(x, x)


def one_group(groups: int) -> Callable[[int], int]:
    return lambda x: x % groups


WIDE: dict[str, Callable[[int, int], Work]] = {
    "concat": joined(op.concat),
    "merge": joined(op.merge),
    "merge(concurrency=8)": joined(op.merge, concurrency=8),
    "merge_sorted": joined(op.merge_sorted),
    "interleave": joined(op.interleave),
    "race": joined(op.race),
    "zip": tuples(op.zip, 2),
    "zip_longest": tuples(op.zip_longest, 2),
    "combine_latest": tuples(op.combine_latest, 10),
    "with_latest_from": tuples(op.with_latest_from, 1),
    "broadcast, by branches": lambda count, n: (together(ps.range_(10) | op.broadcast(count), n), 10 * count),
    "broadcast, its branches merged": rejoined,
    "partition_by, by branches": lambda count, n: (
        together(ps.range_(2 * count) | op.partition_by(one_group(count), count), n),
        2 * count,
    ),
    "share, by subscribers": lambda count, n: (together([ps.range_(10) | op.share()] * count, n), 10 * count),
    "group_by, by groups": lambda count, n: (
        each(ps.range_(2 * count) | op.group_by(one_group(count), count), count, n),
        2 * count,
    ),
    "group_by(complete_oldest)": lambda count, n: (
        read(ps.range_(2 * count) | op.group_by(lambda x: x, 100, on_limit="complete_oldest"), n),
        2 * count,
    ),
    "window": lambda count, n: (read(ps.range_(2 * count) | op.window(2), n), 2 * count),
    "map_async, by concurrency": lambda count, n: (
        read(ps.range_(2 * count) | op.map_async(same, count), n),
        2 * count,
    ),
    "map_async(ordered=False)": lambda count, n: (
        read(ps.range_(2 * count) | op.map_async(same, count, ordered=False) | op.map(str), n),
        2 * count,
    ),
    "flat_map_merge, by concurrency": flattened(lambda count: op.flat_map_merge(twice, count)),
    "flat_map_merge(8)": flattened(lambda _: op.flat_map_merge(twice, 8)),
    "concat_map": flattened(lambda _: op.concat_map(twice)),
    "concat_map, by concurrency": flattened(lambda count: op.concat_map(twice, concurrency=count)),
    "one page": lambda count, n: (read(ps.from_pages(lambda: page_of(count)), n), count),
    "sliding(n)": lambda count, n: (read(ps.range_(count + 10) | op.sliding(count), n), 10 * count),
    "collect, behind small requests": lambda count, n: (
        read(ps.range_(count) | op.prefetch(1) | op.collect(), n),
        count,
    ),
}


async def page_of(count: int) -> Any:
    yield list(range(count))


def of_wide(work: Callable[[int, int], Work], n: int) -> Callable[[int], tuple[float, int]]:
    """Return the seconds that this work needs for a number of inputs, and how many items that is."""

    def measured(count: int) -> tuple[float, int]:
        async def main() -> tuple[float, int]:
            reading, items = work(count, n)
            began = time.process_time()
            await reading
            return time.process_time() - began, items

        return run(main())

    return measured


# -- the table


def grown(
    measured: Callable[[int], tuple[float, int]], sizes: Sequence[int], longest: float
) -> Iterator[float]:
    """Yield the seconds per item for each size, the least of two rounds; stop before a run that takes too long."""
    expected = 0.0
    for size in sizes:
        if expected > longest:
            return
        best, items = float("inf"), 1
        for _ in range(ROUNDS if expected < 1.0 else 1):
            gc.collect()
            gc.disable()
            seconds, items = measured(size)
            gc.enable()
            best = min(best, seconds)
        expected = best * 10
        yield best / items


def line(name: str, seconds: Sequence[float], sizes: Sequence[int]) -> bool:
    """Print a line; return whether the time per item stays the same, as far as it was measured."""
    limit = SORTED if "sorted" in name else LIMIT
    steps = [later / earlier for earlier, later in itertools.pairwise(seconds)]
    flat = all(step <= limit for step in steps)
    columns = " ".join(f"{per_item(each):>10}" for each in seconds) + " " * 11 * (len(sizes) - len(seconds))
    say(
        f"  {name:66} {columns}   {' '.join(f'{step:5.2f}' for step in steps):12} {'' if flat else 'GROWS'}".rstrip()
    )
    return flat


def heading(title: str, sizes: Sequence[int]) -> None:
    say(f"\n{title}\n  {'':66} " + " ".join(f"{size:>10,}" for size in sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--longest", type=float, default=20.0, metavar="SECONDS")
    asked = parser.parse_args()
    say(machine())
    growing = 0

    def measure(name: str, measured: Callable[[int], tuple[float, int]], sizes: Sequence[int]) -> None:
        nonlocal growing
        if not asked.words or any(word in name for word in asked.words):
            growing += not line(name, [*grown(measured, sizes, asked.longest)], sizes)

    for n, title in REQUESTS.items():
        heading(f"items, {title}", ITEMS)
        for entry in ENTRIES:
            if entry.inputs:
                measure(entry.name, of_entry(entry, n), ITEMS)
    for n, title in REQUESTS.items():
        heading(f"inputs, branches, groups, workers, or the size of one item, {title}", INPUTS)
        for name, work in WIDE.items():
            measure(name, of_wide(work, n), INPUTS)
    say(f"\n{growing} grow" if growing else "\nnone grows")


if __name__ == "__main__":
    main()
