"""Fused operators compared with itertools: random chains, their requests and their errors."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from expression import Nothing, Some, pipe
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import from_iterable
from penstock.errors import GraphError
from penstock.testing import TestSource
from penstock.testing import run as virtually

from ..laws.models import batched, changed, flat, scanned, taken  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow

    Step = tuple[str, Callable[[Flow[Any]], Flow[Any]], Callable[[Iterator[Any]], Iterator[Any]]]


async def take_all(subscription: Any, schedule: list[int], out: list[Any]) -> None:
    """Append all items to ``out`` until an error is raised."""
    for n in itertools.cycle(schedule):
        out += await subscription.request(n)


def hashed(acc: int, x: int) -> int:
    return (acc * 3 + x) % 101


def repeat(x: int) -> list[int]:
    return [x + k for k in range(x % 4)]


def some(x: int) -> Any:
    return Some(x * 2) if x % 3 else Nothing


small = st.integers(0, 7)
size = st.integers(1, 4)

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from(
        [
            ("map", op.map(lambda x: x * 7 % 31), lambda it: (x * 7 % 31 for x in it)),
            ("filter", op.filter(lambda x: x % 3), lambda it: (x for x in it if x % 3)),
            ("choose", op.choose(some), lambda it: (x * 2 for x in it if x % 3)),
            ("tap", op.tap(lambda x: None), lambda it: it),
            ("flat_map", op.flat_map(repeat), flat(repeat)),
            ("lazy", op.flat_map(lambda x: iter(repeat(x))), flat(repeat)),
            ("scan", op.scan(hashed, 7), scanned(hashed, 7)),
            ("distinct", op.distinct_until_changed(), lambda it: (k for k, _ in itertools.groupby(it))),
            (
                "distinct by",
                op.distinct_until_changed(lambda x: x // 5),
                changed(lambda x: x // 5),
            ),
            (
                "take_while",
                op.take_while(lambda x: x < 25),
                lambda it: itertools.takewhile(lambda x: x < 25, it),
            ),
            (
                "skip_while",
                op.skip_while(lambda x: x < 9),
                lambda it: itertools.dropwhile(lambda x: x < 9, it),
            ),
        ]
    ),
    small.map(lambda n: (f"take {n}", op.take(n), taken(n))),
    small.map(lambda n: (f"skip {n}", op.skip(n), lambda it: itertools.islice(it, n, None))),
    size.map(
        lambda n: (
            f"batch {n}",
            lambda flow: flow | op.batch(n) | op.map(sum),
            lambda it: map(sum, batched(n)(it)),
        )
    ),
    small.map(
        lambda n: (
            f"enumerate {n}",
            lambda flow: flow | op.enumerate(n) | op.starmap(lambda i, x: i * 10 + x),
            lambda it: (i * 10 + x for i, x in enumerate(it, n)),
        )
    ),
)
CHAINS = st.lists(STEPS, max_size=6)
INPUTS = st.lists(st.integers(0, 30), max_size=30)
SCHEDULES = st.lists(st.sampled_from([1, 2, 3, 7, 1000]), min_size=1, max_size=4)


def built(flow: Flow[Any], chain: list[Step]) -> Flow[Any]:
    for _, step, _ in chain:
        flow = flow | step
    return flow


def modelled(items: list[int], chain: list[Step]) -> list[Any]:
    iterator = iter(items)
    for _, _, model in chain:
        iterator = iter(model(iterator))
    return list(iterator)


@given(INPUTS, CHAINS, SCHEDULES)
def test_chains_are_what_itertools_make_of_them(
    items: list[int], chain: list[Step], schedule: list[int]
) -> None:
    """Any chain of fused operators, under any schedule of requests, yields what generators would."""

    async def main() -> list[Any]:
        out: list[Any] = []
        async with built(from_iterable(items), chain).subscribe() as subscription:
            for n in itertools.cycle(schedule):
                got = await subscription.request(n)
                assert len(got) <= n
                if not got:
                    return out
                out += got
        raise AssertionError

    assert virtually(main()) == modelled(items, chain)


@given(INPUTS, CHAINS)
def test_every_terminal_agrees(items: list[int], chain: list[Step]) -> None:
    """``async for``, ``requesting``, ``to_list``, ``count``, ``reduce``, ``for_each``, ``last`` and ``first`` see the same items."""
    model = modelled(items, chain)

    async def main() -> None:
        flow = built(from_iterable(items), chain)
        seen: list[Any] = []
        await flow.for_each(seen.append)
        assert seen == model
        assert [item async for item in flow] == model
        assert [item async for item in flow.requesting(3)] == model
        assert await flow.to_list() == model
        assert await flow.count() == len(model)
        assert await flow.reduce(lambda acc, x: [*acc, x], []) == model
        assert await flow.last("none") == (model[-1] if model else "none")
        assert await flow.first("none") == (model[0] if model else "none")
        await flow.run()

    virtually(main())


@given(INPUTS, CHAINS, st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_chains_resume_from_any_cut(items: list[int], chain: list[Step], cuts: list[int]) -> None:
    """A chain that is cut and resumed several times yields each item once."""

    async def main() -> list[Any]:
        out: list[Any] = []
        position = None
        for cut in [*cuts, 1_000_000]:
            async with built(from_iterable(items), chain).subscribe(position) as subscription:
                for _ in range(cut):
                    got = await subscription.request(2)
                    out += got
                    if not got:
                        break
                position = subscription.position
        return out

    assert virtually(main()) == modelled(items, chain)


@given(INPUTS, CHAINS)
def test_the_three_ways_of_composing_are_one(items: list[int], chain: list[Step]) -> None:
    """``|`` and ``expression.pipe`` build the same flow."""
    flow = from_iterable(items)
    piped = pipe(flow, *(step for _, step, _ in chain))
    assert repr(piped) == repr(built(flow, chain))
    assert virtually(piped.to_list()) == modelled(items, chain)


# -- take --------------------------------------------------------------------------------------------


@given(st.integers(0, 6), st.integers(0, 9), st.sampled_from(["generator", "iterable", "pages"]), SCHEDULES)
def test_take_pulls_no_item_more(count: int, there: int, style: Any, schedule: list[int]) -> None:
    """``take(n)`` requests no more items than remain, and closes upstream as soon as it has them."""
    source = TestSource(range(there), style=style, page=(1,))

    async def main() -> None:
        async with source.take(count).subscribe() as subscription:
            got: list[Any] = []
            for n in itertools.cycle(schedule):
                if len(got) == min(count, there) == count:
                    break
                chunk = await subscription.request(n)
                if not chunk:
                    break
                got += chunk
            for _ in range(9):
                await _turn()
            assert source.counts.handed == min(count, there)
            assert source.counts.closed == source.counts.opened
            assert await subscription.request(1) == []

    virtually(main())


async def _turn() -> None:
    import asyncio

    await asyncio.sleep(0)


async def test_take_behind_a_filter_asks_for_what_remains() -> None:
    """``filter | take(2)`` requests the missing items, and stops at the second match."""
    asked: list[int] = []

    def items() -> Iterator[int]:
        for i in itertools.count():
            asked.append(i)
            yield i

    assert await from_iterable(items).filter(lambda x: x % 5 == 4).take(2).to_list() == [4, 9]
    assert asked == list(range(10))


async def test_take_while_reads_one_item_too_many_and_no_more() -> None:
    """The first item that fails the test is read; the next one is not."""
    source = TestSource(range(9), style="iterable")
    async with source.take_while(lambda x: x < 3).subscribe() as subscription:
        out: list[int] = []
        while got := await subscription.request(1):
            out += got
    assert (out, source.counts.handed) == ([0, 1, 2], 4)


async def test_skip_counts_over_requests() -> None:
    """Skipping more items than there are yields nothing; the count continues over several requests."""
    assert await from_iterable(range(3)).skip(5).to_list() == []
    assert [x async for x in from_iterable(range(9)).skip(4).requesting(2)] == [4, 5, 6, 7, 8]


async def test_side_effects_keep_their_order() -> None:
    """Each item passes all operators before the next item, as in a plain loop."""
    log: list[str] = []
    flow = (
        from_iterable([1, 2]).tap(lambda x: log.append(f"a{x}")).map(str).tap(lambda x: log.append(f"b{x}"))
    )
    await flow.run()
    assert log == ["a1", "b1", "a2", "b2"]


# -- failing -----------------------------------------------------------------------------------------


@given(st.integers(0, 8), SCHEDULES)
def test_what_came_before_a_failure_is_delivered(at: int, schedule: list[int]) -> None:
    """The items before the failing one are delivered first; then each request raises the same error."""

    def divide(x: int) -> float:
        return 1 / (x - at)

    async def main() -> None:
        async with from_iterable(range(9)).map(divide).subscribe() as subscription:
            out: list[float] = []
            with pytest.raises(ZeroDivisionError) as caught:
                await take_all(subscription, schedule, out)
            assert out == [1 / (x - at) for x in range(at)]
            with pytest.raises(ZeroDivisionError) as again:
                await subscription.request(1)
            assert again.value is caught.value
            assert len(caught.value.__notes__) == 1
            assert f"map at {__file__}:" in caught.value.__notes__[0]

    virtually(main())


@pytest.mark.parametrize(
    "name", ["map", "filter", "tap", "flat_map", "take_while", "skip_while", "choose", "starmap", "scan"]
)
async def test_a_stray_stop_iteration_is_an_error(name: str) -> None:
    """A ``StopIteration`` of a user's function becomes a ``RuntimeError`` that names the operator, never an end."""

    def stop(*_: Any) -> Any:
        raise StopIteration

    arguments = (stop, 0) if name == "scan" else (stop,)
    flow = from_iterable([(1,), (2,)]) | getattr(op, name)(*arguments)
    with pytest.raises(RuntimeError) as caught:
        await flow.to_list()
    assert any(f"in {name} at" in note for note in caught.value.__notes__)


async def test_the_right_operator_of_a_fused_stage_is_blamed() -> None:
    """The note names the operator whose function failed, although five operators run as one."""
    flow = from_iterable([3, 0]).map(int).filter(bool).tap(lambda x: None)
    bad = flow.map(lambda x: x[0])  # type: ignore[index]
    line = bad.node.origin
    with pytest.raises(TypeError) as caught:
        await bad.enumerate().to_list()
    assert caught.value.__notes__ == [f"penstock: in map at {line}"]


# -- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["take", "skip", "batch", "buffer"])
@pytest.mark.parametrize("value", [-1, 2.5, float("nan"), True, "3", None, from_iterable([1])])
def test_counts_must_be_whole_numbers(name: str, value: Any) -> None:
    """A value that is not a count raises a ``GraphError`` that names the operator."""
    with pytest.raises(GraphError, match=name):
        getattr(op, name)(value)


@pytest.mark.parametrize(
    "name", ["map", "filter", "tap", "flat_map", "starmap", "choose", "take_while", "skip_while"]
)
def test_functions_must_be_plain_functions(name: str) -> None:
    """A value that cannot be called is refused, and so is an operator that was not called."""
    with pytest.raises(GraphError, match=f"{name} takes a function"):
        getattr(op, name)(3)
    with pytest.raises(GraphError, match=rf"Right: flow \| op.{name}\(...\)"):
        from_iterable([1]) | getattr(op, name)
    with pytest.raises(
        GraphError, match=rf"{name} takes a function, not Flow.*Right: flow \| op.{name}\(...\)"
    ):
        getattr(op, name)(from_iterable([1]))


def test_enumerate_must_be_called() -> None:
    """``flow | op.enumerate`` without the call is refused."""
    with pytest.raises(GraphError, match="enumerate was not called"):
        from_iterable([1]) | op.enumerate  # type: ignore[operator]


def test_operators_take_flows_only() -> None:
    """A list is refused, and the error suggests ``from_iterable``."""
    with pytest.raises(GraphError, match=r"the input of map must be a Flow, not list.*from_iterable"):
        op.map(str)([1, 2])  # type: ignore[arg-type]
    for join in (op.concat, op.merge):
        with pytest.raises(GraphError, match=f"each argument of {join.__name__} must be a Flow, not int"):
            join(1)  # type: ignore[arg-type]
