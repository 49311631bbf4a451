"""Operators that depend on time yield the same items at the same moments as in RxPY."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from reactivex import operators as rx_op
from reactivex.testing import ReactiveTest, TestScheduler

import penstock.operators as op
from penstock import from_iterable
from penstock.testing import Sleep, TestSource, Wait
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock import Flow

SIZES = st.sampled_from([1, 2, 100])
FOREVER = 100_000


@dataclass(frozen=True)
class Script:
    """Items and their moments, and the moment of the end; all in whole seconds from the start."""

    items: tuple[tuple[int, Any], ...]
    end: int

    def flow(self) -> Flow[Any]:
        elements: list[Any] = []
        now = 0
        for moment, item in self.items:
            elements += [Sleep(moment - now), item]
            now = moment
        return TestSource([*elements, Sleep(self.end - now)])

    def observable(self, scheduler: TestScheduler) -> Any:
        sent = [ReactiveTest.on_next(moment, item) for moment, item in self.items]
        return scheduler.create_cold_observable(*sent, ReactiveTest.on_completed(self.end))


@st.composite
def scripts(draw: st.DrawFn, count: int) -> list[Script]:
    """Draw scripts in which no two events, ends included, happen at the same moment."""
    lengths = [draw(st.integers(0, 4)) for _ in range(count)]
    moments = draw(
        st.lists(
            st.integers(1, 60), unique=True, min_size=sum(lengths) + count, max_size=sum(lengths) + count
        )
    )
    found = []
    for index, length in enumerate(lengths):
        own = sorted(moments[: length + 1])
        del moments[: length + 1]
        items = tuple((moment, index * 100 + k) for k, moment in enumerate(own[:-1]))
        found.append(Script(items, own[-1]))
    return found


async def timeline(flow: Any, n: int) -> tuple[list[tuple[float, Any]], float]:
    """Return the items of a flow with their moments, and the moment of its end."""
    loop = asyncio.get_running_loop()
    began, found = loop.time(), []
    async with flow.subscribe() as subscription:
        while items := await subscription.request(n):
            found += [(loop.time() - began, item) for item in items]
        return found, loop.time() - began


def theirs(create: Callable[[TestScheduler], Any]) -> tuple[list[tuple[float, Any]], float]:
    """Return the items of an observable with their moments, and the moment of its end."""
    scheduler = TestScheduler()
    observer = scheduler.start(lambda: create(scheduler), created=0.25, subscribed=1, disposed=FOREVER)
    found = [(seen.time - 1, seen.value.value) for seen in observer.messages if seen.value.kind == "N"]
    ends = [seen.time - 1 for seen in observer.messages if seen.value.kind == "C"]
    return found, ends[0] if ends else float("inf")


@given(scripts(3), SIZES)
def test_combine_latest(three: list[Script], n: int) -> None:
    """Tuples are those of RxPY. It ends no later than RxPY, and earlier if no item can follow."""
    flows = [script.flow() for script in three]
    ours, end = virtually(timeline(flows[0] | op.combine_latest(*flows[1:]), n))

    def create(scheduler: TestScheduler) -> Any:
        first, *others = [script.observable(scheduler) for script in three]
        return first.pipe(rx_op.combine_latest(*others))

    items, ended = theirs(create)
    assert ours == items
    assert end <= ended
    empty = [script.end for script in three if not script.items]
    assert end == (min(empty) if empty else max(script.end for script in three))


@given(scripts(2), SIZES)
def test_zip_latest(two: list[Script], n: int) -> None:
    """Each item yields a tuple, from the first one on; complete ones are those of ``combine_latest``."""
    first, second = two
    ours, end = virtually(timeline(first.flow() | op.zip_latest(second.flow(), default=-1), n))
    events = sorted((moment, k, item) for k in (0, 1) for moment, item in two[k].items)
    latest, wanted = [-1, -1], []
    for moment, k, item in events:
        latest[k] = item
        wanted.append((moment, tuple(latest)))
    assert ours == wanted
    assert end == max(first.end, second.end)
    whole, _ = virtually(timeline(first.flow() | op.zip_latest(second.flow(), partial=False), n))
    assert whole == [(moment, pair) for moment, pair in wanted if -1 not in pair]


@given(scripts(3), SIZES)
def test_with_latest_from(three: list[Script], n: int) -> None:
    """Items of the first flow are paired with the latest of the others, as in RxPY."""
    flows = [script.flow() for script in three]
    ours, end = virtually(timeline(flows[0] | op.with_latest_from(*flows[1:]), n))

    def create(scheduler: TestScheduler) -> Any:
        first, *others = [script.observable(scheduler) for script in three]
        return first.pipe(rx_op.with_latest_from(*others))

    items, ended = theirs(create)
    assert ours == items
    assert end == min([ended, *(script.end for script in three[1:] if not script.items)])


@given(scripts(3), SIZES)
def test_race(three: list[Script], n: int) -> None:
    """The first flow to yield an item wins, as in RxPY if no flow is empty; empty flows lose."""
    flows = [script.flow() for script in three]
    ours = virtually(timeline(flows[0] | op.race(*flows[1:]), n))
    runners = [script for script in three if script.items]

    def create(scheduler: TestScheduler) -> Any:
        first, *others = [script.observable(scheduler) for script in runners]
        return first.pipe(*map(rx_op.amb, others))

    assert ours == (theirs(create) if runners else ([], max(script.end for script in three)))


@given(scripts(3), SIZES)
def test_merge(three: list[Script], n: int) -> None:
    """Items arrive at the same moments as in RxPY."""
    flows = [script.flow() for script in three]
    ours = virtually(timeline(flows[0] | op.merge(*flows[1:]), n))

    def create(scheduler: TestScheduler) -> Any:
        first, *others = [script.observable(scheduler) for script in three]
        return first.pipe(rx_op.merge(*others))

    assert ours == theirs(create)


# outer items arrive at multiples of ten, events of inner flows never do
INNER = st.lists(st.sampled_from([3, 7, 13, 17, 23, 38]), unique=True, max_size=4).map(sorted)


@st.composite
def nested(draw: st.DrawFn) -> tuple[Script, dict[int, Script]]:
    """Draw a script, and a script for each of its items."""
    gaps = draw(st.lists(st.sampled_from([10, 20, 40]), max_size=4))
    moments = list(itertools.accumulate(gaps))
    outer = Script(tuple(enumerate_at(moments)), (moments or [0])[-1] + draw(st.sampled_from([10, 50])))
    inner = {}
    for k in range(len(moments)):
        offsets = draw(INNER)
        items = tuple((moment, k * 100 + j) for j, moment in enumerate(offsets))
        inner[k] = Script(items, (offsets or [0])[-1] + draw(st.sampled_from([1, 2, 6])))
    return outer, inner


def enumerate_at(moments: Sequence[int]) -> list[tuple[int, int]]:
    return [(moment, k) for k, moment in enumerate(moments)]


@given(nested(), SIZES)
def test_switch_map(drawn: tuple[Script, dict[int, Script]], n: int) -> None:
    """A new item ends the flow of the item before, as in RxPY."""
    outer, inner = drawn
    ours = virtually(timeline(outer.flow() | op.switch_map(lambda k: inner[k].flow()), n))
    assert ours == theirs(
        lambda scheduler: outer.observable(scheduler).pipe(
            rx_op.switch_map(lambda k: inner[k].observable(scheduler))
        )
    )


@given(nested(), st.integers(1, 4), SIZES)
def test_flat_map_merge(drawn: tuple[Script, dict[int, Script]], concurrency: int, n: int) -> None:
    """At most ``concurrency`` flows run at once, as in RxPY; items of one moment may change places.

    All inputs are ready at the start, because here the input waits while there is no room for its next
    item, but RxPY's goes on and queues up.
    """
    outer, inner = drawn
    ready = Script(tuple((1, k) for _, k in outer.items), 1)
    flow = ready.flow() | op.flat_map_merge(lambda k: inner[k].flow(), concurrency)
    ours, end = virtually(timeline(flow, n))
    items, ended = theirs(
        lambda scheduler: ready.observable(scheduler).pipe(
            rx_op.map(lambda k: inner[k].observable(scheduler)), rx_op.merge(max_concurrent=concurrency)
        )
    )
    assert sorted(ours) == sorted(items)
    assert end == ended


@given(nested(), SIZES)
def test_concat_map(drawn: tuple[Script, dict[int, Script]], n: int) -> None:
    """Flows run one after another, as in RxPY."""
    outer, inner = drawn
    ready = Script(tuple((1, k) for _, k in outer.items), 1)
    ours = virtually(timeline(ready.flow() | op.concat_map(lambda k: inner[k].flow()), n))
    assert ours == theirs(
        lambda scheduler: ready.observable(scheduler).pipe(
            rx_op.map(lambda k: inner[k].observable(scheduler)), rx_op.merge(max_concurrent=1)
        )
    )


@given(scripts(2), SIZES)
def test_pause_when(two: list[Script], n: int) -> None:
    """No item is lost, and none comes while it is paused."""
    items, valve = two
    flow = items.flow() | op.pause_when(valve.flow() | op.map(lambda x: x % 2 == 0))
    ours, _ = virtually(timeline(flow, n))
    assert [item for _, item in ours] == [item for _, item in items.items]
    closed = [moment for moment, x in valve.items if x % 2 == 0]
    opened = [moment for moment, x in valve.items if x % 2] + [valve.end]
    spans = [(start, min(end for end in opened if end > start)) for start in closed]
    assert not [moment for moment, _ in ours if any(start < moment < end for start, end in spans)]


def test_a_valve_in_numbers() -> None:
    """An item that was requested before a pause waits for its end; when the valve completes, it is open."""
    source = TestSource([part for k in range(8) for part in (Sleep(1), k)])
    valve = TestSource([False, Sleep(2.5), True, Sleep(4), False, Sleep(2.5), True, Sleep(10.25)])
    came, end = virtually(timeline(source | op.pause_when(valve), 3))
    assert came == [(1, 0), (2, 1), (6.5, 2), (7.5, 3), (8.5, 4), (19.25, 5), (20.25, 6), (21.25, 7)]
    assert end == 21.25


@given(nested(), SIZES)
def test_exhaust_map(drawn: tuple[Script, dict[int, Script]], n: int) -> None:
    """Items that come while a flow runs are ignored, as in RxPY. No item comes at the moment of an end."""
    outer, inner = drawn
    free = 0
    for moment, k in outer.items:
        assume(moment != free)
        free = moment + inner[k].end if moment > free else free
    ours = virtually(timeline(outer.flow() | op.exhaust_map(lambda k: inner[k].flow()), n))
    assert ours == theirs(
        lambda scheduler: outer.observable(scheduler).pipe(
            rx_op.map(lambda k: inner[k].observable(scheduler)), rx_op.exclusive()
        )
    )


@given(st.lists(st.integers(1, 20), max_size=8), st.integers(2, 4), SIZES)
def test_concat_map_ahead(seconds: list[int], concurrency: int, n: int) -> None:
    """A flow begins when the one ``concurrency`` before it is done; its item waits for those before it."""

    def flow_of(k: int) -> Any:
        return TestSource([Sleep(seconds[k]), k])

    flow = from_iterable(range(len(seconds))) | op.concat_map(flow_of, concurrency)
    done: list[int] = []
    for k, duration in enumerate(seconds):
        begins = done[k - concurrency] if k >= concurrency else 0
        done.append(max([begins + duration, *done[-1:]]))
    ours, _ = virtually(timeline(flow, n))
    assert ours == list(zip(done, range(len(seconds)), strict=True))


# -- resumed --------------------------------------------------------------------------------------

PACES = st.lists(st.sampled_from([None, Wait(1), Wait(2), Sleep(1), Sleep(2.5)]), min_size=1, max_size=4)


def paced(items: Sequence[int], pace: Sequence[Any]) -> TestSource:
    """Return a source of these items with waits before them."""
    waits = itertools.cycle(pace)
    return TestSource([part for item in items for part in (next(waits), item) if part is not None])


async def in_pieces(make: Callable[[], Any], n: int, cuts: Sequence[int]) -> list[Any]:
    """Return the items of runs that are cut after ``cuts`` requests; positions go through JSON."""
    position, out = None, []
    for requests in [*cuts, FOREVER]:
        async with make().subscribe(position) as subscription:
            for _ in range(requests):
                items = await subscription.request(n)
                out += items
                if not items:
                    break
            position = json.loads(json.dumps(subscription.position))
    return out


LENGTHS = st.lists(st.integers(1, 4), min_size=2, max_size=3)
CUTS = st.lists(st.integers(0, 4), max_size=4)


@given(LENGTHS, st.lists(PACES, min_size=3, max_size=3), SIZES, CUTS)
def test_combine_latest_in_pieces(lengths: list[int], paces: Any, n: int, cuts: list[int]) -> None:
    """Over all resumed runs, every item of every input arrives once and in order."""

    def make() -> Any:
        sources = [paced(range(length), pace) for length, pace in zip(lengths, paces, strict=False)]
        return sources[0] | op.combine_latest(*sources[1:])

    came = virtually(in_pieces(make, n, cuts))
    assert 0 in came[0]
    assert came[-1] == tuple(length - 1 for length in lengths)
    for before, after in itertools.pairwise(came):
        assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0] * (len(lengths) - 1) + [1]


@given(LENGTHS, st.lists(PACES, min_size=3, max_size=3), SIZES, CUTS)
def test_with_latest_from_in_pieces(lengths: list[int], paces: Any, n: int, cuts: list[int]) -> None:
    """Over all resumed runs, items of the first flow arrive once and in order; their partners never go back."""

    def make() -> Any:
        sources = [paced(range(length), pace) for length, pace in zip(lengths, paces, strict=False)]
        return sources[0] | op.with_latest_from(*sources[1:])

    came = virtually(in_pieces(make, n, cuts))
    assert [first for first, *_ in came] == list(range(lengths[0]))[lengths[0] - len(came) :]
    for before, after in itertools.pairwise(came):
        assert all(a <= b for a, b in zip(before[1:], after[1:], strict=True))


@given(st.lists(PACES, min_size=3, max_size=3), SIZES, CUTS)
def test_race_in_pieces(paces: Any, n: int, cuts: list[int]) -> None:
    """Resumed runs keep the winner and open no other input."""
    opened: list[TestSource] = []

    def make() -> Any:
        opened[:] = [paced(range(k * 10, k * 10 + 4), pace) for k, pace in enumerate(paces)]
        return opened[0] | op.race(*opened[1:])

    came = virtually(in_pieces(make, n, [1, *cuts]))
    winner = came[0] // 10
    assert came == list(range(winner * 10, winner * 10 + 4))
    assert [source.counts.opened for source in opened] == [int(k == winner) for k in range(3)]


@given(PACES, PACES, SIZES, CUTS)
def test_switch_map_in_pieces(pace: Any, inner: Any, n: int, cuts: list[int]) -> None:
    """Over all resumed runs, items are some of those of ``concat_map``, and the last flow is complete."""

    def make() -> Any:
        return paced(range(4), pace) | op.switch_map(lambda x: paced(range(x * 10, x * 10 + 3), inner))

    came = virtually(in_pieces(make, n, cuts))
    assert came == sorted(set(came))
    assert came[-3:] == [30, 31, 32]


@given(PACES, st.lists(st.booleans(), max_size=5), SIZES, CUTS)
def test_pause_when_in_pieces(pace: Any, signals: list[bool], n: int, cuts: list[int]) -> None:
    """Over all resumed runs no item is lost or comes twice."""

    def make() -> Any:
        return paced(range(8), pace) | op.pause_when(paced(signals, [Sleep(1.5)]))

    assert virtually(in_pieces(make, n, cuts)) == list(range(8))


@given(PACES, PACES, st.integers(2, 4), SIZES, CUTS)
def test_concat_map_ahead_in_pieces(pace: Any, inner: Any, concurrency: int, n: int, cuts: list[int]) -> None:
    """Over all resumed runs the items are those of one run, in order; any other concurrency can go on."""
    more = itertools.cycle([concurrency, 1])

    def make() -> Any:
        flow_of = lambda x: paced(range(x * 10, x * 10 + 1 + x % 3), inner)  # noqa: E731
        return paced(range(6), pace) | op.concat_map(flow_of, next(more))

    came = virtually(in_pieces(make, n, cuts))
    assert came == [x * 10 + k for x in range(6) for k in range(1 + x % 3)]


@given(PACES, PACES, SIZES, CUTS)
def test_exhaust_map_in_pieces(pace: Any, inner: Any, n: int, cuts: list[int]) -> None:
    """Over all resumed runs each flow that was begun is complete, and no item comes twice."""

    def make() -> Any:
        return paced(range(4), pace) | op.exhaust_map(lambda x: paced(range(x * 10, x * 10 + 3), inner))

    came = virtually(in_pieces(make, n, cuts))
    assert came == [x * 10 + k for x in sorted({y // 10 for y in came}) for k in range(3)]
    assert came[:3] == [0, 1, 2]


@given(PACES, PACES, st.integers(1, 4), SIZES, CUTS)
def test_flat_map_merge_in_pieces(pace: Any, inner: Any, concurrency: int, n: int, cuts: list[int]) -> None:
    """Over all resumed runs no item is lost or arrives twice, even if cut before the items are read again."""

    def make() -> Any:
        flow_of = lambda x: paced(range(x * 10, x * 10 + 1 + x % 3), inner)  # noqa: E731
        return paced(range(6), pace) | op.flat_map_merge(flow_of, concurrency)

    came = virtually(in_pieces(make, n, cuts))
    assert sorted(came) == [x * 10 + k for x in range(6) for k in range(1 + x % 3)]


def test_a_held_item_is_not_in_the_position() -> None:
    """Remembered items need not be JSON: they are not in the position but read again."""

    async def main() -> list[Any]:
        def make() -> Any:
            left = TestSource([0, Sleep(2), 1, Sleep(2), 2]) | op.map(lambda x: {x})
            return left | op.combine_latest(TestSource([Sleep(1), 10]) | op.map(lambda x: {x}))

        async with make().subscribe() as subscription:
            before = await subscription.request(1)
            before += await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        async with make().subscribe(position) as subscription:
            return before + await subscription.request(9)

    assert virtually(main()) == [({0}, {10}), ({1}, {10}), ({2}, {10})]


@pytest.mark.parametrize("operator", [op.combine_latest, op.with_latest_from, op.zip_latest])
def test_what_cannot_be_read_again_is_refused(operator: Any) -> None:
    """No position behind an unordered stage: a resumed run might read another item than the latest one."""

    async def later(x: int) -> int:
        return x

    unordered = TestSource([1, 2]) | op.map_async(later, ordered=False)
    assert (TestSource([1]) | operator(TestSource([2]) | op.merge(TestSource([3])))).resumable
    assert not (TestSource([1]) | operator(unordered)).resumable
