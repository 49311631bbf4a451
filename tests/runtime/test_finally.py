"""The ``finally`` of a user's async generator may await: closing the run waits for it and does not cut it short."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
from penstock.errors import SubscriptionClosed
from penstock.testing import VirtualTimeLoop, no_leaks, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TURNS = 40
"""More turns of the loop than two requests take."""


class Room:
    """Gives out generators without end, and counts those that were entered and those that were left."""

    def __init__(self, waits: int) -> None:
        self.waits = waits
        self.entered = self.left = 0

    async def rows(self) -> AsyncIterator[int]:
        self.entered += 1
        try:
            for x in range(10_000):
                yield x
                for _ in range(self.waits):
                    await asyncio.sleep(0)
        finally:
            await asyncio.sleep(1)
            self.left += 1

    async def pages(self) -> AsyncIterator[list[int]]:
        async for x in self.rows():
            yield [x]

    async def copies(self, items: AsyncIterator[int]) -> AsyncIterator[int]:
        self.entered += 1
        try:
            async for x in items:
                yield x
        finally:
            await asyncio.sleep(1)
            self.left += 1

    def flow(self) -> ps.Flow[int]:
        return ps.from_async_iterable(self.rows)


async def same(x: int) -> int:
    await asyncio.sleep(0)
    return x


async def breaks(x: int) -> int:
    if x == 3:
        raise ZeroDivisionError
    return x


FLOWS: dict[str, Callable[[Room], ps.Flow[Any]]] = {
    "from_async_iterable": Room.flow,
    "a failure downstream": lambda room: room.flow().map_async(breaks, concurrency=2),
    "through": lambda room: ps.range_(10_000).through(room.copies),
    "through, both": lambda room: room.flow().through(room.copies),
    "merge": lambda room: ps.merge(room.flow(), room.flow()),
    "a failure beside it": lambda room: ps.merge(room.flow(), ps.range_(9).map_async(breaks)),
    "map_async": lambda room: room.flow().map_async(same, concurrency=3),
    "concat_map": lambda room: ps.range_(3).concat_map(lambda _: room.flow().take(2)),
    "flat_map_merge": lambda room: ps.range_(3).flat_map_merge(lambda _: room.flow()),
    "switch_map": lambda room: ps.range_(3).switch_map(lambda _: room.flow()),
    "take_until": lambda room: room.flow().take_until(ps.range_(2).map_async(same)),
    "buffer": lambda room: room.flow().buffer(4),
    "zip": lambda room: room.flow().zip(room.flow()),
    "share": lambda room: room.flow().share(),
}


async def closed_at(flow: ps.Flow[Any], turn: int) -> None:
    """Request until a turn of the loop, or until the flow ends before; then close the subscription."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    subscription, closing = flow.subscribe(), asyncio.Event()

    async def reading() -> None:
        try:
            while not closing.is_set() and await subscription.request(3):
                pass
        except (SubscriptionClosed, ZeroDivisionError):
            pass
        finally:
            closing.set()

    async with no_leaks():
        reader = asyncio.ensure_future(reading())
        loop.at_turn(loop.turns + turn, closing.set)
        await closing.wait()
        await asyncio.wait_for(subscription.aclose(), 30)
        await reader


@pytest.mark.parametrize("name", FLOWS)
def test_finally_of_a_generator_may_await(name: str) -> None:
    """Whatever turn the run is closed at, each generator that was entered is left, before ``aclose`` returns."""
    entered = 0
    for waits in range(3):
        for turn in range(waits, TURNS, 2):
            room = Room(waits)
            run(closed_at(FLOWS[name](room), turn))
            assert room.left == room.entered, f"closed at turn {turn}, with {waits} turns between items"
            entered += room.entered
    assert entered
