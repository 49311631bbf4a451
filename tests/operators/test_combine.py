"""The operators that join flows: results against the standard library, ends, errors and demand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import empty, from_iterable, just, never
from penstock.errors import GraphError
from penstock.testing import Forever, Planted, Raise, Sleep, TestSource, Wait, no_leaks
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUTS = st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=4)
SCHEDULES = st.lists(st.sampled_from([1, 2, 3, 1000]), min_size=1, max_size=4)
PACES = st.lists(st.sampled_from([None, None, Wait(1), Sleep(1)]), min_size=1, max_size=3)


def sources(inputs: list[list[int]], pace: list[Any]) -> list[TestSource]:
    waits = itertools.cycle(pace)
    return [
        TestSource([part for x in one for part in (next(waits), x) if part is not None]) for one in inputs
    ]


async def collected(flow: Any, schedule: list[int]) -> list[Any]:
    out: list[Any] = []
    async with flow.subscribe() as subscription:
        for n in itertools.cycle(schedule):
            items = await subscription.request(n)
            assert len(items) <= n
            if not items:
                return out
            out += items
    raise AssertionError


async def read_on(subscription: Any, out: list[Any]) -> None:
    """Append all items to ``out``; it keeps them if an error is raised."""
    while items := await subscription.request(1):
        out += items


# -- by a rule ---------------------------------------------------------------------------------------


@given(INPUTS, PACES, SCHEDULES)
def test_zip(inputs: list[list[int]], pace: list[Any], schedule: list[int]) -> None:
    """``zip`` yields what the built-in ``zip`` returns."""
    first, *others = sources(inputs, pace)
    assert virtually(collected(first | op.zip(*others), schedule)) == list(zip(*inputs, strict=False))


@given(INPUTS, PACES, SCHEDULES)
def test_zip_strict(inputs: list[list[int]], pace: list[Any], schedule: list[int]) -> None:
    """Different lengths are a ``ValueError`` after all complete tuples; it names both inputs."""
    first, *others = sources(inputs, pace)
    flow, out = first | op.zip(*others, strict=True), []

    async def main() -> None:
        async with flow.subscribe() as subscription:
            for n in itertools.cycle(schedule):
                items = await subscription.request(n)
                if not items:
                    return
                out.extend(items)

    if len({len(one) for one in inputs}) > 1:
        with pytest.raises(ValueError, match=r"input \d has ended, but input \d has more items"):
            virtually(main())
    else:
        virtually(main())
    assert out == list(zip(*inputs, strict=False))


def roundrobin(*inputs: Any) -> Iterator[Any]:
    """The recipe of itertools' documentation."""
    iterators = map(iter, inputs)
    for active in range(len(inputs), 0, -1):
        iterators = itertools.cycle(itertools.islice(iterators, active))
        yield from map(next, iterators)


@given(INPUTS, PACES, SCHEDULES)
def test_interleave(inputs: list[list[int]], pace: list[Any], schedule: list[int]) -> None:
    """``interleave`` yields what the round robin of the itertools recipes yields."""
    first, *others = sources(inputs, pace)
    assert virtually(collected(first | op.interleave(*others), schedule)) == list(roundrobin(*inputs))


@given(INPUTS, PACES, SCHEDULES, st.booleans(), st.booleans())
def test_merge_sorted(
    inputs: list[list[int]], pace: list[Any], schedule: list[int], by_digit: bool, reverse: bool
) -> None:
    """``merge_sorted`` equals ``heapq.merge``, also with keys, in reverse, and for equal items."""
    key = (lambda pair: pair[0] % 10) if by_digit else (lambda pair: pair[0])
    marked = [
        sorted(((x, k, i) for i, x in enumerate(one)), key=key, reverse=reverse)
        for k, one in enumerate(inputs)
    ]
    first, *others = sources(marked, pace)
    flow = first | op.merge_sorted(*others, key=key, reverse=reverse)
    assert virtually(collected(flow, schedule)) == list(heapq.merge(*marked, key=key, reverse=reverse))


@given(INPUTS, PACES, SCHEDULES)
def test_merge_sorted_asks_each_key_once(
    inputs: list[list[int]], pace: list[Any], schedule: list[int]
) -> None:
    """The key of an item is computed once, even if the item waits for several requests."""
    seen: list[tuple[int, int]] = []

    def key(pair: tuple[int, int]) -> int:
        seen.append(pair)
        return pair[0]

    marked = [[(x, k * 100 + i) for i, x in enumerate(sorted(one))] for k, one in enumerate(inputs)]
    first, *others = sources(marked, pace)
    virtually(collected(first | op.merge_sorted(*others, key=key), schedule))
    assert sorted(seen) == sorted(itertools.chain(*marked))


def test_merge_sorted_compares_nothing_but_keys() -> None:
    """Only keys are compared: items need no order, even if their keys are equal."""
    left, right = just((1, {"a": 1}), (2, {"b": 2})), just((1, {"c": 3}))
    flow = left | op.merge_sorted(right, key=lambda pair: pair[0])
    assert asyncio.run(flow.to_list()) == [(1, {"a": 1}), (1, {"c": 3}), (2, {"b": 2})]


@given(
    st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6), PACES, st.integers(1, 3)
)
def test_sequence_equal(one: list[int], other: list[int], pace: list[Any], n: int) -> None:
    """``sequence_equal`` yields what ``==`` of lists returns."""
    first, second = sources([one, other], pace)
    assert virtually(collected(first | op.sequence_equal(second), [n])) == [one == other]


def test_sequence_equal_of_many_items() -> None:
    """Long sequences are compared to the end: a difference of one item in length is found."""

    async def main() -> list[bool]:
        flows = [from_iterable(range(n)) for n in (10_000, 10_000, 9_999, 10_001)]
        return [await flows[0].sequence_equal(other).first() for other in flows]

    assert asyncio.run(main()) == [True, True, False, False]


def test_sequence_equal_ends_at_the_first_difference() -> None:
    """At the first difference the answer is yielded and both inputs are closed, even if they go on."""

    async def main() -> tuple[list[bool], list[int]]:
        left, right = TestSource([1, 2, Forever()]), TestSource([1, 3, Forever()])
        async with (left | op.sequence_equal(right)).subscribe() as subscription:
            answer = await subscription.request(1)
            await asyncio.sleep(1)
            return answer, [left.counts.closed, right.counts.closed]

    assert virtually(main()) == ([False], [1, 1])


# -- ends, errors, demand ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "others_end"),
    [(op.zip, True), (op.race, True), (op.with_latest_from, True), (op.merge, False), (op.interleave, False)],
    ids=["zip", "race", "with_latest_from", "merge", "interleave"],
)
def test_what_is_no_longer_wanted_is_closed_at_once(operator: Any, others_end: bool) -> None:
    """When an input ends, the inputs that can add nothing any more are closed, and only these."""

    async def main() -> bool:
        short, long = TestSource([Sleep(1), 1]), TestSource([Sleep(2), 2, Forever()])
        async with no_leaks(), (short | operator(long)).subscribe() as subscription:
            task = asyncio.create_task(collected_until_stalled(subscription))
            await asyncio.sleep(10)
            closed = bool(long.counts.closed)
            task.cancel()
            await asyncio.wait([task])
        return closed

    async def collected_until_stalled(subscription: Any) -> None:
        while await subscription.request(1):
            pass

    assert virtually(main()) is others_end


@pytest.mark.parametrize("operator", [op.merge, op.interleave, op.zip, op.merge_sorted, op.combine_latest])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_inputs_are_asked_for_no_more_than_is_wanted(operator: Any, n: int) -> None:
    """An input hands over at most ``n`` items more than were delivered of it."""

    async def main() -> None:
        inputs = [TestSource(range(k * 100, k * 100 + 30)) for k in range(3)]
        flow = inputs[0] | operator(*inputs[1:])
        came: list[int] = []
        async with flow.subscribe() as subscription:
            for _ in range(4):
                for item in await subscription.request(n):
                    came += item if isinstance(item, tuple) else [item]
                for k, source in enumerate(inputs):
                    of_it = {x for x in came if x // 100 == k}
                    assert source.counts.handed <= len(of_it) + n + (operator is op.combine_latest)

    virtually(main())


@pytest.mark.parametrize(
    "operator", [op.merge, op.interleave, op.zip, op.merge_sorted, op.combine_latest, op.race]
)
def test_inputs_wait_at_the_same_time(operator: Any) -> None:
    """Two inputs that each take one second take one second together, not two."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        left, right = TestSource([Sleep(1), 1]), TestSource([Sleep(1), 2])
        began = loop.time()
        assert await (left | operator(right)).first() in {1, (1, 2)}
        return loop.time() - began

    assert virtually(main()) == 1


def test_merge_runs_so_many_at_once() -> None:
    """With ``concurrency`` an input is opened only when one before it has ended."""

    async def main() -> tuple[list[tuple[float, Any]], list[int]]:
        loop = asyncio.get_running_loop()
        inputs = [TestSource([Sleep(1), (k, 0), Sleep(1), (k, 1)]) for k in range(5)]
        flow = inputs[0] | op.merge(*inputs[1:], concurrency=2)
        found, running = [], []
        async with flow.subscribe() as subscription:
            while items := await subscription.request(9):
                found += [(loop.time(), item) for item in items]
                running.append(sum(source.counts.opened - source.counts.closed for source in inputs))
        return [(moment - found[0][0] + 1, item) for moment, item in found], running

    found, running = virtually(main())
    assert sorted(found) == sorted((1 + 2 * (k // 2) + j, (k, j)) for k in range(5) for j in range(2))
    assert max(running) == 2


def test_merge_delays_errors() -> None:
    """With ``delay_errors`` the first error comes when all other inputs have ended; a run can be resumed there."""

    async def main() -> tuple[list[int], list[int]]:
        def make(fault: Any) -> Any:
            left = TestSource([1, 2, fault, 3])
            return left | op.merge(TestSource([Sleep(5), 10, Sleep(5), 11]), delay_errors=True)

        came: list[int] = []
        async with make(Raise()).subscribe() as subscription:
            with pytest.raises(Planted):
                await read_on(subscription, came)
            position = json.loads(json.dumps(subscription.position))
        async with make(Wait(1)).subscribe(position) as subscription:
            return came, await subscription.request(9)

    assert virtually(main()) == ([1, 2, 10, 11], [3])


def test_an_error_ends_what_does_not_delay_it() -> None:
    """Without ``delay_errors`` the first error ends the merge and closes the other inputs."""

    async def main() -> int:
        other = TestSource([1, Forever()])
        flow = TestSource([Sleep(1), Raise()]) | op.merge(other)
        with pytest.raises(Planted):
            await flow.to_list()
        return other.counts.closed

    assert virtually(main()) == 1


def test_a_merge_begins_with_another_input_where_the_one_it_was_cut_in_is_gone() -> None:
    """A resumed run does not wait for the input to begin with if that one has ended without an item."""

    async def main() -> list[int]:
        def make(keep: bool) -> Any:
            left = just(1, 2) | op.filter(lambda _: keep)
            return left | op.merge(just(10, 20)) | op.flat_map(lambda x: [x, -x])

        async with make(keep=True).subscribe() as subscription:
            came = await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        async with make(keep=False).subscribe(position) as subscription:
            await read_on(subscription, came)
        return came

    came = virtually(main())
    assert came[0] == 1
    assert came[-2:] == [20, -20]


def test_zip_does_not_see_an_error_behind_its_end() -> None:
    """An error behind the end of the shortest input is not raised."""

    async def main() -> list[Any]:
        return await (TestSource([1]) | op.zip(TestSource([1, 2, Sleep(1), Raise()]))).to_list()

    assert virtually(main()) == [(1, 1)]


def test_a_race_of_failures_is_run_again() -> None:
    """A failure ends the race without a winner: a resumed run races again."""

    async def main() -> list[int]:
        def make(first: Any) -> Any:
            return TestSource([first, 1]) | op.race(TestSource([Sleep(1), 2]))

        async with make(Raise()).subscribe() as subscription:
            with pytest.raises(Planted):
                await subscription.request(1)
            position = subscription.position
        async with make(Sleep(5)).subscribe(position) as subscription:
            return await subscription.request(1)

    assert virtually(main()) == [2]


@pytest.mark.parametrize("operator", [op.merge, op.interleave, op.zip, op.combine_latest, op.race])
def test_nothing_to_join_with(operator: Any) -> None:
    """A flow joined with no other yields its own items, or tuples of one item."""
    assert asyncio.run((just(1, 2) | operator()).to_list()) in ([1, 2], [(1,), (2,)])


def test_empty_flows() -> None:
    """Joins with empty flows complete, and do not wait for flows that can add nothing."""

    async def main() -> list[list[Any]]:
        flows = [
            empty() | op.zip(never()),
            never() | op.combine_latest(empty()),
            never() | op.with_latest_from(empty()),
            empty() | op.with_latest_from(never()),
            empty() | op.race(just(1), never()),
            empty() | op.race(empty(), empty()),
            empty() | op.merge_sorted(just(1)),
            empty() | op.interleave(just(1), empty()),
            empty() | op.sequence_equal(empty()),
            empty() | op.concat_map(just),
            empty() | op.flat_map_merge(just),
            empty() | op.switch_map(just),
            empty() | op.exhaust_map(just) | op.concat_map(just, 2),
            just(1, 2) | op.concat_map(lambda _: empty()),
        ]
        return [await flow.to_list() for flow in flows]

    assert virtually(main()) == [[], [], [], [], [1], [], [1], [1], [True], [], [], [], [], []]


# -- refused when the graph is built -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "concat", "merge", "interleave", "merge_sorted", "zip", "combine_latest", "zip_latest",
        "with_latest_from", "race", "sequence_equal",
    ],
)  # fmt: skip
def test_only_flows_are_joined(name: str) -> None:
    """What is no flow and no iterable is refused when the graph is built; the error names the operator.

    A string is refused too, because it is rarely meant as a flow of its characters.
    """
    for wrong in (3, "ab", print):
        wanted = rf"each argument of {name} must be a Flow, not {type(wrong).__name__}, at .*test_combine.py"
        with pytest.raises(GraphError, match=wanted):
            getattr(op, name)(wrong)


def test_arguments_are_checked() -> None:
    """Wrong counts and functions are refused when the graph is built."""

    async def later(x: int) -> Any:
        return just(x)

    for make in (
        lambda: op.merge(just(1), concurrency=0),
        lambda: op.flat_map_merge(just, 0),
        lambda: op.concat_map(later),
        lambda: op.concat_map(just, 0),
        lambda: op.exhaust_map(later),
        lambda: op.switch_map(3),  # type: ignore[arg-type]
        lambda: op.merge_sorted(just(1), key=later),
        lambda: op.sequence_equal(just(1), later),
    ):
        with pytest.raises(GraphError):
            make()
