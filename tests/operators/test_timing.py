"""Operators that depend on time, against RxPY's test scheduler, small models, and their own promises."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rx
from reactivex.testing import ReactiveTest, TestScheduler

import penstock.operators as op
from penstock import Flow, from_async_iterable, interval, just, timer
from penstock.errors import GraphError, SubscriptionClosed
from penstock.testing import Planted, no_leaks
from penstock.testing import run as virtually

Timed = list[tuple[float, Any]]

GAPS = st.lists(st.integers(0, 9).map(lambda k: 2 * k + 1), max_size=8)
"""Seconds between items, odd, so that no item comes at the moment of an even tick or deadline."""


def arriving(gaps: list[int], last: int = 1, error: Exception | None = None) -> Flow[int]:
    """Emit 0, 1, 2, …, each some seconds after the one before; then end or fail."""

    async def rows() -> Any:
        for i, gap in enumerate(gaps):
            await asyncio.sleep(gap)
            yield i
        await asyncio.sleep(last)
        if error is not None:
            raise error

    return from_async_iterable(rows)


async def observed(flow: Flow[Any], n: int = 3, most: float = 1e4) -> tuple[Timed, float | None]:
    """Return the items that an instant consumer sees, with their times, and the time of the end (``None``: an error)."""
    loop = asyncio.get_running_loop()
    came: Timed = []
    async with flow.subscribe() as subscription:
        while loop.time() < most:
            try:
                items = await subscription.request(n)
            except (Planted, TimeoutError):
                return came, None
            if not items:
                return came, loop.time()
            came += [(loop.time(), item) for item in items]
    return came, -1.0


def oracle(step: Any, gaps: list[int], last: int = 1, *, fails: bool = False) -> tuple[Timed, float | None]:
    """Return RxPY's result for the same items at the same times."""
    scheduler, at, base = TestScheduler(), 0, 1_000
    messages = []
    for i, gap in enumerate(gaps):
        at += gap
        messages.append(ReactiveTest.on_next(base + at, i))
    end: Any = (
        ReactiveTest.on_error(base + at + last, Planted())
        if fails
        else ReactiveTest.on_completed(base + at + last)
    )
    source = scheduler.create_hot_observable([*messages, end])
    seen = scheduler.start(lambda: source.pipe(step(scheduler)), created=1, subscribed=base, disposed=100_000)
    values = [(m.time - base, m.value.value) for m in seen.messages if m.value.kind == "N"]
    ends = [m.time - base for m in seen.messages if m.value.kind == "C"]
    return values, ends[0] if ends else None


# -- against RxPY ------------------------------------------------------------------------------------


@given(GAPS, st.integers(1, 6).map(lambda k: 2 * k), st.booleans())
def test_debounce_is_that_of_rx(gaps: list[int], seconds: int, fails: bool) -> None:
    """The same items at the same times; the last one comes at the end at once, and none at an error."""
    flow = arriving(gaps, error=Planted() if fails else None) | op.debounce(seconds)
    wanted = oracle(lambda s: rx.debounce(seconds, s), gaps, fails=fails)
    assert virtually(observed(flow)) == wanted


@given(GAPS, st.integers(1, 12).map(lambda k: k + 0.123), st.booleans())
def test_sample_is_that_of_rx_but_for_its_end(gaps: list[int], every: float, by_flow: bool) -> None:
    """The same items; we emit the last one at the end, where RxPY drops it and delays the end to the next tick."""
    flow = arriving(gaps) | op.sample(interval(every) if by_flow else every)
    came, end = virtually(observed(flow))
    wanted, _ = oracle(lambda s: rx.sample(every, s), gaps)
    ended = sum(gaps) + 1
    assert [item for _, item in came] == [item for _, item in wanted]
    assert [time for time, _ in came] == pytest.approx([min(time, ended) for time, _ in wanted])
    assert end == ended


@given(GAPS, st.integers(1, 12).map(lambda k: 2 * k), st.booleans())
def test_throttle_first_is_that_of_rx(gaps: list[int], seconds: int, fails: bool) -> None:
    """The first item of each burst comes at its own time, and an error is passed on at once."""
    ours = virtually(
        observed(arriving(gaps, error=Planted() if fails else None) | op.throttle_first(seconds))
    )
    assert ours == oracle(lambda s: rx.throttle_first(seconds, s), gaps, fails=fails)


@given(GAPS, st.integers(0, 20), st.sampled_from([1, 3, 100]))
def test_delay_is_that_of_rx(gaps: list[int], seconds: int, n: int) -> None:
    """Items and the end come later by the given seconds."""
    flow = arriving(gaps) | op.delay(seconds)
    assert virtually(observed(flow, n)) == oracle(lambda s: rx.delay(seconds, s), gaps)


@given(GAPS, st.integers(1, 8).map(lambda k: 2 * k), st.booleans())
def test_timeout_is_that_of_rx(gaps: list[int], seconds: int, other: bool) -> None:
    """The same items until the timeout; then an error, or the items of the fallback."""
    fallback = just("a", "b") if other else None
    flow = arriving(gaps) | op.timeout(seconds, fallback=fallback)
    came, end = virtually(observed(flow, 1))
    wanted, _ = oracle(lambda s: rx.timeout(seconds, scheduler=s), gaps)
    late = next((k for k, gap in enumerate([*gaps, 1]) if gap > seconds), None)
    if late is None:
        assert (came, end) == (wanted, sum(gaps) + 1)
        return
    when = sum(gaps[:late]) + seconds
    assert came == wanted + ([(when, "a"), (when, "b")] if other else [])
    assert end == (when if other else None)


@given(GAPS)
def test_elapsed_and_timestamp_are_those_of_rx(gaps: list[int]) -> None:
    """Seconds since the item before, and Unix time by the run's clock."""
    came, _ = virtually(observed(arriving(gaps) | op.elapsed()))
    wanted, _ = oracle(rx.time_interval, gaps)
    assert [pair for _, pair in came] == [(w.interval.total_seconds(), w.value) for _, w in wanted]
    stamped, _ = virtually(observed(arriving(gaps) | op.timestamp()))
    epochs = {round(stamp - time, 6) for time, (stamp, _) in stamped}
    assert len(epochs) <= 1


# -- against small models ----------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 6), max_size=12),
    st.sampled_from([0.5, 1, 2, 4]),
    st.integers(1, 4),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_throttle_is_a_token_bucket(gaps: list[int], rate: float, burst: int, schedule: list[int]) -> None:
    """No item is lost, and in any period at most the burst and the tokens that flowed in pass."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        out: Timed = []
        async with (arriving(gaps, 0) | op.throttle(rate, burst=burst)).subscribe() as subscription:
            for n in itertools.cycle(schedule):
                if not (items := await subscription.request(n)):
                    break
                out += [(loop.time(), item) for item in items]
        assert [item for _, item in out] == list(range(len(gaps)))
        for i, (time, _) in enumerate(out):
            for later, (then, _) in enumerate(out[i:], 1):
                assert later <= burst + (then - time) * rate + 1e-6

    virtually(main())


@given(
    st.lists(st.integers(0, 6), max_size=12),
    st.integers(1, 4),
    st.sampled_from([0.1, 1, 5.5]),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_a_rolling_throttle_lets_each_item_pass_as_soon_as_the_window_allows(
    gaps: list[int], rate: int, per: float, schedule: list[int]
) -> None:
    """An item passes when it comes, or ``per`` seconds after the item ``rate`` places before it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        out: list[float] = []
        async with (arriving(gaps, 0) | op.throttle(rate, per=per, rolling=True)).subscribe() as subscription:
            for n in itertools.cycle(schedule):
                asked = loop.time()
                if not (items := await subscription.request(n)):
                    break
                due = out[-rate] + per if len(out) >= rate else 0
                assert loop.time() >= due
                if all(gap == 0 for gap in gaps):
                    assert loop.time() == max(asked, due)
                out += [loop.time()] * len(items)
        assert len(out) == len(gaps)
        assert all(then - time >= per - 1e-9 for time, then in zip(out, out[rate:], strict=False))

    virtually(main())


@pytest.mark.parametrize("rolling", [False, True])
def test_throttle_notices_a_known_end_at_once(rolling: bool) -> None:
    """A source that knows its end is not kept waiting for the next item that would be allowed."""

    async def main() -> float:
        await just(1, 2).throttle(1, per=60, rolling=rolling).run()
        return asyncio.get_running_loop().time()

    assert virtually(main()) == 60


def test_a_rolling_throttle_is_no_bucket() -> None:
    """It takes a whole number and no burst, and ``burst`` is never taken for ``per``."""
    made: Any = just(1)
    with pytest.raises(GraphError, match=r"throttle\(rate=0.5\).*whole number"):
        made.throttle(0.5, rolling=True)
    with pytest.raises(GraphError, match="Leave out one of the two"):
        made.throttle(2, burst=2, rolling=True)
    with pytest.raises(TypeError):
        made.throttle(50, 10)


def test_throttle_in_numbers() -> None:
    """Three at once, then one every two seconds; while the consumer is away, the bucket fills again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with (interval(0.001) | op.throttle(30, per=60, burst=3)).subscribe() as subscription:
            times = []
            for _ in range(6):
                await subscription.request(1)
                times.append(round(loop.time(), 2))
            assert times == [0, 0, 0, 2, 4, 6]
            await asyncio.sleep(100)
            assert len(await subscription.request(9)) == 3

    virtually(main())


@given(GAPS, st.integers(1, 5).map(lambda k: 2 * k))
def test_keep_alive_fills_the_silence(gaps: list[int], seconds: int) -> None:
    """Between two items there is one inserted item for each full period of silence."""
    came, _ = virtually(observed(arriving(gaps) | op.keep_alive(seconds, None)))
    wanted: Timed = []
    now = 0
    for i, gap in enumerate([*gaps, 1]):
        wanted += [(now + k * seconds, None) for k in range(1, gap // seconds + 1)]
        now += gap
        wanted += [(now, i)] * (i < len(gaps))
    assert came == wanted


@given(st.integers(1, 5), st.lists(st.integers(0, 12), min_size=1, max_size=5))
def test_interval_keeps_its_grid_whatever_the_consumer_does(seconds: int, pauses: list[int]) -> None:
    """All numbers that are due come at once, none is lost, and the next one is on the grid again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        out: list[int] = []
        async with interval(seconds).subscribe() as subscription:
            for pause in [0, *pauses]:
                await asyncio.sleep(pause)
                due = int(loop.time() / seconds) - len(out)
                items = await subscription.request(100)
                assert len(items) == max(due, 1)
                assert due > 0 or loop.time() % seconds == 0
                out += items
            assert out == list(range(len(out)))
            position = subscription.position
        async with interval(seconds).subscribe(position) as subscription:
            began = loop.time()
            assert await subscription.request(1) == [len(out)]
            assert loop.time() == began + seconds

    virtually(main())


def test_a_timer_is_one_tick() -> None:
    """A timer emits one item, even after zero seconds."""
    assert virtually(observed(timer(3))) == ([(3, 0)], 3)
    assert virtually(observed(timer(0))) == ([(0, 0)], 0)


# -- what they promise themselves --------------------------------------------------------------------


def test_a_slow_consumer_is_not_upstreams_fault() -> None:
    """The time between two requests causes neither a timeout nor an inserted item."""

    async def main() -> None:
        flow = arriving([1] * 5) | op.timeout(2) | op.keep_alive(2, None)
        out = []
        async with flow.subscribe() as subscription:
            while items := await subscription.request(1):
                out += items
                await asyncio.sleep(100)
        assert out == list(range(5))

    virtually(main())


def test_cancelled_requests_do_not_reset_a_timeout() -> None:
    """A consumer that cancels each request after one second gets the timeout of five seconds after five requests."""

    async def main() -> None:
        async with (arriving([1000]) | op.timeout(5)).subscribe() as subscription:
            for _ in range(4):
                with pytest.raises(TimeoutError) as given_up:
                    async with asyncio.timeout(1):
                        await subscription.request(1)
                assert not hasattr(given_up.value, "__notes__")
                await asyncio.sleep(50)
            with pytest.raises(TimeoutError, match="from_async_iterable gave no item within 5 s") as caught:
                await subscription.request(1)
            assert asyncio.get_running_loop().time() == 4 * 51 + 1
            assert [f"in timeout at {__file__}" in note for note in caught.value.__notes__] == [True]

    virtually(main())


def test_a_timeout_error_of_upstreams_own_is_its_own() -> None:
    """Upstream's own ``TimeoutError`` is passed on and does not start the fallback."""

    async def main() -> None:
        error = TimeoutError("of the database")
        flow = arriving([1], error=error) | op.timeout(5, fallback=just(9)) | op.keep_alive(7, None)
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [0]
            with pytest.raises(TimeoutError) as caught:
                await subscription.request(1)
            assert caught.value is error

    virtually(main())


def test_retry_goes_on_behind_a_timeout() -> None:
    """The position stands before the item that came too late."""
    slow = iter([100, 1, 1])

    async def rows() -> Any:
        yield 0
        await asyncio.sleep(next(slow))
        yield 1

    async def main() -> None:
        async with no_leaks():
            flow = from_async_iterable(rows) | op.timeout(5) | op.retry(attempts=2)
            assert await flow.to_list() == [0, 1]

    virtually(main())


def test_a_fallback_takes_over_for_good_and_resumes() -> None:
    """Upstream is closed after the switch, and a position inside the fallback resumes there."""

    async def main() -> None:
        flow = arriving([1, 100]) | op.timeout(5, fallback=just(7, 8, 9))
        async with no_leaks():
            async with flow.subscribe() as subscription:
                assert await subscription.request(9) == [0]
                assert await subscription.request(2) == [7, 8]
                position = subscription.position
            async with flow.subscribe(position) as subscription:
                assert await subscription.request(9) == [9]
                assert await subscription.request(9) == []
        assert flow.order == "timed"
        assert (arriving([]) | op.timeout(1)).order == "exact"

    virtually(main())


def test_delay_holds_no_more_than_its_capacity() -> None:
    """Upstream is not asked for more while ``capacity`` items wait."""
    handed: list[int] = []

    async def rows() -> Any:
        for i in range(10):
            handed.append(i)
            yield i

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with (from_async_iterable(rows) | op.delay(5, 3)).subscribe() as subscription:
            waiting = asyncio.create_task(subscription.request(1))
            await asyncio.sleep(4)
            assert len(handed) <= 4
            assert await waiting == [0]
            assert loop.time() == 5

    virtually(main())


def test_an_item_that_waits_is_read_again_after_a_failure() -> None:
    """The item that debounce or sample held when upstream failed comes in the resumed run."""

    async def main() -> None:
        for step in (op.debounce(4), op.sample(4), op.sample(interval(4))):
            failing = arriving([1, 8, 1], error=Planted("x")) | step
            async with failing.subscribe() as subscription:
                assert await subscription.request(1) == [0]
                with pytest.raises(Planted):
                    await subscription.request(1)
                position = subscription.position
            async with (arriving([1, 8, 1]) | step).subscribe(position) as subscription:
                rest = [x for _ in range(3) for x in await subscription.request(1)]
            assert rest[-1] == 2

    virtually(main())


def test_dropped_items_are_counted_and_settled() -> None:
    """Statistics count dropped items; a resumed run does not read them again."""

    async def main() -> None:
        first = arriving([1] * 5, last=9) | op.throttle_first(9)
        async with first.subscribe() as subscription:
            assert (await subscription.request(1), await subscription.request(1)) == ([0], [])
            assert subscription.statistics().stages[-1].dropped == 4
        flow = arriving([1] * 5, last=9) | op.debounce(2)
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [4]
            assert subscription.statistics().stages[-1].dropped == 4
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            assert await subscription.request(1) == []

    virtually(main())


def test_sampling_at_a_rate_no_loop_keeps_up_with_still_gives_items() -> None:
    """With a period shorter than a turn of the loop, the source is still read."""
    came, _ = virtually(observed(arriving([1, 1, 1]) | op.sample(1e-9)))
    assert [item for _, item in came] == [0, 1, 2]


@pytest.mark.parametrize(
    "step",
    [
        op.throttle(0.001),
        op.delay(1000),
        op.debounce(1000),
        op.sample(1000),
        op.sample(interval(1000)),
        op.timeout(1000),
        op.keep_alive(1000, None),
    ],
)
def test_no_timer_is_left_behind(step: Any) -> None:
    """Closing a run with a pending deadline leaves no timer in the loop."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with no_leaks():
            async with (arriving([1, 1, 50]) | step).subscribe() as subscription:
                waiting = asyncio.create_task(_read_on(subscription))
                await asyncio.sleep(10)
            with pytest.raises(SubscriptionClosed):
                await waiting
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []

    virtually(main())


async def _read_on(subscription: Any) -> None:
    while await subscription.request(1):
        pass


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), True, "1", None])
@pytest.mark.parametrize(
    "make",
    [
        op.throttle,
        op.debounce,
        op.sample,
        op.throttle_first,
        lambda x: op.keep_alive(x, None),
        interval,
        lambda x: op.throttle(1, per=x),
        op.timeout,
    ],
)
def test_what_is_no_time_is_refused(make: Any, wrong: Any) -> None:
    """An invalid time is refused when the graph is built, by name and value."""
    with pytest.raises(GraphError) as caught:
        make(wrong)
    assert repr(wrong) in str(caught.value) or "needs seconds" in str(caught.value)


@pytest.mark.parametrize(
    "flow", [interval(0.1), just(*range(300)) | op.throttle(3e6, burst=1)], ids=["interval", "throttle"]
)
def test_far_from_the_beginning_of_the_clock(flow: Flow[int]) -> None:
    """With a large clock value, where seconds are rounded, a deadline is never early and never missed."""

    async def main() -> None:
        await asyncio.sleep(1e6 + 0.3)
        async with flow.subscribe() as subscription:
            for i in range(300):
                assert await subscription.request(1) == [i]

    virtually(main())
