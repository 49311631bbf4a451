"""Positions in pages: of any size, empty, without a position, cut differently in each run, or skipped entirely."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import from_pages
from penstock.abc import Page
from penstock.runtime.subscription import Running
from penstock.testing import run

if TYPE_CHECKING:
    from penstock.abc import Position
    from penstock.flow import Flow


@dataclass(frozen=True)
class Cut:
    """How one run of the source cuts its items into pages: their sizes, in turn, and which pages have a position."""

    sizes: tuple[int, ...]
    positioned: tuple[bool, ...]
    turns: tuple[int, ...] = (0,)

    def flow(self, total: int, *, seekable: bool) -> Flow[int]:
        """Return ``range(total)`` in these pages; a position is ``[items before it, pages before it]``."""

        async def pages(position: Any = None) -> AsyncIterator[Any]:
            came, serial = position or (0, 0)
            sizes, positioned, turns = cycle((*self.sizes, 1)), cycle(self.positioned), cycle(self.turns)
            while came < total or serial % 3:  # up to two empty pages at the end
                for _ in range(next(turns)):
                    await asyncio.sleep(0)
                items = list(range(came, min(came + next(sizes), total)))
                came, serial = came + len(items), serial + 1
                if seekable:
                    yield Page(items, [came, serial] if next(positioned) else None)
                else:
                    yield items

        return from_pages(pages, seekable=seekable, page_size=5)


CUTS = st.builds(
    Cut,
    st.lists(st.integers(0, 5), min_size=1, max_size=6).map(tuple),
    st.lists(st.booleans(), min_size=1, max_size=3).map(tuple),
    st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple),
)
RUNS = st.lists(st.tuples(CUTS, st.lists(st.integers(1, 7), max_size=4), st.integers(0, 7)), max_size=6)


def place(position: Position) -> tuple[int, int]:
    """Return how many items stand before a position, and at least how many pages."""
    state = next(iter(position["nodes"].values()), None) or {"at": None, "skip": 0}
    items, pages = state["at"] or (0, 0)
    return items + state["skip"], pages


@settings(max_examples=2 * settings.default.max_examples)
@given(st.integers(0, 12), RUNS, CUTS, st.booleans())
def test_positions_only_go_forwards(
    total: int, runs: list[tuple[Cut, list[int], int]], rest: Cut, seekable: bool
) -> None:
    """For all cuts of pages and runs, no item is lost or repeated, and no position goes back."""

    async def main() -> None:
        position: Position | None = None
        came: list[int] = []
        last = (0, 0)
        for cut, schedule, most in [*runs, (rest, [3] * (total + 1), 7)]:
            async with Running[int](cut.flow(total, seekable=seekable).node, position) as running:
                items: list[int] = []
                for n in schedule:
                    assert place(running.position) >= last
                    last = place(running.position)
                    assert last[0] == len(came) + len(items)
                    before, items = came + items, await running.request(n)
                    came = before
                marks, source = running._stage.marks(), running._vertex.id
                kept = min(most, len(items))
                places = [place({"nodes": {source: marks(i)[source]}}) for i in range(len(items) + 1)]
                assert [items for items, _ in places] == [len(came) + i for i in range(len(items) + 1)]
                assert places == sorted(places)
                assert places[0] >= last
                last = places[kept]
                position = {
                    "v": 1,
                    "nodes": {source: marks(kept)[source]},
                }  # as if the rest were lost behind it
                came = came + items[:kept]
        assert came == list(range(total))

    run(main())


@pytest.mark.parametrize("sizes", [(1, 2), (2, 0, 1), (0,)])
def test_a_position_stays_behind_pages_that_a_resumed_run_skips(sizes: tuple[int, ...]) -> None:
    """A run that starts behind three items has that position while it skips them, and if it is closed at once."""

    async def main() -> None:
        flow = Cut(sizes, (True,)).flow(5, seekable=False)
        async with flow.subscribe() as subscription:
            for _ in range(3):
                await subscription.request(1)
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            assert place(subscription.position) == (3, 0)
            assert await subscription.request(1) == [3]
            stage: Any = subscription
            key = stage._vertex.id
            assert stage._stage.marks()(0)[key] == {"at": None, "skip": 3}
            assert place(subscription.position) == (4, 0)

    run(main())


def test_empty_pages_move_a_position_without_an_item() -> None:
    """The position stands behind the empty pages that came, even if no page had an item."""

    async def main() -> None:
        async def pages(position: Any) -> AsyncIterator[Page[int]]:
            for number in range(position or 0, 1000):
                yield Page([], number + 1)

        async with from_pages(pages, seekable=True).subscribe() as subscription:
            assert await subscription.request(1) == []
            (state,) = subscription.position["nodes"].values()
            assert state == {"at": 1000, "skip": 0}
            stage: Any = subscription
            assert len(stage._stage._turns) == 1

    run(main())
