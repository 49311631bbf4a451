"""Several subscribers of one run under seeded schedules: cancelled, closed, drained and joined at any moment."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

import penstock.operators as op
from penstock.testing import Planted, Raise, Sleep, TestSource, Wait, explore, no_leaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Subscription

SEEDS = settings.default.max_examples // 2
"""Seeds per kind of flow; 1,000 in the long profile."""

ITEMS = 12


class Reader:
    """A subscriber that requests, is cancelled, closes or drains as a seed decides; it keeps its items."""

    def __init__(self, draw: random.Random, flow: Any, *, stays: bool) -> None:
        self.draw = draw
        self.stays = stays
        self.flow = flow
        self.items: list[Any] = []
        self.ended = False
        self.error: BaseException | None = None

    async def read(self) -> None:
        draw = self.draw
        if not self.stays:
            await self.pause()
        leaves_after = None if self.stays else draw.choice([None, None, 1, 4])
        async with self.flow.subscribe() as subscription:
            while leaves_after is None or len(self.items) < leaves_after:
                if not self.stays and draw.random() < 0.05:
                    await subscription.drain()
                try:
                    items = await self.ask(subscription)
                except Planted as error:
                    self.error = error
                    return
                if items == []:
                    self.ended = True
                    return
                self.items += items or []
                await self.pause()

    async def ask(self, subscription: Subscription[Any]) -> list[Any] | None:
        """Request items; return ``None`` if the request was cancelled, which happens now and then."""
        task = asyncio.ensure_future(subscription.request(self.draw.choice([1, 1, 2, 5])))
        if self.draw.random() < 0.3:
            for _ in range(self.draw.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
        with suppress(asyncio.CancelledError):
            return await task
        return None

    async def pause(self) -> None:
        if self.draw.random() < 0.3:
            await asyncio.sleep(self.draw.choice([0, 0, 0.5, 3]))


def scripted(draw: random.Random, *, fails: bool) -> TestSource:
    """Return a source that waits now and then, and fails at its end if ``fails``."""
    script: list[Any] = []
    for item in range(ITEMS):
        script += [draw.choice([Wait(1), Wait(3), Sleep(1), None]), item]
    script += [Raise()] if fails else []
    style = draw.choice(["generator", "pages"])
    return TestSource([one for one in script if one is not None], style=style, page=(2, 1))


def is_run(items: list[int], *, from_start: bool) -> bool:
    """Return whether these are neighbouring items, in order, without a gap."""
    first = items[0] if items else 0
    return items == list(range(first, first + len(items))) and (not from_start or first == 0)


SPLITS: dict[str, tuple[Callable[[Any], list[Any]], bool]] = {
    "broadcast": (lambda s: list(s | op.broadcast(3, capacity=2)), True),
    "broadcast, wide": (lambda s: list(s | op.broadcast(3, capacity=100)), True),
    "share": (lambda s: [s | op.share(capacity=2)] * 3, False),
    "replay": (lambda s: [s | op.replay(3, capacity=2)] * 3, False),
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", SPLITS)
def test_each_reader_sees_one_run_without_a_gap(kind: str, fails: bool) -> None:
    """A reader's items have no gap and no repetition, and end as the run ends, whatever other readers do."""
    split, from_start = SPLITS[kind]

    async def main() -> None:
        draw = random.Random(random.random())  # seeded by the exploration
        source = scripted(draw, fails=fails)
        async with no_leaks():
            source.expect_close()
            readers = [
                Reader(random.Random(draw.random()), flow, stays=kind == "broadcast")
                for flow in split(source)
            ]
            async with asyncio.timeout(10_000):
                await asyncio.gather(*(reader.read() for reader in readers))
            for reader in readers:
                assert is_run(reader.items, from_start=from_start), reader.items
                if reader.error is not None:
                    assert fails
                    assert not reader.items or reader.items[-1] == ITEMS - 1
        assert source.counts.opened == source.counts.closed

    explore(main, seeds=SEEDS)


async def slowly(item: int) -> int:
    """Return the item, now and then after a while."""
    await asyncio.sleep(random.choice([0, 0, 1, 50]))
    return item


KEEPING_PACE: list[Callable[[Any], Any]] = [
    lambda flow: flow | op.map(lambda x: x),
    lambda flow: flow | op.map_async(slowly, 2),
    lambda flow: flow | op.buffer(3),
    lambda flow: flow | op.delay(5),
    lambda flow: flow | op.throttle(1, per=3),
    lambda flow: flow | op.prefetch(2) | op.map_async(slowly, 1),
    lambda flow: flow | op.flat_map_merge(lambda x: TestSource([x, Sleep(2)]), 2),
    lambda flow: flow | op.share(capacity=1),
]
"""Each yields an item for an item, in some order, but may take long."""

MEETING: list[Callable[[Any, Any], Any]] = [
    lambda first, second: first | op.merge(second),
    lambda first, second: first | op.zip(second) | op.flat_map(list),
    lambda first, second: first | op.interleave(second),
    lambda first, second: first | op.combine_latest(second) | op.flat_map(lambda pair: pair),
    lambda first, second: first | op.merge(second | op.merge(TestSource([Sleep(200)]))),
]


def test_branches_that_keep_pace_are_never_taken_for_stuck() -> None:
    """Whatever waits between the branches and the join, and however long: all items arrive, and no error."""

    async def main() -> None:
        draw = random.Random(random.random())  # seeded by the exploration
        source = scripted(draw, fails=False)
        split = draw.choice(
            [lambda s: s | op.broadcast(2, capacity=2), lambda s: [s | op.share(capacity=2)] * 2]
        )
        first, second = (draw.choice(KEEPING_PACE)(draw.choice(KEEPING_PACE)(one)) for one in split(source))
        joined = draw.choice(MEETING)(first, second)
        reader = Reader(draw, joined, stays=True)
        async with no_leaks(), asyncio.timeout(100_000):
            await reader.read()
        assert reader.ended
        assert set(reader.items) == set(range(ITEMS))

    explore(main, seeds=SEEDS)
