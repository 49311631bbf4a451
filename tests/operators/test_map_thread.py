"""``map_thread``, ``filter_async`` and ``for_each_async`` against models."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import DeadLetters, from_iterable
from penstock.errors import GraphError, SubscriptionClosed
from penstock.testing import Planted, RecordingLedger, Sleep, TestSource
from penstock.testing import run as virtually

SECONDS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), max_size=10)


@given(st.lists(st.integers()), st.integers(1, 4), st.booleans())
def test_map_thread_is_map(items: list[int], concurrency: int, ordered: bool) -> None:
    """It yields all results, from at most ``concurrency`` threads, none of them the loop's."""
    threads: set[int] = set()

    def double(x: int) -> int:
        threads.add(threading.get_ident())
        return x * 2

    before = threading.active_count()
    came = asyncio.run(from_iterable(items).map_thread(double, concurrency, ordered=ordered).to_list())
    assert (came if ordered else sorted(came)) == [x * 2 for x in (items if ordered else sorted(items))]
    assert len(threads) <= concurrency
    assert threading.get_ident() not in threads
    assert threading.active_count() == before


async def test_calls_overlap_and_the_loop_stays_free() -> None:
    """Calls that wait for each other, or for a task of the loop, complete."""
    barrier, opened = threading.Barrier(3), threading.Event()

    def meet(x: int) -> int:
        barrier.wait(30)
        assert opened.wait(30)
        return x

    asyncio.get_running_loop().call_later(0.01, opened.set)
    assert await from_iterable(range(6)).map_thread(meet, 3).to_list() == [*range(6)]


async def test_context_variables_are_those_of_the_first_request() -> None:
    """A call sees the context variables of the first request; a value it sets is not seen elsewhere."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    def read_and_set(x: int) -> int:
        seen = variable.get()
        variable.set(x)
        return seen

    assert await from_iterable([1, 2, 3]).map_thread(read_and_set, 1).to_list() == [7, 7, 7]
    assert variable.get() == 7


async def test_closing_waits_for_calls_under_way_and_begins_no_other() -> None:
    """Closing waits for running calls while the loop goes on; no thread is at work afterwards."""
    began: list[int] = []
    ended: list[int] = []
    release = threading.Event()

    def work(x: int) -> None:
        began.append(x)
        release.wait(30)
        ended.append(x)

    subscription = from_iterable(range(10)).map_thread(work, 2).subscribe()
    request = asyncio.create_task(subscription.request(1))
    while len(began) < 2:  # noqa: ASYNC110  threads set no event of the loop
        await asyncio.sleep(0.001)
    closing = asyncio.create_task(subscription.aclose())
    await asyncio.sleep(0.01)
    assert not closing.done()
    release.set()
    await closing
    with pytest.raises(SubscriptionClosed):
        await request
    assert sorted(began) == sorted(ended) == [0, 1]


async def test_a_stray_stop_iteration_in_a_thread_is_an_error() -> None:
    """A ``StopIteration`` of the function is a ``RuntimeError``; a future could not hold it."""
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await from_iterable([1]).map_thread(lambda _: next(iter(()))).to_list()
    assert any("map_thread at" in note for note in caught.value.__notes__)


@given(SECONDS, st.integers(1, 4), st.integers(0, 4), st.booleans())
def test_filter_async_is_filter(seconds: list[float], concurrency: int, more: int, ordered: bool) -> None:
    """It yields the items with a true answer, with at most ``concurrency`` calls under way."""
    now = most = 0

    async def long_enough(item: tuple[int, float]) -> float:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(item[1])
        now -= 1
        return item[1] >= 1

    items = list(enumerate(seconds))
    flow = TestSource(items).filter_async(
        long_enough, concurrency, ordered=ordered, window=concurrency + more
    )
    came = virtually(flow.to_list())
    assert (came if ordered else sorted(came)) == [item for item in items if item[1] >= 1]
    assert most <= concurrency


@given(SECONDS, st.integers(1, 4))
def test_for_each_async_calls_for_every_item(seconds: list[float], concurrency: int) -> None:
    """It calls once for each item, at most ``concurrency`` at a time, and keeps all workers busy."""
    done: list[int] = []
    workers = [0.0] * concurrency
    for each in seconds:
        workers.sort()
        workers[0] += each

    async def main() -> float:
        now = 0

        async def call(item: tuple[int, float]) -> None:
            nonlocal now
            now += 1
            assert now <= concurrency
            await asyncio.sleep(item[1])
            now -= 1
            done.append(item[0])

        await TestSource(list(enumerate(seconds)), style="iterable").for_each_async(call, concurrency)
        return asyncio.get_running_loop().time()

    assert virtually(main()) == max(workers)
    assert sorted(done) == list(range(len(seconds)))


def test_the_first_error_of_for_each_async_cancels_the_others() -> None:
    """The error is raised when the calls under way have ended; a note names the operator."""
    cancelled: list[int] = []

    async def call(x: int) -> None:
        try:
            await asyncio.sleep(1 if x == 1 else 100)
        except asyncio.CancelledError:
            cancelled.append(x)
            raise
        raise Planted

    async def main() -> float:
        with pytest.raises(Planted) as caught:
            await from_iterable(range(10)).for_each_async(call, 3)
        assert any("for_each_async at " in note for note in caught.value.__notes__)
        return asyncio.get_running_loop().time()

    assert virtually(main()) == 1
    assert sorted(cancelled) == [0, 2]


def test_what_is_wrong_is_said_when_the_graph_is_built() -> None:
    """Wrong functions, numbers that are too small, and a checkpoint before a node that holds items are refused."""
    flow = from_iterable([1])
    for wrong in (
        lambda: op.filter_async(None),
        lambda: op.map_thread(asyncio.sleep),
        lambda: op.map_thread(abs, 0),
    ):  # type: ignore[arg-type, return-value]
        with pytest.raises(GraphError, match=r"filter_async|map_thread"):
            wrong()

    async def call(_: int) -> None: ...

    for made in (flow, flow | op.checkpoint(RecordingLedger(), key="k")):
        with pytest.raises(GraphError, match="for_each_async"):
            virtually(made.for_each_async(call, 0 if made is flow else 1))


@pytest.mark.parametrize("ordered", [True, False])
def test_on_error_skip_leaves_out_calls_that_fail(ordered: bool) -> None:
    """An item on which the function fails is skipped, the others are delivered, and positions stay exact."""

    async def picky(x: int) -> int:
        await asyncio.sleep(x % 3)
        if x % 4 == 1:
            raise ValueError(x)
        return x

    async def main() -> None:
        letters = DeadLetters(2)
        flow = TestSource(range(10)).map_async(picky, 3, ordered=ordered) | op.on_error_skip(letters)
        told = asyncio.create_task(letters.to_list())
        position: Any = None
        came: list[int] = []
        for _ in range(12):
            async with flow.subscribe(position) as subscription:
                came += await subscription.request(1)
                position = subscription.position
        assert sorted(came) == [x for x in range(10) if x % 4 != 1]
        assert ordered is False or came == sorted(came)
        told.cancel()

    virtually(main())


def test_a_skipping_map_async_waits_for_room_among_the_dead_letters() -> None:
    """If no one reads the failures, the run stops at about their capacity."""

    async def fails(x: int) -> int:
        raise ValueError(x)

    async def main() -> None:
        letters = DeadLetters(4)
        source = TestSource([*range(100), Sleep(1)])
        flow = source.map_async(fails, 2) | op.on_error_skip(letters)
        async with flow.subscribe() as subscription:
            request = asyncio.create_task(subscription.request(1))
            await asyncio.sleep(10)
            assert not request.done()
            assert source.counts.handed < 4 + 2 * 8
            told = asyncio.create_task(letters.to_list())
            assert await request == []
        assert [letter.item for letter in await told] == list(range(100))

    virtually(main())
