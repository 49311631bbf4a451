"""Law 11 for flows that handle much at once: sources with many items, and operators with large parameters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.runtime.run import LARGEST_SLICE
from penstock.testing import laws, run

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 2_000


async def same(x: int) -> int:
    return x


def filled(count: int) -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for x in (*range(count), None):
        queue.put_nowait(x)
    return queue


def joined(split: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], Any]:
    def factory(source: Any) -> Any:
        first, *others = split(source)
        return first | op.merge(*others)

    return factory


SOURCES: dict[str, Callable[[], Any]] = {
    "from_queue": lambda: ps.from_queue(filled(MANY), sentinel=None),
    "from_iterable": lambda: ps.from_iterable(iter(range(MANY))),
    "unfold": lambda: ps.unfold(0, lambda x: (x, x + 1) if x < MANY else None),
    "iterate": lambda: ps.iterate(0, lambda x: x + 1) | op.take(MANY),
    "just, repeated": lambda: ps.just(1) | op.repeat(MANY),
    "empty, repeated": lambda: ps.empty() | op.repeat(MANY),
}

LARGE: dict[str, Callable[[Any], Any]] = {
    "window": lambda s: s | op.window(2),
    "group_by": lambda s: s | op.group_by(lambda x: x % 3, capacity=MANY),
    "group_by, many": lambda s: s | op.group_by(lambda x: x, MANY),
    "partition": joined(op.partition(lambda x: x % 2, capacity=MANY)),
    "partition_by": joined(op.partition_by(lambda x: x, 3, capacity=MANY)),
    "broadcast": joined(op.broadcast(2, capacity=MANY)),
    "replay": lambda s: s | op.replay(MANY),
    "flat_map": lambda s: s | op.flat_map(lambda _: (x for x in range(MANY))),
    "unbatch": lambda s: s | op.batch(MANY) | op.unbatch() | op.map(lambda x: x),
    "batch, within": lambda s: s | op.batch(MANY, 1.0) | op.unbatch(),
    "sliding": lambda s: s | op.sliding(2),
    "take_last": lambda s: s | op.take_last(MANY) | op.map(lambda x: x),
    "buffer": lambda s: s | op.buffer(MANY),
    "buffer, latest": lambda s: s | op.buffer(MANY, "latest"),
    "map_async": lambda s: s | op.map_async(same, 8, window=MANY),
    "map_async, unordered": lambda s: s | op.map_async(same, 2, window=MANY, ordered=False),
    "throttle": lambda s: s | op.throttle(1e9, burst=MANY),
    "delay": lambda s: s | op.delay(0, MANY),
    "concat_map": lambda s: s | op.concat_map(ps.just),
    "flat_map_merge": lambda s: s | op.flat_map_merge(ps.just, MANY),
}


@pytest.mark.parametrize("name", [*SOURCES, *LARGE])
def test_much_at_once_is_done_in_slices(name: str) -> None:
    """Law 11 holds when everything is ready and all of it is requested."""
    inputs = (range(7),) if name in LARGE else ()
    laws.fair(laws.Subject({**SOURCES, **LARGE}[name], inputs), page=MANY)


JOINS: dict[str, Callable[[Any, Any], Any]] = {
    "zip": lambda a, b: a | op.zip(b),
    "merge": lambda a, b: a | op.merge(b),
    "interleave": lambda a, b: a | op.interleave(b),
    "merge_sorted": lambda a, b: a | op.merge_sorted(b),
    "combine_latest": lambda a, b: a | op.combine_latest(b),
    "with_latest_from": lambda a, b: a | op.with_latest_from(b),
    "race": lambda a, b: a | op.race(b),
    "take_until": lambda a, _: a | op.take_until(ps.never()),
}


@pytest.mark.parametrize("name", JOINS)
def test_joins_give_slices(name: str) -> None:
    """A join gives no more than a slice for a request; much of its work is not done by lines of Python."""

    async def main() -> None:
        items = ps.from_iterable(range(MANY))
        async with JOINS[name](items, items).subscribe() as subscription:
            most, count = 0, 0
            while chunk := await subscription.request(10 * MANY):
                most, count = max(most, len(chunk)), count + len(chunk)
        assert count >= MANY
        assert most <= LARGEST_SLICE

    run(main())
