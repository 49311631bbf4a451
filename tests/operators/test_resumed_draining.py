"""Resumed runs that must begin with an item of one input, and are drained, or fail, before it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import penstock.operators as op
from penstock import from_iterable
from penstock.testing import Planted, Raise, Sleep, TestSource
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from penstock import Flow, Position

AT_ONCE = (10, 20, 30)
LATE = (Sleep(1), 1, 2, 3)


def resumed_in(flow: Flow[Any], state: Any) -> Position:
    """Return the position of a run that was cut when its last node had ``state``."""

    async def main() -> Position:
        async with flow.subscribe() as subscription:
            return subscription.position

    position = virtually(main())
    *_, last = position["nodes"]
    position["nodes"][last] = state
    return position


async def rest(flow: Flow[Any], position: Position) -> list[Any]:
    out: list[Any] = []
    async with flow.subscribe(position) as subscription:
        while items := await subscription.request(5):
            out += items
    return out


def two(first: tuple[Any, ...], second: tuple[Any, ...], name: str, **options: Any) -> Flow[Any]:
    joined: Flow[Any] = TestSource(first) | getattr(op, name)(TestSource(second), **options)
    return joined


def flows(k: int) -> Flow[int]:
    return TestSource(LATE if k else AT_ONCE)


@pytest.mark.parametrize(
    ("flow", "state"),
    [
        (two(LATE, AT_ONCE, "merge"), {"next": 0}),
        (
            from_iterable([0, 1]) | op.flat_map_merge(flows, concurrency=2),
            {"open": [], "started": 0, "next": 1},
        ),
        (two(LATE, AT_ONCE, "combine_latest"), [0]),
        (two(AT_ONCE, LATE, "with_latest_from"), [1]),
    ],
    ids=["merge", "flat_map_merge", "combine_latest", "with_latest_from"],
)
def test_drained_before_the_item_to_begin_with(flow: Flow[Any], state: Any) -> None:
    """The run ends, because items of other inputs must not come first. Its position equals the one it started from."""
    before = resumed_in(flow, state)

    async def drained() -> Position:
        async with flow.subscribe(before) as subscription:
            pending = asyncio.ensure_future(subscription.request(5))
            await asyncio.sleep(0.5)
            await subscription.drain()
            assert await pending == []
            return subscription.position

    assert virtually(rest(flow, virtually(drained()))) == virtually(rest(flow, before))


def test_merge_begins_with_an_input_that_fails() -> None:
    """Even with ``delay_errors`` it fails at once: items of other inputs must not come before the item cut in."""
    flow = two((Raise(),), AT_ONCE, "merge", delay_errors=True)
    with pytest.raises(Planted):
        virtually(rest(flow, resumed_in(flow, {"next": 0})))


def test_flat_map_merge_begins_with_a_flow_that_is_gone() -> None:
    """If there are fewer inputs than in the earlier run, the others continue."""
    flow = from_iterable([0]) | op.flat_map_merge(flows, concurrency=2)
    position = resumed_in(flow, {"open": [], "started": 0, "next": 1})
    assert virtually(rest(flow, position)) == list(AT_ONCE)
