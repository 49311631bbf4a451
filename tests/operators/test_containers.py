"""Results, empty flows, notifications and ``distinct``, compared with reactivex and plain models."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import reactivex as rx
from expression import Error, Ok
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rxop

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError, UnwrapError
from penstock.testing import run as virtually
from penstock.testing.laws.runs import collect

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = st.lists(st.integers(0, 9), max_size=12)
SCHEDULE = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def theirs(items: list[int], *steps: Any) -> list[Any]:
    """Return the result of reactivex operators."""
    out: list[Any] = []
    rx.from_iterable(items).pipe(*steps).subscribe(out.append)
    return out


def ours(items: list[Any], step: Callable[[Any], Any], schedule: list[int]) -> list[Any]:
    """Return the result of an operator under a schedule of requests."""

    async def main() -> list[Any]:
        async with (ps.from_iterable(items) | step).subscribe() as subscription:
            outcome = await collect(subscription, schedule)
            if outcome.error is not None:
                raise outcome.error
            return outcome.items

    return virtually(main())


@given(ITEMS, SCHEDULE)
def test_the_same_as_reactivex(items: list[int], schedule: list[int]) -> None:
    """Operators that reactivex has too yield the same items."""
    other = rx.of(7, 8)
    for mine, other_one in (
        (op.start_with(1, 2), rxop.start_with(1, 2)),
        (op.default_if_empty(5), rxop.default_if_empty(5)),
        (op.distinct(capacity=100), rxop.distinct()),
        (op.distinct(lambda x: x % 3, capacity=100), rxop.distinct(lambda x: x % 3)),
        (op.distinct(capacity=1), rxop.distinct_until_changed()),
    ):
        assert ours(items, mine, schedule) == theirs(items, other_one)
    switched = theirs(items) or theirs([], rxop.concat(other))
    assert ours(items, op.switch_if_empty(ps.just(7, 8)), schedule) == switched


@given(ITEMS, SCHEDULE, st.booleans())
def test_what_a_flow_says(items: list[int], schedule: list[int], fails: bool) -> None:
    """``materialize`` yields the same notifications as reactivex, and ``dematerialize`` undoes it."""
    error = LookupError("lost")
    source = ps.from_iterable(items)
    whole = source | op.concat(ps.fail(error)) if fails else source
    said = ours(items, lambda _: whole | op.materialize(), schedule)
    last = ps.Failed(error) if fails else ps.Completed()
    assert said == [*map(ps.Next, items), last]
    kinds = theirs(
        items, rxop.concat(rx.throw(error)) if fails else rxop.concat(rx.empty()), rxop.materialize()
    )
    assert [type(note).__name__[0] for note in said] == [
        {"N": "N", "E": "F", "C": "C"}[note.kind] for note in kinds
    ]
    again = lambda flow: flow | op.dematerialize()  # noqa: E731
    if fails:
        with pytest.raises(LookupError) as caught:
            ours(said, again, schedule)
        assert caught.value is error
    else:
        assert ours([*said, ps.Next(99)], again, schedule) == items


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 6), SCHEDULE, st.integers(0, 20))
def test_the_last_keys_are_remembered(items: list[int], capacity: int, schedule: list[int], cut: int) -> None:
    """An item passes unless its key is among the last ``capacity`` keys, also in a resumed run."""
    recent: list[int] = []
    wanted = []
    for item in items:
        if item not in recent:
            wanted.append(item)
        recent = [*(key for key in recent if key != item), item][-capacity:]

    async def main() -> tuple[list[int], Any]:
        flow = ps.from_iterable(items).distinct(capacity=capacity)
        async with flow.subscribe() as subscription:
            before = (await collect(subscription, schedule, requests=cut)).items
            position = json.loads(json.dumps(subscription.position))
        async with flow.subscribe(position) as subscription:
            return before + (await collect(subscription, schedule)).items, position

    came, position = virtually(main())
    assert came == wanted
    assert len(position["nodes"]["distinct#1"]) <= capacity


def test_snapshots_change_nothing() -> None:
    """A position does not change when later snapshots are taken."""
    items = [(x * x * 7) % 5003 for x in range(6000)]

    async def main() -> None:
        flow = ps.from_iterable(items).distinct(capacity=300)
        whole = await flow.to_list()
        taken: list[tuple[int, Any]] = []
        count = 0
        async with flow.subscribe() as subscription:
            while chunk := await subscription.request(200):
                count += len(chunk)
                taken.append((count, subscription.bookmark()))  # type: ignore[attr-defined]
        for done, bookmark in taken:
            async with flow.subscribe(bookmark()) as subscription:
                assert (await collect(subscription, [500])).items == whole[done:]

    virtually(main())


def test_keys_may_be_tuples_and_capacity_may_change() -> None:
    """Tuples survive JSON; with a smaller capacity the keys met last are kept."""
    items = [(1, "a"), (2, "b"), (3, "c"), (1, "a"), (3, "c")]

    async def main() -> list[Any]:
        async with ps.from_iterable(items).distinct(capacity=9).subscribe() as subscription:
            before = await subscription.request(3)
            position = json.loads(json.dumps(subscription.position))
        out = []
        for capacity in (9, 1):
            async with (
                ps.from_iterable(items).distinct(capacity=capacity).subscribe(position) as subscription
            ):
                out.append(before + (await collect(subscription, [1])).items)
        return out

    assert virtually(main()) == [items[:3], [*items[:3], (1, "a"), (3, "c")]]


def test_errors_of_results() -> None:
    """``unwrap`` raises an exception, raises another value in an ``UnwrapError``, skips it, or calls a function."""
    results = [Ok(1), Error("no"), Ok(2)]
    given_away: list[str] = []
    assert ours(results, op.unwrap(errors="skip"), [2]) == [1, 2]
    assert ours(results, op.unwrap(errors=given_away.append), [2]) == [1, 2]
    assert given_away == ["no"]
    with pytest.raises(UnwrapError, match=r"Error\('no'\)") as caught:
        ours(results, op.unwrap(), [2])
    assert caught.value.error == "no"
    with pytest.raises(LookupError):
        ours([Error(LookupError("gone"))], op.unwrap(), [2])


def test_raised_results_can_be_skipped() -> None:
    """``on_error_skip`` calls its function with the item on which ``unwrap`` failed."""
    left: list[Any] = []
    results = [Ok(1), Error("no"), Ok(2)]
    skipping = lambda flow: flow | op.unwrap() | op.on_error_skip(lambda _, item: left.append(item))  # noqa: E731
    assert ours(results, skipping, [3]) == [1, 2]
    assert left == [Error("no")]


def test_types_are_seen_to() -> None:
    """``cast`` passes instances, also of a union, and its error shows the first other item."""
    assert ours([1, "a"], op.cast(int | str), [1]) == [1, "a"]  # type: ignore[arg-type]
    assert ours([1, "a"], op.cast((int, str)), [1]) == [1, "a"]  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cast expected int, but this item is str: a"):
        ours([1, "a"], op.cast(int), [1])
    with pytest.raises(TypeError, match="this item is int"):
        ours([1], op.dematerialize(), [1])


def test_failures_above_are_said_not_skipped() -> None:
    """``materialize`` catches errors above it, so ``on_error_skip`` behind it has nothing to skip."""
    flow = ps.just(1, 0) | op.map(lambda x: 1 / x) | op.materialize()
    with pytest.raises(GraphError, match="nothing to skip"):
        flow | op.on_error_skip(lambda *_: None)


def test_no_default_for_what_was_only_cut() -> None:
    """A run that is drained before its first item yields no default, no list and no ``Completed``."""
    flow = ps.never()

    async def main() -> list[Any]:
        out = []
        for step in (op.default_if_empty(1), op.collect(), op.materialize(), op.take_last(2)):
            async with (flow | step).subscribe() as subscription:
                await subscription.drain()
                out.append(await subscription.request(1))
        return out

    assert virtually(main()) == [[], [], [], []]


def test_the_other_flow_starts_only_when_it_is_needed() -> None:
    """``switch_if_empty`` and ``start_with`` start a flow only when it is its turn."""
    begun: list[str] = []

    def rows(name: str) -> Any:
        def make() -> Any:
            begun.append(name)
            return iter([name])

        return ps.from_iterable(make)

    async def main() -> list[Any]:
        kept = await (rows("a") | op.switch_if_empty(rows("b"))).to_list()
        async with (rows("c") | op.start_with("x", "y")).subscribe() as subscription:
            return [kept, await subscription.request(1), list(begun)]

    assert virtually(main()) == [["a"], ["x"], ["a"]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: op.distinct(capacity=0), "capacity must be a whole number, at least 1"),
        (lambda: op.distinct(3, capacity=1), "distinct takes a function as key, not int"),  # type: ignore[arg-type]
        (lambda: op.cast("int"), "cast takes a type"),  # type: ignore[arg-type]
        (lambda: op.unwrap(errors="ignore"), "'raise', 'skip', or a function"),  # type: ignore[call-overload]
        (lambda: op.unwrap(errors=3), "unwrap takes a function"),  # type: ignore[call-overload]
        (lambda: op.switch_if_empty(1), "must be a Flow"),  # type: ignore[arg-type]
    ],
)
def test_refused_when_the_graph_is_built(make: Callable[[], object], words: str) -> None:
    """Wrong arguments raise a ``GraphError`` that names the parameter or the operator."""
    with pytest.raises(GraphError, match=words):
        make()


def test_chains_of_both_kinds() -> None:
    """A chain of elements and stages that hold items yields what plain Python yields."""
    flow = (
        ps.from_iterable(range(40))
        .map(lambda x: x * 3 % 11)
        .distinct(capacity=4)
        .pairwise()
        .starmap(lambda a, b: a + b)
        .skip_last(2)
        .batch(3)
        .unbatch()
        .take_last(5)
        .start_with(0)
        .collect(tuple[int, ...])
    )
    plain = [a + b for a, b in itertools.pairwise([x * 3 % 11 for x in range(40)])][:-2]
    assert virtually(flow.to_list()) == [(0, *plain[-5:])]
