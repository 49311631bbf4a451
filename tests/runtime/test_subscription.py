"""``Subscription``: positions as JSON, errors that say what changed, draining, statistics, closing."""

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
    """A request for more items than a list can hold works, even if a stage requests more than it was asked for."""
    flow = from_iterable(range(9)) | shape
    async with flow.subscribe() as subscription:
        asked, by_one = await subscription.request(n), await collected(flow.subscribe())
        assert asked == by_one[: len(asked)]


# -- positions ---------------------------------------------------------------------------------------


async def test_a_position_is_plain_json_that_shares_nothing() -> None:
    """A position survives a round trip through JSON, and changing it does not change the run."""
    flow = from_iterable(range(9)).scan(lambda acc, x: [*acc, x], []).distinct_until_changed()
    async with flow.subscribe() as subscription:
        for _ in range(2):  # a request may return fewer than it asks for
            await subscription.request(1)
        position = subscription.position
        assert json.loads(json.dumps(position)) == position
        position["nodes"]["scan#1"][0].append("changed")
        assert subscription.position["nodes"]["scan#1"] == [[0, 1]]
        assert await subscription.request(1) == [[0, 1, 2]]


async def test_stateless_operators_do_not_appear_in_it() -> None:
    """A position stays valid when a tap or a map is added, or a function is corrected."""
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
        (lambda f: f.concat(just(1)), ["has from_iterable#1, concat(2)#2 that", "lacks nothing"]),
        (lambda f: from_pages(lambda: None), ["has from_pages#0", "lacks from_iterable#0"]),
    ],
)
async def test_another_graph_refuses_it_and_says_what_changed(other: Any, said: list[str]) -> None:
    """Subscribing with another graph's position fails at once; the error names the states that differ."""
    flow = from_iterable(range(9))
    position = await position_after(flow, 2)
    with pytest.raises(PositionError) as caught:
        other(flow).subscribe(position)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize("wrong", [{}, {"v": 2, "nodes": {}}, {"v": 1}, [], "x", 3, {"nodes": {}}])
def test_what_is_no_position_is_refused(wrong: Any) -> None:
    """The error for an object that is no position differs from the error for another graph's position."""
    with pytest.raises(PositionError, match="not a position"):
        just(1).subscribe(wrong)


async def test_a_state_that_is_no_json_is_refused_by_name() -> None:
    """The error names the operator and says which types its state may have."""
    flow = from_iterable(range(9)).scan(lambda acc, x: acc | {x}, set())
    async with flow.subscribe() as subscription:
        await subscription.request(1)
        with pytest.raises(PositionError, match=f"scan at {__file__}.*Keep it to numbers"):
            _ = subscription.position


async def test_a_flow_without_positions_says_which_node() -> None:
    """``resumable`` is false; asking for the position, or subscribing from one, raises an error that names the source."""
    flow = from_observable(rx.from_iterable([1])).map(str).buffer(2)
    assert flow.resumable is False
    async with flow.subscribe() as subscription:
        with pytest.raises(NotResumable, match=f"from_observable at {__file__}"):
            _ = subscription.position
    with pytest.raises(NotResumable, match="from_observable"):
        flow.subscribe({"v": 1, "nodes": {}})


def test_two_nodes_of_one_name_are_refused() -> None:
    """``name=`` is the id of a state, so the same name twice is refused."""
    flow = from_iterable([1], name="a").scan(total, 0, name="a")
    with pytest.raises(GraphError, match="'a'"):
        flow.subscribe()


async def test_a_name_keeps_a_position_valid_where_it_moves() -> None:
    """A named operator finds its state even if another stateful operator now stands before it."""
    position = await position_after(from_iterable(range(9), name="in").scan(total, 0, name="sum"), 3)
    assert set(position["nodes"]) == {"in", "sum"}
    flow = from_iterable(range(9), name="in").map(int).scan(total, 0, name="sum")
    async with flow.subscribe(position) as subscription:
        assert await subscription.request(1) == [6]


async def test_the_same_flow_may_stand_in_two_places() -> None:
    """The same flow in two places of a graph has a state for each place."""
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
    """A request for less than one item is refused without asking upstream, and the run goes on."""
    async with just(1).subscribe() as subscription:
        with pytest.raises(ValueError, match="at least one"):
            await subscription.request(n)
        assert await subscription.request(1) == [1]


def test_a_second_request_is_refused_and_harms_nothing() -> None:
    """A second pending request is refused; the first one still gets its items."""

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
    """The consumer may change a list that it received."""
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
    """A drained run takes no new input and delivers what it holds; a run from its position delivers the others, once."""

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
    """A request that waits for a slow input ends at once when the run is drained."""

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
    """Statistics list stages from the source down, fused neighbours as one, with items and requests; they are frozen."""
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
    """Statistics include every input of a merge, and each stage between fused ones."""

    async def function(x: int) -> int:
        return x

    flow = just(1).merge(just(2).buffer(1)).map_async(function)
    subscription = flow.subscribe()
    names = [stage.name for stage in subscription.statistics().stages]
    assert names == ["from_iterable", "from_iterable", "buffer", "merge", "map_async"]


# -- closing -----------------------------------------------------------------------------------------


def test_closing_ends_a_pending_request() -> None:
    """A pending request, and every later call, raises ``SubscriptionClosed``."""

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
    """Concurrent calls of ``aclose`` wait for the same closing, even if one of them is cancelled."""

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
    """``aclose`` called inside a generator or an async function of the run ends the run."""

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
    """Each input of a graph is closed once; all errors are raised together."""

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
