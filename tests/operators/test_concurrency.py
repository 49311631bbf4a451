"""``map_async``, ``buffer``, ``merge`` and ``concat`` against models, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import empty, fail, from_async_iterable, from_iterable, just, never
from penstock.errors import GraphError, NotResumable
from penstock.testing import Planted, Sleep, TestSource, no_leaks
from penstock.testing import run as virtually

SECONDS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), max_size=12)
SCHEDULES = st.lists(st.sampled_from([1, 2, 3, 1000]), min_size=1, max_size=4)


class Calls:
    """An async function that takes as long as its item says, and records its calls."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.now = self.most = self.begun = self.cancelled = 0

    async def __call__(self, item: tuple[int, float]) -> int:
        number, seconds = item
        self.now, self.begun = self.now + 1, self.begun + 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
            if number == self.fails_at:
                raise Planted
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return number


async def take_all(subscription: Any, schedule: list[int], out: list[Any]) -> None:
    """Append all items to ``out`` until an error is raised."""
    for n in itertools.cycle(schedule):
        out += await subscription.request(n)


async def drained(flow: Any, schedule: list[int]) -> list[Any]:
    out: list[Any] = []
    async with flow.subscribe() as subscription:
        for n in itertools.cycle(schedule):
            got = await subscription.request(n)
            assert len(got) <= n
            if not got:
                break
            out += got
    return out


# -- map_async ---------------------------------------------------------------------------------------


@given(SECONDS, st.integers(1, 4), st.integers(0, 4), st.booleans(), SCHEDULES)
def test_map_async_is_map_with_a_bounded_window(
    seconds: list[float],
    concurrency: int,
    more: int,
    ordered: bool,
    schedule: list[int],
) -> None:
    """It yields all results, with at most ``concurrency`` calls and ``window`` inputs under way."""
    calls, window = Calls(), concurrency + more
    source = TestSource(list(enumerate(seconds)), style="iterable")

    async def main() -> list[int]:
        flow = source.map_async(calls, concurrency, ordered=ordered, window=window)
        out: list[int] = []
        async with flow.subscribe() as subscription:
            for n in itertools.cycle(schedule):
                got = await subscription.request(n)
                assert source.counts.handed - len(out) - len(got) <= window
                if not got:
                    return out
                out += got
        raise AssertionError

    out = virtually(main())
    assert (out if ordered else sorted(out)) == list(range(len(seconds)))
    assert calls.most <= concurrency
    assert (calls.begun, calls.cancelled) == (len(seconds), 0)


@given(SECONDS, SCHEDULES)
def test_unordered_results_come_as_they_complete(seconds: list[float], schedule: list[int]) -> None:
    """If all calls are under way at once, results arrive in order of their duration."""
    calls = max(len(seconds), 1)

    async def main() -> list[int]:
        flow = from_iterable(list(enumerate(seconds))).map_async(Calls(), calls, ordered=False)
        return await drained(flow, schedule)

    came = virtually(main())
    assert [seconds[number] for number in came] == sorted(seconds)
    assert sorted(came) == list(range(len(seconds)))


@given(SECONDS.filter(bool), st.data(), st.integers(1, 4), st.booleans(), SCHEDULES)
def test_a_failing_call_ends_the_stream_behind_what_is_settled(
    seconds: list[float],
    data: Any,
    concurrency: int,
    ordered: bool,
    schedule: list[int],
) -> None:
    """Results before the failing item come first (unordered: none twice), then the error; the position is before it."""
    at = data.draw(st.integers(0, len(seconds) - 1))

    def flow(calls: Calls) -> Any:
        return from_iterable(list(enumerate(seconds))).map_async(calls, concurrency, ordered=ordered)

    async def main() -> None:
        out: list[int] = []
        async with flow(Calls(at)).subscribe() as subscription:
            with pytest.raises(Planted) as caught:
                await take_all(subscription, schedule, out)
            position = subscription.position
            assert any("in map_async at" in note for note in caught.value.__notes__)
        if ordered:
            assert out == list(range(at))
        assert at not in out
        async with flow(Calls()).subscribe(position) as subscription:
            while got := await subscription.request(3):
                out += got
        assert sorted(out) == list(range(len(seconds)))

    virtually(main())


def test_a_call_cancelled_from_outside_is_an_error_not_a_cancellation() -> None:
    """If a future that the function awaits is cancelled, the run fails; the consumer is not cancelled."""

    async def main() -> None:
        async def function(x: int) -> int:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(1, future.cancel)
            return await future

        for ordered in (True, False):
            with pytest.raises(RuntimeError, match="cancelled from outside"):
                await just(1, 2, 3).map_async(function, ordered=ordered).to_list()

    virtually(main())


def test_closing_cancels_the_calls_under_way() -> None:
    """``aclose`` cancels the calls, waits for their clean-up, and leaves no task behind."""

    async def main() -> None:
        async with no_leaks():
            calls = Calls()
            async with (
                from_iterable([(i, 100.0) for i in range(9)]).map_async(calls, 3).subscribe() as subscription
            ):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(5):
                        await subscription.request(1)
                assert calls.now == 3
            assert (calls.now, calls.cancelled) == (0, 3)

    virtually(main())


def test_cancelling_a_request_leaves_the_calls_alone() -> None:
    """A request that times out interrupts no call; the next request returns the result."""

    async def main() -> None:
        calls = Calls()
        async with just((0, 3.0)).map_async(calls, 1).subscribe() as subscription:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await subscription.request(1)
            assert await subscription.request(1) == [0]
            assert (calls.begun, calls.cancelled) == (1, 0)

    virtually(main())


def test_map_async_checks_its_arguments() -> None:
    """Concurrency and window must be whole numbers, and the window at least as large as the concurrency."""

    async def function(x: int) -> int:
        return x

    for wrong in (0, -1, 2.5, True):
        with pytest.raises(GraphError, match="concurrency"):
            op.map_async(function, wrong)  # type: ignore[arg-type]
        with pytest.raises(GraphError, match="window"):
            op.map_async(function, 2, window=wrong)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="must hold what is under way"):
        op.map_async(function, 4, window=3)


async def test_a_function_that_is_not_async_is_told() -> None:
    """A plain function is a ``TypeError`` with a note that names the operator."""
    with pytest.raises(TypeError) as caught:
        await just(1).map_async(lambda x: x).to_list()  # type: ignore[arg-type, return-value]
    assert "in map_async at" in caught.value.__notes__[0]


# -- buffer, concat, merge ---------------------------------------------------------------------------


@given(st.integers(0, 20), st.integers(1, 5), SCHEDULES)
def test_buffer_changes_nothing_but_holds_no_more(count: int, capacity: int, schedule: list[int]) -> None:
    """It yields the same items, and at most ``capacity`` are fetched and not delivered."""
    source = TestSource(range(count))

    async def main() -> None:
        out: list[int] = []
        async with source.buffer(capacity).subscribe() as subscription:
            for n in itertools.cycle(schedule):
                got = await subscription.request(n)
                out += got
                for _ in range(30):
                    await asyncio.sleep(0)
                assert source.counts.handed - len(out) <= capacity
                if not got:
                    break
        assert out == list(range(count))

    virtually(main())


def test_a_request_passes_an_empty_buffer() -> None:
    """It receives as many items as it wants if upstream has them; a buffer that may lose some never does this."""

    async def first(flow: Any, n: int) -> tuple[int, int]:
        async with flow.subscribe() as subscription:
            count = len(await subscription.request(n))
            await asyncio.sleep(1)
            return count, len(await subscription.request(n))

    numbers = from_iterable(range(100))
    assert virtually(first(numbers.buffer(4), 20)) == (20, 4)
    assert virtually(first(numbers.buffer(4), 2)) == (2, 2)
    assert virtually(first(numbers.batch(3).buffer(4), 20)) == (4, 4)  # 20 lists would be more than M(n)
    assert virtually(first(numbers.limit_demand(4), 20)) == (4, 3)
    assert virtually(first(numbers.buffer(4, "drop_newest"), 20)) == (4, 4)


def test_buffer_works_while_the_consumer_does() -> None:
    """Ten items, produced and consumed in one second each, take eleven seconds instead of twenty."""

    async def main() -> float:
        async for _ in (
            TestSource([Sleep(1.0) if k % 2 == 0 else k for k in range(20)]).buffer(2).requesting(1)
        ):
            await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(11)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=4), SCHEDULES, st.booleans())
def test_concat_and_merge_hold_all_items(
    lists: list[list[int]],
    schedule: list[int],
    generators: bool,
) -> None:
    """``concat`` equals ``chain``; ``merge`` yields the same items and keeps the order within each input."""
    marked = [[(k, x) for x in items] for k, items in enumerate(lists)]

    def flows() -> list[Any]:
        style: Any = "generator" if generators else "iterable"
        return [TestSource(items, style=style) for items in marked]

    first, *others = flows()
    assert virtually(drained(first.concat(*others), schedule)) == list(itertools.chain(*marked))
    first, *others = flows()
    merged = virtually(drained(first.merge(*others), schedule))
    assert [[item for item in merged if item[0] == k] for k in range(len(lists))] == marked


def test_concat_starts_an_input_when_the_one_before_has_ended() -> None:
    """The second input starts when the first has ended; its error is raised."""

    async def main() -> None:
        second = TestSource([1])
        async with just(0).concat(second, fail(Planted)).subscribe() as subscription:
            assert await subscription.request(5) == [0]
            assert second.counts.opened == 0
            assert await subscription.request(5) == [1]
            with pytest.raises(Planted):
                await subscription.request(5)

    virtually(main())


def test_merge_delivers_before_it_fails() -> None:
    """Items that other inputs have ready come before an error; then every request raises it."""

    async def main() -> None:
        async with just(1, 2).merge(fail(Planted)).subscribe() as subscription:
            assert await subscription.request(5) == [1, 2]
            for _ in range(2):
                with pytest.raises(Planted):
                    await subscription.request(5)

    virtually(main())


def test_merge_is_not_starved_by_a_busy_input() -> None:
    """An input that always has items ready does not starve the others."""

    async def main() -> None:
        async with from_iterable(itertools.count()).merge(from_iterable("abc")).subscribe() as subscription:
            seen = [item for _ in range(12) for item in await subscription.request(2)]
            assert [item for item in seen if isinstance(item, str)] == ["a", "b", "c"]

    virtually(main())


def test_merge_waits_for_whoever_comes_first() -> None:
    """An input that never yields does not block the others; a drained merge completes."""

    async def main() -> None:
        async def slow() -> Any:
            await asyncio.sleep(2)
            yield "slow"

        async with never().merge(from_async_iterable(slow), empty()).subscribe() as subscription:
            assert await subscription.request(3) == ["slow"]
            await subscription.drain()
            assert await subscription.request(3) == []

    virtually(main())


def test_joins_of_no_other_are_the_flow_itself() -> None:
    """``concat()`` and ``merge()`` without arguments yield the flow's own items."""
    for join in (op.concat(), op.merge()):
        assert virtually((from_iterable(range(3)) | join).to_list()) == [0, 1, 2]


def test_a_flat_map_behind_unordered_work_gives_no_position() -> None:
    """Completion order is not deterministic, so a position is refused; the message names ``flat_map``."""

    async def main() -> None:
        async def function(x: int) -> int:
            return x

        flow = from_iterable(range(3)).map_async(function, ordered=False).flat_map(lambda x: [x, x])
        assert not flow.resumable
        async with flow.subscribe() as subscription:
            await subscription.request(1)
            with pytest.raises(NotResumable, match="flat_map"):
                _ = subscription.position

    virtually(main())
