"""The handle of a run: positions as JSON, refusals that say what changed, draining, statistics, closing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aioreactive as rx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import Flow, from_async_iterable, from_iterable, from_observable, just
from penstock.errors import (
    ConcurrentRequestError,
    GraphError,
    NotResumable,
    PositionError,
    SubscriptionClosed,
)
from penstock.sources.from_pages import from_pages
from penstock.testing import Planted, Sleep, TestSource, no_leaks
from penstock.testing import run as virtually


def total(acc: int, x: int) -> int:
    return acc + x


async def position_after(flow: Flow[Any], count: int) -> Any:
    async with flow.subscribe() as subscription:
        await subscription.request(count)
        return subscription.position


async def collected(subscription: Any) -> list[Any]:
    out: list[Any] = []
    while got := await subscription.request(1):
        out += got
    return out


@pytest.mark.parametrize("n", [2**63 - 1, 2**63, 2**100])
@pytest.mark.parametrize(
    "shape",
    [
        op.pairwise(), op.skip_last(2), op.sliding(3, 2), op.batch(3), op.skip(2), op.take(2**70),
        op.skip_last(2**70), op.buffer(2**70), op.start_with(1),
    ],
    ids=lambda _: "",
)  # fmt: skip
async def test_any_demand_will_do(shape: Any, n: int) -> None:
    """A demand that no list could hold is as good as any, also where a stage asks for more than it was asked for."""
    flow = from_iterable(range(9)) | shape
    async with flow.subscribe() as subscription:
        asked, by_one = await subscription.request(n), await collected(flow.subscribe())
        assert asked == by_one[: len(asked)]


# -- positions ---------------------------------------------------------------------------------------


async def test_a_position_is_plain_json_that_shares_nothing() -> None:
    """It survives being written and read, and changing it changes nothing of the run."""
    flow = from_iterable(range(9)).scan(lambda acc, x: [*acc, x], []).distinct_until_changed()
    async with flow.subscribe() as subscription:
        await subscription.request(2)
        position = subscription.position
        assert json.loads(json.dumps(position)) == position
        position["nodes"]["scan#1"][0].append("changed")
        assert subscription.position["nodes"]["scan#1"] == [[0, 1]]
        assert await subscription.request(1) == [[0, 1, 2]]


async def test_stateless_operators_do_not_appear_in_it() -> None:
    """Adding a tap or another map, or a corrected function, keeps a position valid."""
    position = await position_after(from_iterable(range(9)).map(str).take(5), 2)
    assert position == {"v": 1, "nodes": {"from_iterable#0": 2, "take#1": 2}}
    flow = from_iterable(range(9)).tap(print).filter(lambda x: x % 2).map(lambda x: -x).take(5)
    async with flow.subscribe(position) as subscription:
        rest: list[int] = []
        while got := await subscription.request(9):
            rest += got
    assert rest == [-3, -5, -7]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda f: f.enumerate(), ["enumerate#1 that the position lacks", "lacks nothing"]),
        (lambda f: f.concat(just(1)), ["0.from_iterable#0", "concat(2)#0", "lacks from_iterable#0"]),
        (lambda f: from_pages(lambda: None), ["has from_pages#0", "lacks from_iterable#0"]),
    ],
)
async def test_another_graph_refuses_it_and_says_what_changed(other: Any, said: list[str]) -> None:
    """What the flow has and the position lacks, and the other way round; when subscribing, not later."""
    flow = from_iterable(range(9))
    position = await position_after(flow, 2)
    with pytest.raises(PositionError) as caught:
        other(flow).subscribe(position)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize("wrong", [{}, {"v": 2, "nodes": {}}, {"v": 1}, [], "x", 3, {"nodes": {}}])
def test_what_is_no_position_is_refused(wrong: Any) -> None:
    """Something else than a position of this version is told apart from one of another graph."""
    with pytest.raises(PositionError, match="not a position"):
        just(1).subscribe(wrong)


async def test_a_state_that_is_no_json_is_refused_by_name() -> None:
    """The operator is named, and what its state may be."""
    flow = from_iterable(range(9)).scan(lambda acc, x: acc | {x}, set())
    async with flow.subscribe() as subscription:
        await subscription.request(1)
        with pytest.raises(PositionError, match=f"scan at {__file__}.*Keep it to numbers"):
            _ = subscription.position


async def test_a_flow_without_positions_says_which_node() -> None:
    """``resumable`` is false; the position, and subscribing from one, name the source."""
    flow = from_observable(rx.from_iterable([1])).map(str).buffer(2)
    assert flow.resumable is False
    async with flow.subscribe() as subscription:
        with pytest.raises(NotResumable, match=f"from_observable at {__file__}"):
            _ = subscription.position
    with pytest.raises(NotResumable, match="from_observable"):
        flow.subscribe({"v": 1, "nodes": {}})


def test_two_nodes_of_one_name_are_refused() -> None:
    """A ``name=`` is an id; twice the same would mix up two states."""
    flow = from_iterable([1], name="a").scan(total, 0, name="a")
    with pytest.raises(GraphError, match="'a'"):
        flow.subscribe()


async def test_a_name_keeps_a_position_valid_where_it_moves() -> None:
    """A named operator finds its state behind another stateful one."""
    position = await position_after(from_iterable(range(9), name="in").scan(total, 0, name="sum"), 3)
    assert set(position["nodes"]) == {"in", "sum"}
    flow = from_iterable(range(9), name="in").map(int).scan(total, 0, name="sum")
    async with flow.subscribe(position) as subscription:
        assert await subscription.request(1) == [6]


async def test_the_same_flow_may_stand_in_two_places() -> None:
    """Each place has states of its own."""
    flow = from_iterable(range(4)).enumerate()
    twice = flow.concat(flow)
    out: list[Any] = []
    position = None
    for _ in range(9):
        async with twice.subscribe(position) as subscription:
            out += await subscription.request(1)
            position = subscription.position
    assert out == [*enumerate(range(4))] * 2


# -- requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1])
async def test_a_request_asks_for_at_least_one(n: int) -> None:
    """Nothing is asked of upstream, and the run goes on."""
    async with just(1).subscribe() as subscription:
        with pytest.raises(ValueError, match="at least one"):
            await subscription.request(n)
        assert await subscription.request(1) == [1]


def test_a_second_request_is_refused_and_harms_nothing() -> None:
    """Two consumers of one run are told so; the first one gets its items."""

    async def main() -> None:
        async with TestSource([Sleep(1), 1, 2]).subscribe() as subscription:
            first = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(0)
            with pytest.raises(ConcurrentRequestError):
                await subscription.request(1)
            assert await first == [1]
            assert await subscription.request(1) == [2]

    virtually(main())


async def test_the_lists_are_the_consumers_own() -> None:
    """A list that came may be changed at will."""
    rows = [1, 2, 3]
    async with from_iterable(rows).buffer(3).subscribe() as subscription:
        while got := await subscription.request(2):
            got.clear()
    assert rows == [1, 2, 3]


# -- drain -------------------------------------------------------------------------------------------


@given(st.integers(0, 12), st.integers(1, 4), st.booleans())
def test_a_drained_run_delivers_what_is_in_flight_and_can_go_on(
    after: int,
    size: int,
    merged: bool,
) -> None:
    """No new input; what was taken is delivered; a run from the position has the rest, nothing twice."""

    async def slow(x: int) -> int:
        await asyncio.sleep(x % 3)
        return x

    def flow() -> Flow[int]:
        one: Flow[int] = TestSource(range(10)).map_async(slow, 3).buffer(size)
        if merged:
            one = one.merge(TestSource(range(10, 20)).buffer(2))
        return one

    async def main() -> None:
        out: list[int] = []
        source = flow()
        async with source.subscribe() as subscription:
            while len(out) < after and (got := await subscription.request(size)):
                out += got
            await subscription.drain()
            while got := await subscription.request(size):
                out += got
            assert await subscription.request(1) == []
            position = subscription.position
        async with source.subscribe(position) as subscription:
            while got := await subscription.request(size):
                out += got
        assert sorted(out) == list(range(20 if merged else 10))

    virtually(main())


def test_drain_wakes_a_pending_request() -> None:
    """A request that waits for an input that is slow to come ends at once."""

    async def main() -> None:
        async with TestSource([1, Sleep(1000), 2]).subscribe() as subscription:
            assert await subscription.request(5) == [1]
            request = asyncio.ensure_future(subscription.request(5))
            await asyncio.sleep(1)
            await subscription.drain()
            assert await request == []
            assert asyncio.get_running_loop().time() == 1

    virtually(main())


# -- statistics --------------------------------------------------------------------------------------


async def test_statistics_count_what_passed_each_stage() -> None:
    """Stages from the source down, neighbours fused into one; numbers of items and requests; it is frozen."""
    async with (
        from_iterable(range(10)).map(str).filter(lambda s: s > "4").batch(2).subscribe() as subscription
    ):
        assert subscription.statistics().delivered == 0
        while await subscription.request(2):
            pass
        statistics = subscription.statistics()
    source, fused = statistics.stages
    assert [source.name, fused.name] == ["from_iterable", "map|filter|batch"]
    assert source.delivered == 10
    assert (fused.delivered, statistics.delivered) == (3, 3)
    assert fused.requests >= 3
    assert source.requested >= source.delivered
    with pytest.raises(AttributeError):
        statistics.stages[0].delivered = 5  # type: ignore[misc]


def test_statistics_of_a_graph_name_all_its_stages() -> None:
    """Every input of a merge, and each boundary."""

    async def function(x: int) -> int:
        return x

    flow = just(1).merge(just(2).buffer(1)).map_async(function)
    subscription = flow.subscribe()
    names = [stage.name for stage in subscription.statistics().stages]
    assert names == ["from_iterable", "from_iterable", "buffer", "merge", "map_async"]


# -- closing -----------------------------------------------------------------------------------------


def test_closing_ends_a_pending_request() -> None:
    """It raises ``SubscriptionClosed``, and so does everything that comes later."""

    async def main() -> None:
        async with no_leaks():
            subscription = TestSource([Sleep(1000), 1]).buffer(2).subscribe()
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(1)
            await subscription.aclose()
            with pytest.raises(SubscriptionClosed):
                await request
            for call in (subscription.request(1), subscription.settle()):
                with pytest.raises(SubscriptionClosed):
                    await call
            await subscription.aclose()

    virtually(main())


def test_several_may_close_at_once() -> None:
    """All wait for the same closing, also if one of them is cancelled."""

    async def main() -> None:
        async with no_leaks():
            closed: list[float] = []

            async def rows() -> Any:
                try:
                    yield 1
                    yield 2
                finally:
                    await asyncio.sleep(5)
                    closed.append(asyncio.get_running_loop().time())

            subscription = from_async_iterable(rows).subscribe()
            await subscription.request(1)
            impatient = asyncio.ensure_future(subscription.aclose())
            other = asyncio.ensure_future(subscription.aclose())
            await asyncio.sleep(1)
            impatient.cancel()
            await asyncio.wait([impatient])
            assert impatient.cancelled()
            assert closed == []
            await other
            assert closed == [5.0]

    virtually(main())


def test_a_subscription_closed_by_its_own_function_does_not_hang() -> None:
    """``aclose`` called from within a generator or an async function of the run ends it."""

    async def main() -> None:
        async with no_leaks():
            for kind in ("generator", "function"):
                held: list[Any] = []

                async def rows(kind: str = kind, held: list[Any] = held) -> Any:
                    yield 1
                    if kind == "generator":
                        await held[0].aclose()
                    yield 2

                async def function(x: int, kind: str = kind, held: list[Any] = held) -> int:
                    if kind == "function" and x == 2:
                        await held[0].aclose()
                    return x

                subscription = from_async_iterable(rows).map_async(function).subscribe()
                held.append(subscription)
                async with asyncio.timeout(10):
                    with pytest.raises(SubscriptionClosed):
                        await collected(subscription)
                    await subscription.aclose()

    virtually(main())


def test_everything_is_closed_even_when_closing_fails() -> None:
    """Each branch of a graph is closed once; all the errors are raised, together."""

    async def main() -> None:
        closed: list[str] = []

        def rows(name: str, *, fails: bool) -> Any:
            async def generator() -> Any:
                try:
                    while True:
                        yield name
                finally:
                    closed.append(name)
                    if fails:
                        raise Planted(name)

            return from_async_iterable(generator)

        flow = rows("a", fails=True).merge(rows("b", fails=False), rows("c", fails=True))
        async with no_leaks():
            subscription = flow.subscribe()
            got: set[str] = set()
            while len(got) < 3:
                got.update(await subscription.request(3))
            with pytest.raises(ExceptionGroup) as caught:
                await subscription.aclose()
        assert sorted(closed) == ["a", "b", "c"]
        assert sorted(map(str, caught.value.exceptions)) == ["a", "c"]

    virtually(main())
