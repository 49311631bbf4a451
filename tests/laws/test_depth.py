"""Deep and wide graphs: any number of operators builds, runs, closes, resumes and is explained."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import PositionError
from penstock.testing import TestSource, laws, no_leaks, run

from ..length import LONG, cases  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES
from .everyday import keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .entry import Entry

    Step = Callable[[ps.Flow[Any]], ps.Flow[Any]]

ENDLESS = {"publish", "checkpoint"}
"""Operators behind which not every operator may stand, or which wait for a call."""


def chained(entry: Entry, count: int) -> ps.Flow[Any]:
    """Return the flow of an entry behind itself, ``count`` times; each stage gets two items at the most."""
    flow: ps.Flow[Any] = ps.range_(2)
    for _ in range(count):
        first = entry.inputs[0][0] if entry.inputs[0] else 0
        given = flow if isinstance(first, int) else flow | op.map(lambda _, first=first: first)
        made: ps.Flow[Any] = entry.factory(given, *map(ps.from_iterable, entry.inputs[1:]))
        plain = made | op.map(lambda x: x if type(x) is int else 1)
        flow = plain | op.take(2) | op.default_if_empty(3)
    return flow


CHAINED = [
    entry
    for entry in ENTRIES
    if entry.inputs and set(entry.operators) & set(op.__all__) - ENDLESS and "strict=True" not in entry.name
]


@contextmanager
def little_stack(frames: int) -> Iterator[None]:
    """Allow ``frames`` more calls on the Python stack than there are now.

    Twice as many while coverage is measured: on Python 3.11 a traced call takes more of the stack.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + frames * (1 if sys.gettrace() is None else 2))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


async def items_of(subscription: ps.Subscription[Any], n: int = 1) -> list[Any]:
    items: list[Any] = []
    while got := await subscription.request(n):
        items += got
    return items


async def looked_at(flow: ps.Flow[Any]) -> list[Any]:
    """Run a flow to its end, with all that one can ask of it; return its items."""
    async with flow.subscribe() as subscription:
        first = await subscription.request(1)
        if flow.resumable:
            json.dumps(subscription.position)
        graph = flow.graph(subscription.statistics())
        assert len(str(graph).splitlines()) >= len(graph.nodes)
        graph.to_svg()
        graph.to_mermaid()
        assert flow.max_in_flight() >= 0
        await subscription.settle()
        return first + await items_of(subscription)


SAMPLE = itertools.product(["position", "cancel_safe", "closing", "prefix"], ENTRIES[::14])


@pytest.mark.parametrize(
    ("law", "entry"),
    [
        pytest.param(law, entry, id=f"{entry.name}-{law}")
        for law, entry in cases(SAMPLE, itertools.product(laws.LAWS, ENTRIES))
    ],
)
def test_keeps_the_law_where_the_stack_is_cut(
    law: str, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operator keeps every law if the Python stack is cut before every stage."""
    monkeypatch.setattr(sys.modules["penstock.runtime.node"], "DEEPEST", 1)
    if law not in entry.skip:
        keep(law, entry)


@pytest.mark.slow
def test_any_operator_can_be_chained() -> None:
    """Chained operators of one kind need no more of the Python stack than some of them; nothing is left."""
    failed: dict[str, BaseException] = {}

    async def main(entry: Entry) -> None:
        async with no_leaks():
            await looked_at(chained(entry, 1_000 if LONG else 40))

    for entry in CHAINED[:: 1 if LONG else 6]:
        try:
            with little_stack(500):
                run(main(entry))
        except BaseException as error:  # noqa: BLE001  of any operator
            failed[entry.name] = error
    assert failed == {}


@pytest.mark.slow
def test_deep_chains_are_cancelled_drained_and_resumed() -> None:
    """A chain that is cut several times loses nothing when it is cancelled, and resumes from its positions."""
    exact = [entry for entry in CHAINED if chained(entry, 1).order == "exact" and chained(entry, 1).resumable]
    failed: dict[str, str] = {}

    async def main(entry: Entry) -> None:
        def flow() -> ps.Flow[Any]:
            return chained(entry, 40)

        async with flow().subscribe() as subscription:
            whole = await items_of(subscription)
        async with flow().subscribe() as subscription:
            some: list[Any] = []
            position = subscription.position
            while True:
                async with flow().subscribe(json.loads(json.dumps(position))) as resumed:
                    if some + await items_of(resumed, 3) != whole:
                        failed[entry.name] = f"resumed behind {len(some)} items"
                request = asyncio.ensure_future(subscription.request(1))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                request.cancel()
                got = (await asyncio.gather(request, return_exceptions=True))[0]
                items = await subscription.request(1) if isinstance(got, BaseException) else got
                some += items
                position = subscription.position
                if not items:
                    break
        if some != whole:
            failed[entry.name] = "cancelled"
        async with flow().subscribe() as subscription:
            await subscription.drain()
            assert len(await items_of(subscription)) <= len(whole)

    for entry in exact[:: 1 if LONG else 9]:
        run(main(entry))
    assert failed == {}


def diamond(flow: ps.Flow[Any]) -> ps.Flow[Any]:
    left, right = flow | op.broadcast(2)
    return left.zip(right).map(lambda pair: pair[0])


KINDS: dict[str, Step] = {
    "map": lambda f: f.map(abs),
    "scan": lambda f: f.scan(lambda _, x: x, 0),
    "flat_map": lambda f: f.flat_map(lambda x: [x]),
    "buffer": lambda f: f.buffer(2),
    "retry": lambda f: f.retry(attempts=2),
    "recover": lambda f: f.recover(lambda _: 0),
    "concat_map": lambda f: f.concat_map(ps.just),
    "merge": lambda f: f.merge(ps.empty()),
    "concat": lambda f: f.concat(ps.empty()),
    "concat on the right": lambda f: ps.empty().concat(f),
    "share": lambda f: f.share(),
    "broadcast": diamond,
    "defer": lambda f: ps.defer(lambda: f),
    "using": lambda f: ps.using(lambda: 1, lambda _: f, id),
    "delay": lambda f: f.delay(1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_one_kind(kind: str) -> None:
    """A chain of operators, longer than the stack allows, yields what it should and stays linear in every respect."""
    count, frames = (10_000, 900) if LONG else (250, 400)
    flow: ps.Flow[Any] = ps.range_(3)
    for _ in range(count):
        flow = KINDS[kind](flow)

    async def main() -> None:
        async with asyncio.timeout(1_000_000), flow.subscribe() as subscription:
            assert await subscription.request(1) == [0]
            stages = len(subscription.statistics().stages)
            assert stages <= 6 * count
            if flow.resumable:
                position = subscription.position
                assert len(json.dumps(position)) < 100 * (count + 1)
                async with flow.subscribe(json.loads(json.dumps(position))) as resumed:
                    assert len(json.dumps(resumed.position)) == len(json.dumps(position))
                    assert await items_of(resumed, 2) == [1, 2]
            assert await items_of(subscription, 2) == [1, 2]

    with little_stack(frames):
        run(main())
        assert len(flow.explain()) < 2_000 * (count + 1)
        assert len(flow.graph().to_svg()) < 4_000 * (count + 1)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks")
@pytest.mark.parametrize("kind", ["share", "broadcast", "merge", "buffer"])
def test_eager_tasks_do_not_fill_the_stack(kind: str) -> None:
    """Hundreds of chained operators that start tasks work with eager tasks too, and close."""
    flow: ps.Flow[Any] = ps.range_(3)
    for _ in range(400):
        flow = KINDS[kind](flow)

    async def main() -> None:
        factory: Any = vars(asyncio)["eager_task_factory"]
        asyncio.get_running_loop().set_task_factory(factory)
        async with flow.subscribe() as subscription:
            assert await items_of(subscription, 2) == [0, 1, 2]
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [0]

    run(main())


def test_nested_merges_are_one_stage() -> None:
    """Merges that are each other's inputs are one stage, so an item takes the same work at any depth."""
    count = 10_000 if LONG else 600
    flow: ps.Flow[int] = ps.just(0)
    for k in range(1, count):
        flow = flow.merge(ps.just(k)) if k % 2 else ps.just(k).merge(flow)

    async def main() -> None:
        async with flow.subscribe() as subscription:
            some = await subscription.request(count // 2)
            stages = subscription.statistics().stages
            assert len(stages) == count + 1
            assert sorted(key for stage in stages for key in stage.nodes) == list(range(2 * count - 1))
            position = json.loads(json.dumps(subscription.position))
            assert sorted(some + await items_of(subscription)) == list(range(count))
        async with flow.subscribe(position) as resumed:
            assert sorted(some + await items_of(resumed)) == list(range(count))

    run(main())


@pytest.mark.parametrize("kind", ["merge", "zip", "concat", "broadcast"])
def test_thousands_of_inputs_and_branches(kind: str) -> None:
    """A node has thousands of inputs or branches, and every item comes through."""
    count = 10_000 if LONG else 500
    flows = [ps.just(k) for k in range(count)]
    branches = ps.just(1) | op.broadcast(count)
    made: dict[str, tuple[ps.Flow[Any], Any, int]] = {
        "merge": (flows[0].merge(*flows[1:]), list(range(count)), count + 1),
        "zip": (flows[0].zip(*flows[1:]).map(sum), [sum(range(count))], count + 2),
        "concat": (flows[0].concat(*flows[1:]), list(range(count)), count + 1),
        "broadcast": (branches[0].merge(*branches[1:]), [1] * count, count + 2),
    }
    flow, items, nodes = made[kind]
    assert run(looked_at(flow)) == items
    assert len(flow.graph().nodes) == nodes


def test_rejoined_branches_are_counted_once() -> None:
    """A diamond of diamonds has as many nodes, stages and rows as operators, and yields at once."""
    flow: ps.Flow[Any] = ps.range_(3)
    for _ in range(18):
        flow = diamond(flow)

    async def main() -> None:
        async with flow.subscribe() as subscription:
            assert await items_of(subscription, 2) == [0, 1, 2]
            statistics = subscription.statistics()
            assert sorted(key for stage in statistics.stages for key in stage.nodes) == list(range(73))
            assert len(flow.graph(statistics).nodes) == 73  # a source, and two branches, zip and map each

    run(main())
    rows = flow.explain().splitlines()
    assert sum("range(" in row for row in rows) in {1, 2}  # in its place, and where it feeds another branch
    assert sum("shown above" in row or "shown below" in row for row in rows) >= 18


def nested(shape: str, count: int) -> ps.Flow[Any]:
    """Return ``count`` concats, one inside the other: on the left, on the right, or by turns."""
    flow: ps.Flow[Any] = ps.just(0)
    for k in range(count):
        left = shape == "left" or (shape == "by turns" and k % 2)
        flow = flow.concat(ps.just(k)) if left else ps.just(k).concat(flow)
    return flow


@pytest.mark.parametrize("shape", ["left", "right", "by turns"])
def test_positions_grow_with_the_graph(shape: str) -> None:
    """The position of nested joins is twice as long for twice as many, and its ids differ."""

    async def size(count: int) -> int:
        async with nested(shape, count).subscribe() as subscription:
            await subscription.request(1)
            position = subscription.position
        assert len(position["nodes"]) == 2 * count + 1
        return len(json.dumps(position))

    assert run(size(400)) < 2.2 * run(size(200))


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (lambda f: f, lambda f: f.scan(max), "has scan#2 that the position lacks, and lacks nothing"),
        (lambda f: f.zip(f), lambda f: f.zip(f, f), "has from_iterable#4, enumerate#5, zip(3)#6"),
        (lambda f: f.zip(f.zip(f)), lambda f: f.zip(f).zip(f), "zip(2)"),
        (lambda f: f.zip(f), lambda f: f.merge_sorted(f), "has merge_sorted(2)#4"),
        (lambda f: f.take(3), lambda f: f, "lacks take#2 that the position has"),
        (lambda f: f.take(3).scan(max), lambda f: f.scan(max), "has nothing that the position lacks"),
    ],
)
def test_another_shape_is_refused(one: Step, other: Step, said: str) -> None:
    """A position names every join, so another shape of the graph refuses it, and says what differs."""

    async def main() -> None:
        async with one(ps.just(0).enumerate()).subscribe() as subscription:
            position = subscription.position
        with pytest.raises(PositionError) as caught:
            other(ps.just(0).enumerate()).subscribe(position)
        assert said in str(caught.value)

    run(main())


def test_what_has_no_state_changes_no_id() -> None:
    """Operators without a state can be added and removed, and functions exchanged, anywhere in a graph."""

    async def main() -> None:
        flow = ps.range_(4).concat(ps.range_(4).take(2)).zip(ps.range_(9).scan(max))
        more = (
            ps.range_(4).map(str).concat(ps.range_(4).tap(abs).take(2)).buffer(2)
        ).zip(ps.range_(9).filter(bool).scan(min).map(str))  # fmt: skip
        async with flow.subscribe() as subscription:
            position = subscription.position
        async with more.subscribe(position) as subscription:
            assert subscription.position == position

    run(main())


def test_a_message_names_few_operators() -> None:
    """The message of a refused position does not list thousands of operators."""

    async def main() -> None:
        async with nested("left", 300).subscribe() as subscription:
            position = subscription.position
        with pytest.raises(PositionError, match="and 580 more") as caught:
            nested("left", 600).subscribe(position)
        assert len(str(caught.value)) < 1_000

    run(main())


def test_resumed_inputs_keep_their_own_states_only() -> None:
    """A join of flows that are resumed twice keeps the position of each: they do not share old states."""

    def factory(a: TestSource, b: TestSource, c: TestSource, d: TestSource) -> Any:
        return (a | op.concat(b)) | op.zip(c | op.concat(d))

    subject = laws.Subject(factory, ((0, 1, 2), (3, 4), (10, 11, 12, 13), (14,)))
    for cuts in cases([(1, 1, 1), (2, 1)], [(1, 1, 1), (2, 1), (1, 2), (1, 1), (3, 1)]):
        laws.position(subject, schedule=(1,), cuts=cuts)


def test_a_position_of_flows_that_build_each_other_is_flat_beyond_some_depth() -> None:
    """Its JSON is nested up to there, as it was always written, and damaged references are refused."""

    def built(count: int) -> ps.Flow[int]:
        flow = ps.range_(3)
        for number in range(count):
            flow = (
                ps.defer(lambda flow=flow: flow)
                if number % 2
                else ps.just(0).concat_map(lambda _, flow=flow: flow)
            )
        return flow

    async def main() -> None:
        for count in (3, 31, 32, 33, 70):
            async with built(count).subscribe() as subscription:
                assert await subscription.request(1) == [0]
                position = subscription.position
            assert ("built" in position) == (count >= 32)
            inner = position
            for _ in range(min(count, 31)):
                inner = next(one for one in inner["nodes"].values() if isinstance(one, dict))
            assert inner["v"] == 1
            async with built(count).subscribe(position) as resumed:
                assert await items_of(resumed, 2) == [1, 2]
        position["built"].pop()
        with pytest.raises(PositionError, match="damaged"):
            built(70).subscribe(position)

    run(main())
