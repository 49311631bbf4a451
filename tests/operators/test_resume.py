"""``checkpoint``: when positions are committed, and which items come again after a crash."""

from __future__ import annotations

import asyncio
from typing import Any

import aioreactive as rx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import defer, from_iterable, from_observable
from penstock.errors import ConcurrentRequestError, GraphError, LedgerError, NotResumable, PositionError
from penstock.ledger import MemoryLedger
from penstock.testing import Planted, Raise, RecordingLedger, TestSource
from penstock.testing import run as virtually

from ..machines import Fault, Machine  # noqa: TID252  tests are no installed package


def numbers(ledger: Any, every: int = 1, count: int = 9) -> Any:
    return from_iterable(range(count)).map(lambda x: x * 10) | op.checkpoint(ledger, key="k", every=every)


def committed(ledger: RecordingLedger) -> list[int]:
    return [commit.position["nodes"]["from_iterable#0"] for commit in ledger.commits]


async def test_asking_for_more_acknowledges() -> None:
    """A list is committed when the next one is requested; the end is committed when it is delivered."""
    ledger = RecordingLedger()
    async with numbers(ledger, count=5).subscribe() as subscription:
        await subscription.request(2)
        assert committed(ledger) == []
        await subscription.request(2)
        assert committed(ledger) == [2]
        assert await subscription.request(9) == [40]
        assert await subscription.request(9) == []
        assert sorted(set(committed(ledger))) == [2, 4, 5]
        assert ledger.finished == ["completed"]


async def test_settle_acknowledges_without_asking() -> None:
    """``settle`` commits the last list; a second call, or one before the first request, commits nothing."""
    ledger = RecordingLedger()
    async with numbers(ledger).subscribe() as subscription:
        await subscription.settle()
        assert committed(ledger) == []
        items = await subscription.request(3)  # fewer than 3 if the machine is busy
        await subscription.settle()
        await subscription.settle()
        assert committed(ledger) == [len(items)]


async def test_what_was_not_acknowledged_comes_again() -> None:
    """The run after a ``break`` begins with the last list; with ``every``, closing commits the acknowledged items."""
    ledger = RecordingLedger()
    seen = []
    async for item in numbers(ledger, every=1000):
        seen.append(item)
        if item == 40:
            break
    await asyncio.sleep(0.01)
    rest = [item async for item in numbers(ledger, every=1000)]
    assert rest[0] > 0
    assert rest[0] <= 40
    assert rest == list(range(rest[0], 90, 10))


def test_a_cancelled_request_still_acknowledges() -> None:
    """The commit goes on when its request is cancelled; the next request waits for it, and no item is lost."""

    async def main() -> None:
        ledger = RecordingLedger(seconds=3)
        async with numbers(ledger).subscribe() as subscription:
            first = await subscription.request(2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await subscription.request(2)
            assert committed(ledger) == []
            second = await subscription.request(2)
            assert committed(ledger) == [2]
            assert first + second == [0, 10, 20, 30]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await subscription.request(2)
        assert committed(ledger) == [2, 4]

    virtually(main())


def test_the_last_commit_may_be_interrupted() -> None:
    """If a request is cancelled during the final commit, the next one returns the end, and the run finishes once."""

    async def main() -> None:
        fault = Fault(turns=6)
        machine = Machine()
        async with numbers(machine.ledger(fault), count=2).subscribe() as subscription:
            assert await subscription.request(5) == [0, 10]
            request = asyncio.ensure_future(subscription.request(5))
            for _ in range(100):
                if "ledger.finish" not in fault.log:
                    await asyncio.sleep(0)
            request.cancel()
            await asyncio.wait([request])
            assert await subscription.request(5) == []
        assert fault.log.count("ledger.finish") == 1

    virtually(main())


def test_settle_and_request_do_not_mix() -> None:
    """While ``settle`` or ``request`` commits, the other is refused; neither hangs."""

    async def main() -> None:
        async with numbers(RecordingLedger(seconds=1)).subscribe() as subscription:
            await subscription.request(2)
            settling = asyncio.ensure_future(subscription.settle())
            await asyncio.sleep(0.5)
            with pytest.raises(ConcurrentRequestError):
                await subscription.request(2)
            with pytest.raises(ConcurrentRequestError):
                await subscription.settle()
            await settling
            assert await subscription.request(1) == [20]

    virtually(main())


@given(
    st.lists(
        st.tuples(st.sampled_from(["request", "settle", "cancel", "close"]), st.integers(1, 4)), max_size=25
    ),
    st.integers(1, 5),
)
def test_no_item_is_lost_whatever_the_consumer_does(acts: list[tuple[str, int]], every: int) -> None:
    """With random requests, settling, cancelling and closing over many runs, at most one list comes twice per run."""

    async def main() -> None:
        machine = Machine()
        handled = 0  # items 0 … handled-1 were delivered at least once
        subscription = numbers(machine.ledger(Fault(turns=1)), every, 30).subscribe()
        for act, n in acts:
            if act == "settle":
                await subscription.settle()
            elif act == "close":
                await subscription.aclose()
                await machine.books.aclose()
                subscription = numbers(machine.ledger(Fault(turns=1)), every, 30).subscribe()
            else:
                request = asyncio.ensure_future(subscription.request(n))
                if act == "cancel":
                    for _ in range(n):
                        await asyncio.sleep(0)
                    request.cancel()
                try:
                    got = await request
                except asyncio.CancelledError:
                    continue
                if got:
                    assert got == list(range(got[0], got[0] + 10 * len(got), 10))
                    assert got[0] <= 10 * handled
                    handled = max(handled, got[-1] // 10 + 1)
        await subscription.aclose()

    virtually(main())


@pytest.mark.parametrize("at", range(6))
async def test_a_failing_ledger_ends_the_run_with_its_error(at: int) -> None:
    """If opening, committing or finishing fails, every request raises that error, and the next run loses nothing."""
    machine, fault = Machine(), Fault(at, kill=False)
    out: list[int] = []
    try:
        async with numbers(machine.ledger(fault), count=6).subscribe() as subscription:
            while got := await subscription.request(2):
                out += got
    except LedgerError as error:
        assert "as planned" in str(error)
        with pytest.raises(Exception, match=r"planned|closed"):
            await subscription.request(2)
    await machine.books.aclose()
    async with numbers(machine.ledger(Fault()), count=6).subscribe() as subscription:
        while got := await subscription.request(2):
            out += got
    assert sorted(set(out)) == [0, 10, 20, 30, 40, 50]


def test_what_may_follow_a_checkpoint() -> None:
    """Only operators that neither hold nor fold items may follow; the error says where and what to do."""
    flow = numbers(MemoryLedger())
    for step in (
        op.map(str),
        op.filter(bool),
        op.tap(str),
        op.flat_map(lambda x: [x]),
        op.choose(lambda x: x),
        op.starmap(str),
    ):
        flow | step

    async def function(x: Any) -> Any:
        return x

    for step in (
        op.batch(2), op.take(2), op.scan(max, 0), op.enumerate(), op.buffer(2), op.map_async(function),
        op.merge(from_iterable([1])), op.concat(from_iterable([1])), op.retry(), op.distinct_until_changed(),
        op.checkpoint(MemoryLedger(), key="other"),
    ):  # fmt: skip
        with pytest.raises(GraphError, match=f"at {__file__}:.*stands downstream of a(nother)? checkpoint"):
            flow | step


async def test_behind_filters_and_flat_maps_positions_are_by_inputs() -> None:
    """A list in the middle of an expansion settles the inputs before it, not the one it came from."""
    ledger = RecordingLedger()
    flow = (from_iterable(range(4)) | op.checkpoint(ledger, key="k")).flat_map(lambda x: [x] * 3)
    async with flow.subscribe() as subscription:
        seen = await subscription.request(1)
        while len(seen) < 4:
            seen += await subscription.request(4 - len(seen))
        assert seen == [0, 0, 0, 1]
        await subscription.settle()
    seen = []
    async with flow.subscribe() as subscription:
        while got := await subscription.request(9):
            seen += got
    assert seen[-9:] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_upstreams_without_a_position_are_refused() -> None:
    """The error names the operator that has no position."""
    with pytest.raises(NotResumable, match="from_observable"):
        from_observable(rx.AsyncSubject()) | op.checkpoint(MemoryLedger(), key="k")


async def test_a_hidden_checkpoint_is_found() -> None:
    """A checkpoint inside ``defer`` is refused when the flow is built at run time."""
    flow = defer(lambda: numbers(RecordingLedger())).batch(4)
    with pytest.raises(GraphError, match="holds a checkpoint"):
        await flow.to_list()


async def test_a_changed_graph_is_refused_with_what_changed() -> None:
    """A ledger's position from another graph is refused."""
    ledger = RecordingLedger()
    await (from_iterable(range(4)) | op.checkpoint(ledger, key="k")).to_list()
    flow = from_iterable(range(4)).enumerate() | op.checkpoint(ledger, key="k")
    with pytest.raises(PositionError, match="enumerate#1 that the position lacks"):
        await flow.to_list()


def test_a_failure_upstream_leaves_what_was_acknowledged_committed() -> None:
    """The next run begins with the first item that was not acknowledged, even if ``every`` was not reached."""
    ledger = MemoryLedger()

    def flow(*behind: Any) -> Any:
        return TestSource([1, 2, 3, 4, *behind]) | op.checkpoint(ledger, key="k", every=100)

    async def main() -> list[int]:
        with pytest.raises(Planted):
            await flow(Raise()).run()
        async with flow(5).subscribe() as subscription:
            return list(await subscription.request(1))

    assert virtually(main()) == [5]
