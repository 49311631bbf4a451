"""``batch(within=)`` and ``take_until`` in virtual time, compared with models and reactivex."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rxop
from reactivex.testing import ReactiveTest, TestScheduler

import penstock as ps
import penstock.operators as op
from penstock.testing import TestSource
from penstock.testing import run as virtually
from penstock.testing.script import Raise, Sleep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GAPS = st.lists(st.integers(0, 6), max_size=12)


def at_times(times: list[float], *, end: float = 0) -> ps.Flow[int]:
    """Return a flow of 0, 1, 2 … that arrive at these seconds, and end ``end`` seconds later."""

    async def items() -> AsyncIterator[int]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, moment in enumerate(times):
            await asyncio.sleep(began + moment - loop.time())
            yield number
        await asyncio.sleep(end)

    return ps.from_async_iterable(items)


def sums(gaps: list[int], offset: float = 0) -> list[float]:
    """Return points in time with these gaps between them."""
    return [sum(gaps[: k + 1]) + offset for k in range(len(gaps))]


async def heard(flow: ps.Flow[Any], n: int = 1) -> list[tuple[float, Any]]:
    """Return items with the seconds at which they arrived."""
    loop = asyncio.get_running_loop()
    began, out = loop.time(), []
    async with flow.subscribe() as subscription:
        while items := await subscription.request(n):
            out += [(round(loop.time() - began, 6), item) for item in items]
    return out


def lists_by_time(
    times: list[float],
    size: int | None,
    within: float,
    end: float,
    weights: Callable[[int], int] = lambda _: 1,
) -> list[tuple[float, list[int]]]:
    """Return each list and when it is delivered; the last one at the end, if that comes before its deadline."""
    out: list[tuple[float, list[int]]] = []
    held: list[int] = []
    first = 0.0
    for number, moment in enumerate(times):
        if held and moment > first + within:
            out.append((first + within, held))
            held = []
        if held and size is not None and sum(map(weights, [*held, number])) > size:
            out.append((moment, held))
            held = []
        first = first if held else moment
        held = [*held, number]
        if size is not None and sum(map(weights, held)) >= size:
            out.append((moment, held))
            held = []
    if held:
        out.append((min(end, first + within), held))
    return out


@given(GAPS, st.none() | st.integers(1, 4), st.integers(0, 9), st.integers(0, 9))
def test_lists_go_out_when_full_or_old(gaps: list[int], size: int | None, within: int, rest: int) -> None:
    """A list is delivered when it is full, or ``within`` seconds after its first item; it is never empty."""
    times = sums(gaps)
    limit = within + 0.5  # never in the moment in which an item comes
    end = (times[-1] if times else 0) + rest
    flow = at_times(times, end=rest) | op.batch(size, within=limit)
    assert virtually(heard(flow)) == lists_by_time(times, size, limit, end)


@given(
    GAPS,
    st.integers(0, 6),
    st.lists(st.integers(0, 4), min_size=20, max_size=20),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_lists_go_out_when_heavy_or_old(
    gaps: list[int], size: int, weights: list[int], within: int, rest: int
) -> None:
    """With ``by`` and ``within``, a list is delivered when its weight is reached, or when it is old."""
    times = sums(gaps)
    limit = within + 0.5
    end = (times[-1] if times else 0) + rest
    weight = lambda number: weights[number % 20]  # noqa: E731
    flow = at_times(times, end=rest) | op.batch(size, limit, by=weight)
    assert virtually(heard(flow)) == lists_by_time(times, size, limit, end, weight)


def test_up_to_two_lists_gather_by_weight_while_nobody_asks() -> None:
    """Each request to upstream is for as many items as the list has, so it is at most doubled."""
    source = TestSource(range(1000))

    async def main() -> tuple[list[Any], int]:
        async with (source | op.batch(10, 5, by=lambda _: 1)).subscribe() as subscription:
            first = await subscription.request(1)
            await asyncio.sleep(100)
            return first, source.counts.handed

    lists, handed = virtually(main())
    assert lists == [[*range(10)]]
    assert handed <= 10 + 20


def test_items_gather_while_nobody_asks() -> None:
    """One list is gathered ahead of demand, and no more than that is read from upstream."""
    source = TestSource([item for number in range(9) for item in (Sleep(1), number)])

    async def main() -> tuple[list[Any], int]:
        async with (source | op.batch(3, within=1.5)).subscribe() as subscription:
            first = await subscription.request(1)
            await asyncio.sleep(100)
            return first + await subscription.request(1), source.counts.handed

    lists, handed = virtually(main())
    assert lists == [[0, 1], [2, 3, 4]]
    assert handed == 5


def test_without_a_size_nothing_is_read_behind_the_deadline() -> None:
    """One list is gathered ahead of demand until its time is over, and may have any length.

    Items of a request that was pending then belong to the next list.
    """
    source = TestSource([item for number in range(9) for item in (Sleep(1), *[number] * 300)])

    async def main() -> list[tuple[int, int]]:
        seen = []
        async with (source | op.batch(within=1.5)).subscribe() as subscription:
            for _ in range(2):
                (items,) = await subscription.request(1)
                await asyncio.sleep(100)
                seen.append((len(items), source.counts.handed))
        return seen

    (first, read), (second, read_later) = virtually(main())
    assert (first, second) == (600, 600)
    assert 1200 <= read <= 1200 + 256
    assert 1800 <= read_later <= 1800 + 256


def test_an_unfinished_list_goes_with_a_failure() -> None:
    """When upstream fails, the full lists are delivered, and the position stands before the unfinished one."""
    source = TestSource([0, 1, 2, Raise()])

    async def main() -> tuple[list[Any], Any]:
        async with (source | op.batch(2, within=5)).subscribe() as subscription:
            first = await subscription.request(1)
            with pytest.raises(Exception, match="planted"):
                await subscription.request(1)
            return first, next(iter(subscription.position["nodes"].values()))

    first, place = virtually(main())
    assert first == [[0, 1]]
    assert place == 2


@pytest.mark.parametrize(
    ("operator", "oracle"), [(op.take_until, rxop.take_until), (op.skip_until, rxop.skip_until)]
)
@given(gaps=GAPS, signal=st.integers(0, 30))
def test_ended_where_reactivex_ends_it(operator: Any, oracle: Any, gaps: list[int], signal: int) -> None:
    """``take_until`` yields the items that arrive before the other flow's item, ``skip_until`` the others."""
    times = sums(gaps)
    scheduler = TestScheduler()
    on = [ReactiveTest.on_next(300 + int(2 * t), number) for number, t in enumerate(times)]
    source = scheduler.create_hot_observable(*on, ReactiveTest.on_completed(900))
    other = scheduler.create_hot_observable(ReactiveTest.on_next(300 + 2 * signal + 1, "now"))
    result = scheduler.start(lambda: source.pipe(oracle(other)))
    wanted = [((m.time - 300) / 2, m.value.value) for m in result.messages if m.value.kind == "N"]
    flow = at_times(times) | operator(at_times([signal + 0.5], end=100))
    assert virtually(heard(flow)) == wanted


def test_the_other_flow_without_an_item_ends_nothing() -> None:
    """``take_until`` ignores the completion of the other flow, and raises its error."""

    async def main() -> list[Any]:
        source = at_times([1, 2, 3])
        kept = await source.take_until(ps.empty()).to_list()
        with pytest.raises(LookupError):
            await source.take_until(ps.fail(LookupError("no signal"))).to_list()
        return kept

    assert virtually(main()) == [0, 1, 2]


def test_skip_until_needs_an_item_of_the_other_flow() -> None:
    """If the other flow completes without one, nothing passes; its error is raised; it is closed once it spoke."""
    signal = TestSource([Sleep(1), "now", Sleep(99), "again"])

    async def main() -> list[Any]:
        source = at_times([1, 2, 3])
        assert await source.skip_until(ps.empty()).to_list() == []
        with pytest.raises(LookupError):
            await source.skip_until(ps.fail(LookupError("no signal"))).to_list()
        async with source.skip_until(signal.map(str)).subscribe() as subscription:  # type: ignore[attr-defined]
            got = await subscription.request(1)
            await asyncio.sleep(0.5)
            assert signal.counts.closed == 1
            position = subscription.position
        async with source.skip_until(signal.map(str)).subscribe(position) as subscription:  # type: ignore[attr-defined]
            return got + await subscription.request(1)

    first, second = virtually(main())
    assert second == first + 1


def test_both_flows_are_closed_at_once() -> None:
    """When the signal arrives, both sources are closed, before the run is closed."""
    source, signal = TestSource([0, Sleep(5), 1]), TestSource([Sleep(2), "now", Sleep(9), "again"])

    async def main() -> tuple[list[Any], int, int]:
        async with (source | op.take_until(signal)).subscribe() as subscription:
            items = [await subscription.request(4), await subscription.request(4)]
            await asyncio.sleep(1)
            return items, source.counts.closed, signal.counts.closed

    assert virtually(main()) == ([[0], []], 1, 1)


def test_a_signal_given_stays_given() -> None:
    """A run that the other flow ended yields nothing when it is resumed."""
    flow = ps.from_iterable(range(9)) | op.take_until(ps.just("now"))

    async def main() -> list[Any]:
        async with flow.subscribe() as subscription:
            first = await subscription.request(3)
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            return [first, await subscription.request(3)]

    assert virtually(main()) == [[], []]


def test_nothing_is_cut_in_the_middle_behind_take_until() -> None:
    """A resumed run may get the signal before the item inside which it was cut, so ``flat_map`` is not resumable."""
    flow = ps.just(1, 2) | op.take_until(ps.never())
    assert flow.resumable
    assert not (flow | op.flat_map(lambda x: [x, x])).resumable
