"""Operators that gather, hold back or cut items, compared with reactivex and plain lists."""

from __future__ import annotations

import asyncio
import itertools
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rxop

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError, NotResumable
from penstock.testing import RecordingLedger, Sleep, TestSource
from penstock.testing import run as virtually
from penstock.testing.laws.runs import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ITEMS = st.lists(st.integers(0, 5), max_size=12)
SCHEDULE = st.lists(st.integers(1, 5), min_size=1, max_size=3)
count = st.integers(0, 6)
size = st.integers(1, 6)


def theirs(items: list[int], *steps: Any) -> list[Any]:
    """Return the result of reactivex operators."""
    out: list[Any] = []
    rx.from_iterable(items).pipe(*steps).subscribe(out.append)
    return out


def ours(items: Iterable[Any], step: Callable[[Any], Any], schedule: list[int]) -> list[Any]:
    """Return the result of an operator under a schedule of requests."""

    async def main() -> list[Any]:
        async with (ps.from_iterable(items) | step).subscribe() as subscription:
            return (await collect(subscription, schedule)).items

    return virtually(main())


@given(ITEMS, SCHEDULE, count)
def test_last_ones_are_those_of_reactivex(items: list[int], schedule: list[int], k: int) -> None:
    """``take_last`` and ``skip_last`` divide the items as reactivex does."""
    assert ours(items, op.take_last(k), schedule) == theirs(items, rxop.take_last(k))
    assert ours(items, op.skip_last(k), schedule) == theirs(items, rxop.skip_last(k))
    assert ours(items, op.skip_last(k), schedule) + ours(items, op.take_last(k), schedule) == items


@given(ITEMS, SCHEDULE, size, size)
def test_sliding_is_what_reactivex_buffers(
    items: list[int], schedule: list[int], size: int, step: int
) -> None:
    """With ``partial=True`` the lists are those of ``buffer_with_count``; without it, only the full ones."""
    buffers = theirs(items, rxop.buffer_with_count(size, step))
    assert ours(items, op.sliding(size, step, partial=True), schedule) == [b for b in buffers if b]
    assert ours(items, op.sliding(size, step), schedule) == [b for b in buffers if len(b) == size]


@given(ITEMS, SCHEDULE)
def test_pairs_are_those_of_itertools(items: list[int], schedule: list[int]) -> None:
    """``pairwise`` yields the same pairs as ``itertools.pairwise``."""
    assert ours(items, op.pairwise(), schedule) == list(itertools.pairwise(items))


def split_at(items: list[int]) -> Iterator[list[int]]:
    """Split as more-itertools' ``split_at`` does, without an empty list at the end."""
    text = "".join(map(str, items))
    parts = text.split("0")
    yield from (list(map(int, part)) for part in (parts if parts[-1] else parts[:-1]))


def split_before(items: list[int]) -> list[list[int]]:
    """Split as more-itertools' ``split_before`` does."""
    lists: list[list[int]] = []
    for item in items:
        if not item or not lists:
            lists.append([])
        lists[-1].append(item)
    return lists


def split_after(items: list[int]) -> list[list[int]]:
    """Split as more-itertools' ``split_after`` does."""
    return [part[::-1] for part in split_before(items[::-1])][::-1]


@given(ITEMS, SCHEDULE)
def test_lists_between_separators(items: list[int], schedule: list[int]) -> None:
    """``split`` cuts at, before and after separators, and loses no item other than separators."""
    assert ours(items, op.split(lambda x: x == 0), schedule) == list(split_at(items))
    before = ours(items, op.split(lambda x: x == 0, keep="before"), schedule)
    after = ours(items, op.split(lambda x: x == 0, keep="after"), schedule)
    assert before == split_before(items)
    assert after == split_after(items)
    assert list(itertools.chain.from_iterable(before)) == items


@given(ITEMS, SCHEDULE)
def test_one_value_of_all_items(items: list[int], schedule: list[int]) -> None:
    """``collect`` yields a list, a function's result for that list, or a container filled by a function."""
    assert ours(items, op.collect(), schedule) == theirs(items, rxop.to_list())
    assert ours(items, op.collect(sorted), schedule) == [sorted(items)]
    assert ours(items, op.collect(set, set.add), schedule) == [set(items)]


@given(st.lists(ITEMS, max_size=5), SCHEDULE)
def test_items_of_items(lists: list[list[int]], schedule: list[int]) -> None:
    """``unbatch`` is the same as ``itertools.chain.from_iterable``, and undoes ``batch``."""
    assert ours(lists, op.unbatch(), schedule) == list(itertools.chain.from_iterable(lists))
    flat = list(itertools.chain.from_iterable(lists))
    assert ours(flat, lambda flow: flow | op.batch(3) | op.unbatch(), schedule) == flat


def test_an_adder_needs_no_memory_for_the_items() -> None:
    """Each run creates its own container."""
    flow = ps.from_iterable("abca").collect(dict[str, int], lambda d, c: d.update({c: d.get(c, 0) + 1}))

    async def main() -> list[Any]:
        return [await flow.to_list(), await flow.to_list()]

    assert virtually(main()) == [[{"a": 2, "b": 1, "c": 1}]] * 2


def test_a_failing_adder_can_be_skipped() -> None:
    """``on_error_skip`` leaves out the item on which ``add``, or the function of ``split``, failed."""
    left: list[Any] = []

    async def main() -> list[Any]:
        skip: Any = op.on_error_skip(lambda error, item: left.append((type(error), item)))
        added = ps.just(4, 0, 2).collect(list[float], lambda out, x: out.append(8 / x)) | skip
        parted = ps.just(4, "x", 2) | op.split(lambda x: x + 1 == 3) | skip
        return [await added.to_list(), await parted.to_list()]

    assert virtually(main()) == [[[2.0, 4.0]], [[4]]]
    assert left == [(ZeroDivisionError, 0), (TypeError, "x")]


def test_nothing_of_what_is_held_stands_in_a_position() -> None:
    """Held items need not be JSON, and a position is as small as that of the source."""
    things = [object() for _ in range(9)]
    steps: list[Any] = [
        op.sliding(4), op.pairwise(), op.skip_last(3), op.batch(4), op.split(lambda x: x is things[5]),
    ]  # fmt: skip

    async def main() -> list[Any]:
        found = []
        for step in steps:
            async with (ps.from_iterable(things) | step).subscribe() as subscription:
                await subscription.request(1)
                found.append(list(subscription.position["nodes"].values()))
        return found

    assert virtually(main()) == [[1, 0], [1], [1], [4], [6]]


def test_a_tail_resumes_inside() -> None:
    """A run that is cut among the last items resumes with the next one."""
    flow = ps.from_iterable(range(9)) | op.take_last(4)

    async def main() -> list[Any]:
        async with flow.subscribe() as subscription:
            before = await subscription.request(3)
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            return [before, position["nodes"], (await collect(subscription, [2])).items]

    assert virtually(main()) == [[5, 6, 7], {"from_iterable#0": 8}, [8]]


def test_a_window_of_nothing() -> None:
    """An empty flow, or one with too few items, yields no list and no pair."""
    for step in (op.sliding(3), op.sliding(3, partial=True), op.pairwise(), op.take_last(2), op.split(bool)):
        assert ours([], step, [1]) == []
    assert ours([1, 2], op.sliding(3), [1]) == []
    assert ours([1, 2], op.sliding(3, partial=True), [1]) == [[1, 2], [2]]
    assert ours([], op.collect(), [1]) == [[]]


@given(ITEMS, SCHEDULE, st.integers(1, 4))
def test_runs_and_weights(items: list[int], schedule: list[int], size: int) -> None:
    """Runs of equal keys are those of itertools. Lists by weight lose no item, and are as long as they can be."""
    key = lambda x: x // 2  # noqa: E731
    assert ours(items, op.chunk_by(key), schedule) == [list(run) for _, run in itertools.groupby(items, key)]
    lists = ours(items, op.batch(size, by=abs), schedule)
    assert list(itertools.chain.from_iterable(lists)) == items
    assert all(sum(map(abs, one)) <= size or len(one) == 1 for one in lists)
    for one, other in itertools.pairwise(lists):
        assert sum(map(abs, [*one, other[0]])) > size or sum(map(abs, one)) == size


@pytest.mark.parametrize("weight", [-1, float("nan"), None])
def test_a_weight_must_be_a_number_that_is_not_negative(weight: Any) -> None:
    """Another weight is an error that names the operator."""
    with pytest.raises((ValueError, TypeError)) as caught:
        virtually((ps.just(1) | op.batch(3, by=lambda _: weight)).to_list())
    assert "batch at" in caught.value.__notes__[0]


def test_a_short_last_list_is_an_error_if_strict() -> None:
    """The full lists come before the error, and the position stands before the short one."""

    async def main() -> tuple[list[Any], Any]:
        async with (ps.range_(5) | op.batch(2, strict=True)).subscribe() as subscription:
            lists = await subscription.request(9)
            with pytest.raises(ValueError, match=r"batch\(2, strict=True\).* only 1 item"):
                await subscription.request(9)
            return lists, subscription.position["nodes"]

    lists, nodes = virtually(main())
    assert lists == [[0, 1], [2, 3]]
    assert list(nodes.values()) == [4]


def test_many_windows_of_one_chunk() -> None:
    """One request returns all requested windows, and reads no more items than they need."""
    source = ps.from_iterable(range(100))

    async def main() -> tuple[int, int]:
        async with (source | op.sliding(3, 2)).subscribe() as subscription:
            windows = await subscription.request(10)
            return len(windows), subscription.position["nodes"]["from_iterable#0"]

    assert virtually(main()) == (10, 20)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: op.sliding(0),
            r"sliding\(size=0\) at .*test_shaping\.py:\d+: size must be a whole number, at least 1",
        ),
        (lambda: op.sliding(2, 0), "step must be a whole number, at least 1"),
        (lambda: op.take_last(-1), "count must be a whole number, at least 0"),
        (lambda: op.skip_last(1.5), "count must be a whole number, at least 0"),  # type: ignore[arg-type]
        (lambda: op.batch(2, within=-1), "within must be a finite number, not negative"),
        (op.batch, "batch at .* needs a size, or seconds"),
        (lambda: op.batch(2.5), "size must be a whole number"),
        (lambda: op.batch(2, by=3), "batch takes a function"),  # type: ignore[arg-type]
        (lambda: op.batch(2, by=float("nan").__mul__, strict=True), "strict goes with neither by nor within"),
        (lambda: op.batch(within=2, strict=True), "strict goes with neither by nor within"),
        (lambda: op.batch(by=len), "needs a size"),
        (lambda: op.chunk_by("x"), "chunk_by takes a function as key, not str"),  # type: ignore[arg-type]
        (lambda: op.batch(2, within=float("nan")), "within must be a finite number"),
        (lambda: op.split("x"), "split takes a function, not str"),  # type: ignore[arg-type]
        (lambda: op.split(bool, keep="both"), "keep must be one of 'before', 'after', None"),  # type: ignore[arg-type]
        (lambda: op.collect(3), "collect takes a function"),  # type: ignore[call-overload]
        (lambda: op.take_until(3), "must be a Flow"),  # type: ignore[arg-type]
    ],
)
def test_refused_when_the_graph_is_built(make: Callable[[], object], words: str) -> None:
    """Wrong arguments raise a ``GraphError`` that names the parameter or the operator."""
    with pytest.raises(GraphError, match=words):
        make()


def test_where_a_checkpoint_may_stand() -> None:
    """Operators that hold items must not follow a checkpoint; elements and ``unbatch`` may."""
    source = ps.from_iterable([[1]]) | op.checkpoint(RecordingLedger(), key="k")
    for step in (op.sliding(2), op.take_last(1), op.collect(), op.split(bool), op.batch(2, within=1)):
        with pytest.raises(GraphError, match="holds or folds"):
            source | step
    for step in (op.unbatch(), op.cast(list), op.unwrap()):
        source | step
    with pytest.raises(NotResumable):
        ps.from_observable(ps.just(1)) | op.take_last(1) | op.checkpoint(RecordingLedger(), key="k")


HOLDERS = st.one_of(
    count.map(op.take_last),
    count.map(op.skip_last),
    st.builds(lambda size, step, partial: op.sliding(size, step, partial=partial), size, size, st.booleans()),
    st.sampled_from([None, "before", "after"]).map(lambda keep: op.split(lambda x: x % 3 == 0, keep=keep)),
    st.just(op.collect()),
    st.just(op.chunk_by(lambda x: x // 3)),
    st.just(op.batch(7, by=lambda x: x)),
    st.sampled_from([1, 2, 5]).map(lambda size: op.batch(size, strict=True)),
    st.just(op.stateful(0, lambda total, x: (total + x, [x][x % 2 :]), lambda total: [total])),
    st.just(op.pairwise()),
)


@given(HOLDERS, SCHEDULE, st.integers(0, 12), st.integers(0, 5))
def test_drained_what_is_held_waits_for_the_resumed_run(
    step: Any, schedule: list[int], moment: int, first: int
) -> None:
    """A drained run yields no unfinished result; the resumed run yields the whole one."""
    source = [part for number in range(10) for part in (Sleep(1), number)]

    async def main() -> tuple[list[Any], list[Any]]:
        loop = asyncio.get_running_loop()
        whole = await (ps.from_iterable(range(10)) | step).to_list()
        flow = TestSource(source) | step
        async with flow.subscribe() as subscription:
            before = await collect(subscription, schedule, requests=first)
            drained: list[asyncio.Task[None]] = []
            loop.call_later(moment + 0.5, lambda: drained.append(loop.create_task(subscription.drain())))
            rest = await collect(subscription, schedule)
            position = subscription.position
        async with (TestSource(source) | step).subscribe(position) as subscription:
            last = await collect(subscription, schedule)
        await asyncio.gather(*drained)
        return whole, before.items + rest.items + last.items

    whole, came = virtually(main())
    assert came == whole


async def test_a_slow_function_lets_others_run() -> None:
    """If the function of ``split`` is slow, a chunk is processed in slices, and other tasks run between them."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    def slow(x: int) -> bool:
        until = perf_counter() + 0.002
        while perf_counter() < until:
            pass
        return x == 99

    ticker = asyncio.create_task(others())
    async with (ps.from_iterable(range(100)) | op.split(slow)).subscribe() as subscription:
        assert await subscription.request(100) == [list(range(99))]
    ticker.cancel()
    assert turns >= 10


def test_it_waits_for_room_for_its_failures() -> None:
    """When ``DeadLetters`` is full, the stage waits until somebody reads from it."""
    letters = ps.DeadLetters(1)

    async def main() -> tuple[list[Any], list[Any]]:
        flow = ps.just("a", "b", 3, "c") | op.split(lambda x: x + 1 == 4) | op.on_error_skip(letters)
        read: list[Any] = []

        async def reader() -> None:
            await asyncio.sleep(5)
            read.extend([skipped.item async for skipped in letters])

        reading = asyncio.create_task(reader())
        lists = await flow.to_list()
        await reading
        return lists, read

    assert virtually(main()) == ([[]], ["a", "b", "c"])
