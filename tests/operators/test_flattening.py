"""``concat_map``, ``flat_map_merge``, ``switch_map`` and ``exhaust_map``: the flows they build, positions, and refusals."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

import penstock.operators as op
from penstock import defer, fail, from_iterable, from_observable, just, never
from penstock.errors import GraphError, NotResumable, PositionError
from penstock.ledger import MemoryLedger
from penstock.testing import Forever, Planted, Raise, Sleep, TestSource, no_leaks
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from collections.abc import Callable


async def read_on(subscription: Any, out: list[Any]) -> None:
    """Append all items to ``out``; it keeps them if an error is raised."""
    while items := await subscription.request(1):
        out += items


def pages_of(x: int) -> Any:
    return just(x)


class Flows:
    """A function that returns flows, and records its arguments."""

    def __init__(self, length: Callable[[int], int] = lambda _: 3) -> None:
        self.length = length
        self.asked: list[int] = []

    def __call__(self, x: int) -> Any:
        self.asked.append(x)
        return TestSource([part for k in range(self.length(x)) for part in (Sleep(1), x * 10 + k)])


def test_concat_map_builds_only_what_is_not_done() -> None:
    """A resumed run builds the present item's flow again, continues inside it, and builds no earlier flow."""

    async def main() -> tuple[list[int], list[int]]:
        before, after = Flows(), Flows()
        async with (just(1, 2, 3) | op.concat_map(before)).subscribe() as subscription:
            came = [x for _ in range(5) for x in await subscription.request(1)]
            position = json.loads(json.dumps(subscription.position))
        async with (just(1, 2, 3) | op.concat_map(after)).subscribe(position) as subscription:
            while items := await subscription.request(9):
                came += items
        return came, after.asked

    assert virtually(main()) == ([10, 11, 12, 20, 21, 22, 30, 31, 32], [2, 3])


def test_concat_map_stands_behind_what_came_when_it_is_cancelled_before_it_asks() -> None:
    """A request cancelled while it yields to other tasks leaves the position behind the last chunk."""

    async def main() -> list[int]:
        flow = just(1, 2) | op.concat_map(lambda x: just(x, x + 10))
        async with flow.subscribe() as subscription:
            came = await subscription.request(1)
            subscription.run.stretch -= 1  # type: ignore[attr-defined]  as if it had kept the loop for a second
            pending = asyncio.create_task(subscription.request(1))
            await asyncio.sleep(0)
            pending.cancel()
            await asyncio.wait([pending])
            assert pending.cancelled()
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            while items := await subscription.request(9):
                came += items
        return came

    assert virtually(main()) == [1, 11, 2, 12]


def test_flat_map_merge_keeps_its_position_small() -> None:
    """Thousands of completed flows leave nothing in the position or in memory, even behind one that never ends."""

    def flow_of(x: int) -> Any:
        return TestSource([0, Forever()]) if x == 0 else just(x)

    async def main() -> tuple[list[int], int, int]:
        came: list[int] = []
        async with (from_iterable(range(3_000)) | op.flat_map_merge(flow_of, 3)).subscribe() as subscription:
            while len(came) < 2_000:
                came += await subscription.request(10)
            position = json.loads(json.dumps(subscription.position))
            await asyncio.sleep(1)
            kept = len(subscription.run.releases) + len(subscription.run.tasks)  # type: ignore[attr-defined]
        again = Flows(lambda _: 1)
        async with (from_iterable(range(3_000)) | op.flat_map_merge(flow_of, 3)).subscribe(
            position
        ) as subscription:
            while len(came) < 3_000:
                came += await subscription.request(10)
        assert again.asked == []
        return sorted(came), len(json.dumps(position)), kept

    came, size, kept = virtually(main())
    assert came == list(range(3_000))
    assert size < 500
    assert kept < 20


def test_flat_map_merge_does_not_build_again_what_is_done() -> None:
    """A resumed run reads the items of completed flows again, but does not build these flows."""

    async def main() -> tuple[list[int], list[int]]:
        def make(flows: Flows) -> Any:
            return just(0, 1, 2, 3) | op.flat_map_merge(flows, 2)

        before, after = Flows(lambda x: 9 if x == 0 else 1), Flows(lambda x: 9 if x == 0 else 1)
        came: list[int] = []
        async with make(before).subscribe() as subscription:
            while 20 not in came:
                came += await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        async with make(after).subscribe(position) as subscription:
            while items := await subscription.request(9):
                came += items
        return sorted(came), after.asked

    came, asked = virtually(main())
    assert came == [*range(9), 10, 20, 30]
    assert asked[0] == 0
    assert 1 not in asked


def test_an_error_of_the_items_waits_for_flows_that_were_begun() -> None:
    """All items of flows that were started before the input failed are delivered before its error."""

    async def main() -> list[int]:
        came: list[int] = []
        flow = TestSource([1, 2, Raise()]) | op.flat_map_merge(Flows())
        async with flow.subscribe() as subscription:
            with pytest.raises(Planted):
                await read_on(subscription, came)
        return sorted(came)

    assert virtually(main()) == [10, 11, 12, 20, 21, 22]


def test_a_resumed_flat_map_merge_fails_if_the_flow_to_begin_with_cannot_be_built() -> None:
    """Items of other flows must not go before the item that was cut, so the error of ``function`` does not wait."""

    async def main() -> list[int]:
        def make(fault: bool) -> Any:
            def flow_of(x: int) -> Any:
                if x == 1 and fault:
                    raise Planted
                return TestSource([Sleep(5 - 4 * x), x, x])

            return just(0, 1) | op.flat_map_merge(flow_of) | op.flat_map(lambda x: [x, -x])

        async with make(fault=False).subscribe() as subscription:
            came = await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        async with make(fault=True).subscribe(position) as subscription:
            with pytest.raises(Planted):
                await read_on(subscription, came)
        return came

    assert virtually(main()) == [1]


def concat_map_ahead(function: Any, **more: Any) -> Any:
    """Return ``concat_map`` with several flows at once."""
    return op.concat_map(function, 3, **more)


@pytest.mark.parametrize(
    "operator", [op.concat_map, concat_map_ahead, op.flat_map_merge, op.switch_map, op.exhaust_map]
)
class TestFlowsOfFlows:
    """Behaviour that all these operators share."""

    def test_no_flow(self, operator: Any) -> None:
        """A function that does not return a flow is an error that names the operator and its line."""
        with pytest.raises(GraphError, match=r"function of \w+ returns must be a Flow, not list") as caught:
            asyncio.run((just(1) | operator(lambda x: [x])).to_list())
        assert any(operator.__name__.removesuffix("_ahead") in note for note in caught.value.__notes__)

    def test_a_looser_order(self, operator: Any) -> None:
        """A flow may have a looser order, unless ``order`` promised another; then the whole flow has that order."""

        def merged(x: int) -> Any:
            return just(x) | op.merge(just(x))

        assert asyncio.run((just(1) | operator(merged)).to_list()) == [1, 1]
        with pytest.raises(GraphError, match=r'order="interleaved"'):
            asyncio.run((just(1) | operator(merged, order="exact")).to_list())
        allowed = just(1) | operator(merged, order="interleaved")
        assert asyncio.run(allowed.to_list()) == [1, 1]
        assert allowed.order in {"interleaved", "interleaved and lossy"}
        assert not (allowed | op.flat_map(str)).resumable
        with pytest.raises(GraphError, match="order must be one of 'exact', 'interleaved'"):
            operator(merged, order="any")

    def test_a_checkpoint_within(self, operator: Any) -> None:
        """A checkpoint inside a flow built at run time is refused."""

        def checkpointed(x: int) -> Any:
            return just(x) | op.checkpoint(MemoryLedger(), key="k")

        with pytest.raises(GraphError, match="holds a checkpoint"):
            asyncio.run((just(1) | operator(checkpointed)).to_list())

    def test_no_position_within(self, operator: Any) -> None:
        """A flow that cannot be resumed runs, but a position inside it is refused."""
        from aioreactive import from_iterable as observable

        async def main() -> list[int]:
            async with (
                just(1) | operator(lambda x: from_observable(observable([x, x])))
            ).subscribe() as subscription:
                items = await subscription.request(1)
                with pytest.raises(NotResumable, match="from_observable"):
                    _ = subscription.position
                return items

        assert asyncio.run(main()) == [1]

    def test_behind_what_comes_in_no_fixed_order(self, operator: Any) -> None:
        """There is no position behind a stage after which a resumed run might begin with another item."""

        async def later(x: int) -> int:
            return x

        assert not (just(1) | op.map_async(later, ordered=False) | operator(just)).resumable

    def test_shows_the_name_of_its_function(self, operator: Any) -> None:
        """A picture of the graph shows the name of the user's function."""
        assert "function=pages_of" in (just(1) | operator(pages_of)).explain()

    def test_closes_the_flow_it_is_in(self, operator: Any) -> None:
        """Leaving a run in the middle of an inner flow closes that flow once."""

        async def main() -> list[int]:
            inner: list[TestSource] = []

            def flow_of(x: int) -> Any:
                inner.append(TestSource([x, Forever()]))
                return inner[-1]

            async with no_leaks():
                assert await (TestSource([1, Forever()]) | operator(flow_of)).first() == 1
            return [source.counts.closed for source in inner]

        assert virtually(main()) == [1]


def test_errors_behind_a_waiting_flow_keep_their_place() -> None:
    """With ``concurrency`` an error of a later flow, of the function or of the input waits for its turn."""

    def flow_of(x: int) -> Any:
        if x == 3:
            raise Planted
        return TestSource([Sleep(5 - x), x, *([Raise()] if x == 2 else [])])

    async def main(flow: Any) -> list[int]:
        came: list[int] = []
        async with flow.subscribe() as subscription:
            with pytest.raises(Planted):
                await read_on(subscription, came)
            position = subscription.position
        with pytest.raises(Planted):
            async with flow.subscribe(position) as subscription:
                await read_on(subscription, came)  # the failing input comes again, and none before it
        return came

    assert virtually(main(just(0, 1, 3, 1) | op.concat_map(flow_of, 4))) == [0, 1]
    assert virtually(main(just(0, 2, 1) | op.concat_map(flow_of, 3))) == [0, 2]
    assert virtually(main(TestSource([0, 1, Raise()]) | op.concat_map(flow_of, 9))) == [0, 1]


def test_exhaust_map_counts_what_it_drops() -> None:
    """Of items that are ready, only the first is mapped; the others are in the statistics."""

    async def main() -> tuple[list[int], int]:
        async with (from_iterable(range(100)) | op.exhaust_map(Flows())).subscribe() as subscription:
            came: list[int] = []
            await read_on(subscription, came)
            return came, sum(stage.dropped for stage in subscription.statistics().stages)

    assert virtually(main()) == ([0, 1, 2], 99)


def test_an_error_within_a_flow_names_its_place() -> None:
    """The error of an inner flow has a note that says where that flow was assembled."""
    with pytest.raises(Planted) as caught:
        asyncio.run((just(1) | op.concat_map(lambda _: fail(Planted()))).to_list())
    assert any("test_flattening.py" in note for note in caught.value.__notes__)


def test_concat_map_cancelled_again_before_it_asks() -> None:
    """The position stays behind the delivered items, even if a request is cancelled several times."""

    async def main() -> None:
        flow = just(0) | op.concat_map(lambda _: from_iterable(range(9)))
        async with flow.subscribe() as subscription:
            assert await subscription.request(3) == [0, 1, 2]
            behind = subscription.position
            for _ in range(2):
                subscription.run.stretch -= 1  # type: ignore[attr-defined]  as if it had kept the loop for a second
                pending = asyncio.ensure_future(subscription.request(3))
                await asyncio.sleep(0)
                pending.cancel()
                await asyncio.wait([pending])
                assert subscription.position == behind
            assert await subscription.request(3) == [3, 4, 5]

    virtually(main())


def without_position() -> Any:
    """Return a flow without items whose state is not JSON."""
    state = from_iterable([1, 2]) | op.scan(lambda kept, _: (*kept, object()), ())
    return state | op.filter(lambda _: False)


@pytest.mark.parametrize(
    "flow",
    [
        defer(without_position) | op.concat(just(1)),
        defer(without_position) | op.switch_if_empty(just(1)),
        defer(lambda: from_observable(never())) | op.timeout(1, fallback=just(1)),
    ],
    ids=["concat", "switch_if_empty", "timeout"],
)
def test_going_on_behind_a_flow_that_has_no_position(flow: Any) -> None:
    """A flow built at run time that has no position fails only when a position is asked for."""

    async def main() -> None:
        async with flow.subscribe() as subscription:
            assert await subscription.request(2) == [1]
            with pytest.raises((PositionError, NotResumable)):
                _ = subscription.position
            assert await subscription.request(2) == []

    virtually(main())
