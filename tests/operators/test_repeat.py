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


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.sampled_from([0, 4, 5]))
def test_rounds_begin_every_so_many_seconds(durations: list[int], every: int) -> None:
    """They begin that long after each other, or at once after a round that took longer."""
    rounds = iter(durations)
    began: list[float] = []

    async def rows() -> Any:
        began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(next(rounds))
        yield len(began)

    flow = from_async_iterable(rows).repeat(len(durations), every=every)
    assert virtually(flow.to_list()) == list(range(1, len(durations) + 1))
    wanted = [0.0]
    for duration in durations[:-1]:
        wanted.append(wanted[-1] + max(duration, every))
    assert began == wanted


@given(st.lists(st.integers(0, 3), max_size=8), SCHEDULES)
def test_until_is_asked_about_the_last_item_of_each_round(numbers: list[int], schedule: list[int]) -> None:
    """The first round whose last item satisfies it is the last one, also in runs resumed behind each list."""
    done = 2
    rounds = [numbers[k : k + 2] for k in range(0, len(numbers), 2)] + [[1, done], [0]]
    ends = next(k for k, items in enumerate(rounds) if items[-1] == done)
    model = [item for items in rounds[: ends + 1] for item in items]

    class Polled:
        number = -1

        def __call__(self) -> Any:
            self.number += 1
            return rounds[self.number]

    async def main() -> list[Any]:
        out: list[Any] = []
        polled, position = Polled(), None
        flow = from_iterable(polled).repeat(until=lambda x: x == done)
        for n in schedule * 20:
            async with flow.subscribe(position) as subscription:
                items = await subscription.request(n)
                position = json.loads(json.dumps(subscription.position))
                polled.number = position["nodes"]["repeat#1"][0] - 1
            out += items
            if not items:
                break
        return out

    assert virtually(main()) == model
    assert virtually(from_iterable(Polled()).repeat(until=lambda x: x == done).to_list()) == model


def test_waiting_for_the_next_round() -> None:
    """A request that waits can be cancelled, and draining ends the wait; a round without items is no end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        flow = empty().concat(just(1)).repeat(every=10, until=lambda _: False)
        async with no_leaks(), flow.subscribe() as subscription:
            assert await subscription.request(1) == [1]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(subscription.request(1), 5)
            assert (await subscription.request(1), loop.time()) == ([1], 10.0)
            pending = asyncio.create_task(subscription.request(1))
            await asyncio.sleep(1)
            await subscription.drain()
            assert (await pending, loop.time()) == ([], 11.0)
        assert await empty().repeat(3, every=10, until=lambda _: True).to_list() == []
        assert loop.time() == 31.0

    virtually(main())


def test_a_failing_until_ends_it() -> None:
    """Its error comes behind the items before, with a note, and the position stands before its item."""

    def until(x: int) -> bool:
        if x == 2:
            raise Planted
        return True

    async def main() -> list[int]:
        async with just(1, 2).repeat(until=until).subscribe() as subscription:
            came = await subscription.request(5)
            for _ in range(2):
                with pytest.raises(Planted) as caught:
                    await subscription.request(5)
                assert caught.value.__notes__[0].startswith("penstock: in repeat at")
            position = subscription.position
        async with just(1, 2).repeat(until=lambda _: True).subscribe(position) as subscription:
            return [*came, *await subscription.request(5), *await subscription.request(5)]

    assert virtually(main()) == [1, 2]


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

    async def later(_: int) -> bool:
        return True

    with pytest.raises(GraphError, match="every"):
        op.repeat(every=-1)
    with pytest.raises(GraphError, match="is async"):
        op.repeat(until=later)
