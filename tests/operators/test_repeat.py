"""``repeat`` against reactivex: the rounds of a flow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rx

import penstock.operators as op
from penstock import empty, from_async_iterable, from_iterable, just
from penstock.errors import GraphError, NotResumable
from penstock.testing import Planted, Raise, TestSource, no_leaks
from penstock.testing import run as virtually
from penstock.testing.script import Sleep

SCHEDULES = st.lists(st.sampled_from([1, 2, 3, 100]), min_size=1, max_size=4)


@given(st.lists(st.integers(), max_size=4), st.integers(1, 4), SCHEDULES)
def test_rounds_are_those_of_reactivex(numbers: list[int], times: int, schedule: list[int]) -> None:
    """There are ``times`` rounds, each with a fresh state; a run that is resumed behind each list has the same items."""
    model: list[int] = []
    reactivex.from_iterable(numbers).pipe(rx.scan(max), rx.repeat(times)).subscribe(model.append)
    flow = from_iterable(numbers).scan(lambda acc, x: x if acc is None else max(acc, x), None).repeat(times)

    async def main() -> list[Any]:
        out: list[Any] = []
        position = None
        for n in schedule * 20:
            async with flow.subscribe(position) as subscription:
                items = await subscription.request(n)
                position = json.loads(json.dumps(subscription.position))
            out += items
            if not items:
                break
        return out

    assert virtually(main()) == model
    assert virtually(flow.to_list()) == model


def test_for_ever() -> None:
    """Without a number the rounds never end."""
    assert virtually(just(1, 2).repeat().take(7).to_list()) == [1, 2, 1, 2, 1, 2, 1]


def test_a_round_is_closed_before_the_next_one_opens() -> None:
    """Two rounds never hold the same resource, and thousands of rounds leave nothing behind."""
    open_now: list[int] = []

    async def rows() -> Any:
        assert not open_now
        open_now.append(1)
        try:
            yield len(open_now)
        finally:
            await asyncio.sleep(1)
            open_now.clear()

    async def main() -> None:
        async with no_leaks(), from_async_iterable(rows).repeat().subscribe() as subscription:
            for _ in range(1000):
                assert await subscription.request(5) == [1]
            assert not subscription.run.releases  # type: ignore[attr-defined]
            assert len(subscription.run.tasks) <= 1  # type: ignore[attr-defined]

    virtually(main())


def test_rounds_without_an_item_leave_the_loop_to_others() -> None:
    """Repeating an empty flow without end does not block the event loop, and the request can be cancelled."""

    async def main() -> None:
        async with empty().repeat().subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not request.done()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    virtually(main())


def test_draining_ends_it_within_the_round() -> None:
    """A drained run starts no further round, and its position continues inside the present one."""

    async def main() -> None:
        flow = TestSource([1, 2, Sleep(5)]).repeat()
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [1]
            await subscription.drain()
            assert await subscription.request(9) == []
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            assert [await subscription.request(1) for _ in range(3)] == [[2], [1], [2]]

    virtually(main())


def test_an_error_in_any_round_ends_it() -> None:
    """After an error the position stands before the failing input of that round."""
    good = [3]

    def check(x: int) -> int:
        good[0] -= 1
        if good[0] < 0:
            raise Planted
        return x

    async def main() -> None:
        flow = just(1, 2).map(check).repeat(3)
        async with flow.subscribe() as subscription:
            assert [await subscription.request(1) for _ in range(3)] == [[1], [2], [1]]
            with pytest.raises(Planted):
                await subscription.request(1)
            position = subscription.position
        good[0] = 99
        async with flow.subscribe(position) as subscription:
            rest = []
            while items := await subscription.request(5):
                rest += items
            assert rest == [2, 1, 2]

    virtually(main())


def test_a_failing_close_ends_it() -> None:
    """An error while closing a round ends the stream, and it is raised unchanged."""
    flow = TestSource([1], on_close=[Raise()]).repeat(2)
    with pytest.raises(Planted):
        virtually(flow.to_list())


def test_what_is_refused() -> None:
    """A single-use input and a wrong number are refused."""
    with pytest.raises(NotResumable, match=r"repeat at .* rows instead of rows\(\)"):
        from_iterable(iter([1])).map(str).repeat()
    for wrong in (-1, 1.5, True):
        with pytest.raises(GraphError, match="times"):
            op.repeat(wrong)  # type: ignore[arg-type]
