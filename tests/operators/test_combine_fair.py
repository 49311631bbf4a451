"""Joins that call a slow function of the user leave time for other tasks of the loop."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import pytest

from penstock import from_iterable

ITEM = 0.0002
MOST_BETWEEN_TURNS = 150
"""The limit of law 11."""


class Slow:
    """Functions that take a fifth of a millisecond, and the most calls between two turns of the loop."""

    def __init__(self) -> None:
        self.since = self.worst = 0

    def spend(self) -> None:
        self.since += 1
        self.worst = max(self.worst, self.since)
        until = perf_counter() + ITEM
        while perf_counter() < until:
            pass

    def key(self, x: int) -> int:
        self.spend()
        return x

    def equal(self, x: int, y: int) -> bool:
        self.spend()
        return x == y

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.since = 0


@pytest.mark.parametrize("join", ["merge_sorted", "sequence_equal"])
def test_slow_functions_are_called_in_slices(join: str) -> None:
    """At most 150 calls are made between two turns of the loop, even if everything is ready."""

    async def main() -> Slow:
        slow = Slow()
        left, right = from_iterable(range(1_000)), from_iterable(range(1_000))
        joined: Any = (
            left.merge_sorted(right, key=slow.key)
            if join == "merge_sorted"
            else left.sequence_equal(right, slow.equal)
        )
        beat = asyncio.create_task(slow.beat())
        async with joined.subscribe() as subscription:
            while await subscription.request(1_000_000):
                pass
        beat.cancel()
        await asyncio.wait([beat])
        return slow

    assert asyncio.run(main()).worst <= MOST_BETWEEN_TURNS
