"""Subscribers of one shared run in virtual time: what they receive, and how they affect each other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rxop

import penstock as ps
import penstock.operators as op
from penstock.errors import BranchStuck, BufferOverflow, GraphError, NotResumable, SubscriptionClosed
from penstock.testing import Deadlock, Planted, Raise, Sleep, TestSource, Wait, no_leaks, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penstock.abc import Subscription


def ticking(count: int, *behind: Any, seconds: float = 1) -> TestSource:
    """Return a source of ``count`` items, one every ``seconds``; the first one comes at once."""
    return TestSource([*(part for i in range(count) for part in (i, Sleep(seconds))), *behind])


async def read(
    flow: ps.Flow[Any], *, n: int = 1, every: float = 0, after: float = 0, most: int = 10_000
) -> list[Any]:
    """Read a flow by requests of ``n``; each starts ``every`` seconds after the last one returned."""
    out: list[Any] = []
    await asyncio.sleep(after)
    async with flow.subscribe() as subscription:
        while len(out) < most and (items := await subscription.request(n)):
            out += items
            await asyncio.sleep(every)
    return out


def checked(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run in virtual time and check that nothing is left behind."""

    async def whole() -> Any:
        async with no_leaks():
            return await main()

    return run(whole())


# -- broadcast


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 0.5, 2])), min_size=1, max_size=4),
    st.integers(0, 12),
)
def test_every_branch_gets_every_item(
    capacity: int, page: int, readers: list[tuple[int, float]], count: int
) -> None:
    """For any speed of the readers, each branch delivers all items of one run in order."""

    async def main() -> None:
        source = TestSource(list(range(count)), style="pages", page=(page,))
        branches = source | op.broadcast(len(readers), capacity=capacity)
        results = await asyncio.gather(
            *(read(branch, n=n, every=every) for branch, (n, every) in zip(branches, readers, strict=True))
        )
        assert results == [list(range(count))] * len(readers)
        assert (source.counts.opened, source.counts.closed) == (1, 1)

    checked(main)


def test_the_slowest_gates() -> None:
    """A fast branch leads a slow one by at most the capacity; then it waits for the slow one."""

    async def main() -> list[float]:
        fast, slow = ps.from_iterable(range(8)) | op.broadcast(2, capacity=2)
        times: list[float] = []
        loop = asyncio.get_running_loop()
        timed = fast | op.tap(lambda _: times.append(loop.time()))
        await asyncio.gather(read(timed), read(slow, every=10))
        return times

    assert checked(main) == [0, 0, 0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize(
    ("overflow", "came"),
    [("drop_oldest", [0, 9, 18, 19]), ("drop_newest", [0, 1, 2, 11]), ("latest", [0, 9, 18, 19])],
)
def test_a_slow_branch_that_may_overflow_does_not_hold_the_others_back(
    overflow: Any, came: list[int]
) -> None:
    """The other branch keeps the pace of the source, and the slow one loses items by its strategy."""

    async def main() -> Any:
        fast, slow = ticking(20) | op.broadcast(2, capacity=2, overflow=overflow)
        loop = asyncio.get_running_loop()

        async def quickly() -> float:
            assert await read(fast) == list(range(20))
            return loop.time()

        async def slowly() -> tuple[list[int], int]:
            out = []
            async with slow.subscribe() as subscription:
                while items := await subscription.request(1):
                    out += items
                    await asyncio.sleep(10.5)
                return out, subscription.statistics().stages[-1].dropped

        return await asyncio.gather(quickly(), slowly())

    ended, (got, dropped) = checked(main)
    assert ended == 20
    assert got == came
    assert dropped == 20 - len(got)


def test_a_branch_that_overflows_with_an_error_fails_alone() -> None:
    """With ``overflow="error"`` only the slow branch fails, behind the items it holds; the other receives all items."""

    async def main() -> Any:
        fast, slow = ticking(20) | op.broadcast(2, capacity=2, overflow="error")
        return await asyncio.gather(read(fast), read(slow, every=10), return_exceptions=True)

    came, error = checked(main)
    assert came == list(range(20))
    assert isinstance(error, BufferOverflow)
    assert "broadcast at " in error.__notes__[0]


def test_an_error_reaches_every_branch_and_stays_the_same() -> None:
    """Each branch receives the items before the error, then the same error on every request."""

    async def main() -> None:
        source = ticking(3, Raise(), 99)
        branches = source | op.broadcast(3)

        async def one(branch: ps.Flow[int], every: float) -> tuple[list[int], list[BaseException]]:
            out: list[int] = []
            errors: list[BaseException] = []
            async with branch.subscribe() as subscription:
                while len(errors) < 3:
                    try:
                        out += await subscription.request(1)
                        await asyncio.sleep(every)
                    except Planted as error:
                        errors.append(error)
            return out, errors

        results = await asyncio.gather(*(one(b, every) for b, every in zip(branches, (0, 1, 5), strict=True)))
        assert all(out == [0, 1, 2] for out, _ in results)
        assert len({id(error) for _, errors in results for error in errors}) == 1
        assert source.counts.closed == 1

    checked(main)


def test_a_branch_that_leaves_frees_the_others() -> None:
    """After the slow branch is closed, the fast one continues at once."""

    async def main() -> tuple[list[int], float]:
        fast, slow = ps.from_iterable(range(100)) | op.broadcast(2, capacity=4)
        loop = asyncio.get_running_loop()

        async def quickly() -> tuple[list[int], float]:
            return await read(fast), loop.time()

        result, _ = await asyncio.gather(quickly(), read(slow, every=10, most=1))
        return result

    assert checked(main) == (list(range(100)), 10)


def test_the_last_to_leave_closes_upstream() -> None:
    """Only the last subscriber closes the source, and its ``aclose`` waits for that."""

    async def main() -> None:
        source = TestSource([0, Sleep(1000), 1], on_close=(Sleep(5),))
        first, second = source | op.broadcast(2)
        one, two = first.subscribe(), second.subscribe()
        loop = asyncio.get_running_loop()
        assert await one.request(5) == await two.request(5) == [0]
        await one.aclose()
        assert (source.counts.closed, loop.time()) == (0, 0)
        await two.aclose()
        assert (source.counts.closed, loop.time()) == (1, 5)

    checked(main)


@pytest.mark.parametrize("turn", range(12))
def test_a_cancelled_request_does_not_disturb_the_others(turn: int) -> None:
    """At any moment, cancelling a request loses no item, neither for the next request nor for the other branch."""

    async def main() -> None:
        source = TestSource([part for i in range(6) for part in (Wait(2), i)])
        first, second = source | op.broadcast(2, capacity=3)
        async with first.subscribe() as one, second.subscribe() as two:
            cancelled = asyncio.create_task(one.request(3))
            other = asyncio.create_task(two.request(1))
            for _ in range(turn):
                await asyncio.sleep(0)
            cancelled.cancel()
            with suppress(asyncio.CancelledError):
                await cancelled
            ones = [] if cancelled.cancelled() else cancelled.result()
            twos = await other
            while len(ones) < 6 or len(twos) < 6:
                if len(ones) < 6:
                    ones += await one.request(1)
                if len(twos) < 6:
                    twos += await two.request(1)
            assert ones == twos == list(range(6))
            assert source.counts.interrupted == 0

    checked(main)


def test_demand_is_withdrawn_when_no_request_waits() -> None:
    """Nothing is requested from the source after all waiting requests are cancelled."""

    async def main() -> None:
        source = ticking(100)
        first, second = source | op.broadcast(2)
        async with first.subscribe() as one, second.subscribe() as two:
            assert await one.request(50) == [0]
            tasks = [asyncio.create_task(s.request(50)) for s in (one, two)]
            assert await tasks[1] == [0]
            tasks[1] = asyncio.create_task(two.request(50))
            await asyncio.sleep(0.5)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await asyncio.sleep(1000)
            assert source.counts.handed <= 2

    checked(main)


def test_upstream_is_asked_for_the_largest_demand() -> None:
    """The source is asked for the largest demand, not for more items to fill the queues."""

    async def main() -> list[int]:
        source = TestSource(list(range(100)), style="iterable")
        first, second = source | op.broadcast(2, capacity=50)
        async with first.subscribe() as one, second.subscribe():
            handed = []
            for n in (1, 5, 100, 100):
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await one.request(n)
                handed.append(source.counts.handed)
            return handed

    assert checked(main) == [1, 6, 50, 50]


def test_a_branch_without_a_subscriber_holds_the_others_back() -> None:
    """Within its capacity it holds nothing back; beyond it the others wait, until ``patience`` ends."""
    first, _ = ps.from_iterable(range(9)) | op.broadcast(2, capacity=10)
    assert run(first.to_list()) == list(range(9))
    first, _ = ps.from_iterable(range(9)) | op.broadcast(2, capacity=8)
    with pytest.raises(BranchStuck, match=r"branch 1 of broadcast at .* \(8 items\) .* for 30 s\."):
        run(first.to_list())
    first, _ = ps.from_iterable(range(9)) | op.broadcast(2, capacity=8, patience=None)
    with pytest.raises(Deadlock):
        run(first.to_list())


def test_a_branch_closed_without_a_request_does_not_hold_the_others_back() -> None:
    """A subscription that is closed before its first request gives up its queue in the run."""

    async def main() -> None:
        first, second = ps.from_iterable(range(9)) | op.broadcast(2, capacity=2)
        unused = second.subscribe()
        reader = asyncio.ensure_future(first.to_list())
        await asyncio.sleep(1)
        assert not reader.done()
        await unused.aclose()
        assert await reader == list(range(9))

    checked(main)


def test_joined_branches_may_run_several_times() -> None:
    """A graph in which branches are joined again is cold: each run, concurrent or later, is a separate run."""

    async def main() -> None:
        source = TestSource([1, Wait(1), 2, Sleep(1), 3])
        first, second = source | op.broadcast(2, capacity=1)
        diamond = first | op.merge(second | op.map(lambda x: -x))
        for count in (1, 3):
            results = await asyncio.gather(*(diamond.to_list() for _ in range(count)))
            assert [sorted(result) for result in results] == [[-3, -2, -1, 1, 2, 3]] * count
        assert source.counts.opened == source.counts.closed == 4

    checked(main)


def test_a_drained_subscriber_ends_without_the_others() -> None:
    """A drained subscriber receives the held items and the end; when all are drained, upstream is drained."""

    async def main() -> None:
        source = ticking(10)
        first, second = source | op.broadcast(2)
        async with first.subscribe() as one, second.subscribe() as two:
            assert await one.request(1) == await two.request(1) == [0]
            assert await one.request(1) == [1]
            await two.drain()
            assert [await two.request(5) for _ in range(2)] == [[1], []]
            assert await one.request(1) == [2]
            await one.drain()
            assert await one.request(1) == []
            assert source.counts.handed <= 4

    checked(main)


def test_statistics_show_the_shared_stages() -> None:
    """The statistics of a subscriber contain the shared stages and its own stage."""

    async def main() -> list[tuple[str, int]]:
        first, second = ps.from_iterable(range(3)) | op.map(str) | op.broadcast(2)
        async with first.subscribe() as one, second.subscribe() as two:
            assert await two.request(1) == ["0"]
            assert await one.request(3) == ["0"]
            assert await one.request(3) == ["1", "2"]
            return [(stage.name, stage.delivered) for stage in two.statistics().stages]

    assert checked(main) == [("from_iterable", 3), ("map", 3), ("broadcast", 1)]


def test_a_run_left_open_in_another_loop_is_not_joined() -> None:
    """A run of another event loop is not joined."""
    first, second = ps.from_iterable(range(3)) | op.broadcast(2)
    shared = ps.from_iterable(range(3)) | op.share()
    left: list[Subscription[int]] = []

    async def leave_open() -> None:
        for flow in (first, shared):
            left.append(flow.subscribe())
            await left[-1].request(1)

    async def main() -> None:
        assert await asyncio.gather(first.to_list(), second.to_list()) == [[0, 1, 2]] * 2
        assert await shared.to_list() == [0, 1, 2]

    asyncio.run(leave_open())
    asyncio.run(main())


# -- partition


@given(st.lists(st.integers(-20, 20)), st.integers(1, 5))
def test_partition_matches_reactivex(items: list[int], divisor: int) -> None:
    """Both parts are those of reactivex."""
    parts: tuple[list[int], list[int]] = ([], [])
    subject: rx.Subject[int] = rx.Subject()
    for part, observable in zip(parts, subject.pipe(rxop.partition(lambda x: x % divisor == 0)), strict=True):
        observable.subscribe(part.append)
    for item in items:
        subject.on_next(item)

    async def main() -> tuple[list[int], ...]:
        return tuple(
            await asyncio.gather(
                *(
                    read(flow, n=2)
                    for flow in ps.from_iterable(items) | op.partition(lambda x: x % divisor == 0, capacity=2)
                )
            )
        )

    assert checked(main) == parts


@given(st.lists(st.one_of(st.integers(), st.text(max_size=3), st.binary(max_size=2))), st.integers(1, 4))
def test_equal_keys_go_to_one_part(items: list[Any], count: int) -> None:
    """Every item goes to one part, in order, and items with equal keys go to the same part."""

    async def main() -> None:
        flows = ps.from_iterable(items) | op.partition_by(lambda x: x, count, capacity=1000)
        parts = await asyncio.gather(*(flow.to_list() for flow in flows))
        assert sorted(map(repr, chain.from_iterable(parts))) == sorted(map(repr, items))
        for key in items:
            assert sum(key in part for part in parts) == 1
        for part in parts:
            rest = iter(items)
            assert all(any(item is other for other in rest) for item in part)

    checked(main)


def test_parts_are_the_same_in_every_process() -> None:
    """Strings and bytes do not use ``hash``, which differs from process to process."""

    async def main() -> list[list[Any]]:
        items = ["pubmed", "europepmc", b"crossref", 7, 10]
        parts = ps.from_iterable(items) | op.partition_by(lambda x: x, 3)
        return await asyncio.gather(*(part.to_list() for part in parts))

    assert checked(main) == [[], ["pubmed", 7, 10], ["europepmc", b"crossref"]]


def test_a_predicate_that_fails_ends_both_parts_behind_what_came_before() -> None:
    """The error names the partition and reaches both parts."""

    async def main() -> Any:
        yes, no = ps.from_iterable([1, 2, 0, 3]) | op.partition(lambda x: 4 / x > 2)
        out: list[int] = []
        both = (flow | op.tap(out.append) for flow in (yes, no))
        errors = await asyncio.gather(*(flow.to_list() for flow in both), return_exceptions=True)
        return sorted(out), errors

    came, errors = checked(main)
    assert came == [1, 2]
    assert all(isinstance(error, ZeroDivisionError) for error in errors)
    assert "partition at " in errors[0].__notes__[0]


# -- share and replay


def test_share_joins_at_the_present_and_restarts_when_all_have_left() -> None:
    """The first subscriber starts the run, late ones receive the items from then on, the last one closes it."""

    async def main() -> None:
        source = ticking(10)
        shared = source | op.share()
        results = await asyncio.gather(
            read(shared, most=4), read(shared, after=1.5, most=4), read(shared, after=20, most=2)
        )
        assert results == [[0, 1, 2, 3], [2, 3, 4, 5], [0, 1]]
        assert source.counts.opened == source.counts.closed == 2

    checked(main)


def test_a_shared_run_that_ended_is_not_joined() -> None:
    """A subscriber after the end, or after an error, starts a new run, even while others still read the old one."""

    async def main() -> None:
        for behind, end in (((), list), ((Raise(),), Planted)):
            source = TestSource([0, 1, 2, *behind])
            shared = source | op.share()

            async def slowly(shared: ps.Flow[int] = shared, end: Any = end) -> list[int]:
                out: list[int] = []
                with suppress(end if end is Planted else ()):
                    async with shared.subscribe() as subscription:
                        while items := await subscription.request(1):
                            out += items
                            await asyncio.sleep(10)
                return out

            fast = asyncio.create_task(read(shared, n=9))
            old = asyncio.create_task(slowly())
            await asyncio.sleep(5)
            new = asyncio.create_task(slowly())
            assert await old == await new == [0, 1, 2]
            await asyncio.wait([fast])
            assert isinstance(fast.exception(), Planted) == bool(behind)
            assert source.counts.opened == source.counts.closed == 2

    checked(main)


def test_replay_gives_latecomers_the_last_items() -> None:
    """Latecomers receive the last items even after the end, while others still read; then nothing is kept."""

    async def main() -> None:
        source = ticking(6)
        shared = source | op.replay(2)
        results = await asyncio.gather(
            read(shared),
            read(shared, every=3),
            read(shared, after=3.5),
            read(shared, after=12),
            read(shared, after=100, most=1),
        )
        assert results == [list(range(6)), list(range(6)), [2, 3, 4, 5], [4, 5], [0]]

    checked(main)


def test_replay_fails_latecomers_with_the_same_error() -> None:
    """A latecomer receives the last items, then the error of the run."""

    async def main() -> None:
        shared = ticking(3, Raise()) | op.replay(2)
        first, second = shared.subscribe(), shared.subscribe()
        async with first, second:
            assert [await first.request(1) for _ in range(3)] == [[0], [1], [2]]
            with pytest.raises(Planted) as one:
                await first.request(1)
            assert await second.request(5) == [1, 2]
            with pytest.raises(Planted) as two:
                await second.request(5)
            assert one.value is two.value

    checked(main)


# -- publish


def test_nothing_runs_before_connect() -> None:
    """Subscribers wait for the connection and start at the same item; nothing is requested before it."""

    async def main() -> None:
        source = ticking(5)
        flow = source | op.publish()
        readers = [asyncio.create_task(read(flow)) for _ in range(2)]
        await asyncio.sleep(100)
        assert source.counts.opened == 0
        async with flow.connect() as connection:
            assert connection.connected
            await asyncio.gather(*readers)
            assert [task.result() for task in readers] == [[0, 1, 2, 3, 4]] * 2
            assert not connection.connected
        assert source.counts.opened == source.counts.closed == 1

    checked(main)


def test_subscribers_come_and_go_while_the_connection_lasts() -> None:
    """The run pauses while there is no subscriber, and continues with the next one."""

    async def main() -> None:
        source = ticking(100)
        flow = source | op.publish(replay=1)
        async with flow.connect():
            assert source.counts.handed == 0
            assert await read(flow, most=2) == [0, 1]
            await asyncio.sleep(50)
            assert await read(flow, most=3) == [1, 2, 3]
        assert source.counts.opened == source.counts.closed == 1

    checked(main)


def test_closing_the_connection_ends_the_subscribers() -> None:
    """They receive the held items, then an error that says why; the next connection is a new run."""

    async def main() -> None:
        source = ticking(100)
        flow = source | op.publish()
        async with flow.subscribe() as fast, flow.subscribe() as slow:
            connection = flow.connect()
            assert not flow.connect().connected or flow.connect().connected
            waiting = asyncio.create_task(slow.request(1))
            assert await fast.request(1) == [0] == await waiting
            assert await fast.request(1) == [1]
            waiting = asyncio.create_task(fast.request(1))
            await asyncio.sleep(0)
            await connection.aclose()
            await connection.aclose()
            with pytest.raises(SubscriptionClosed, match="connection of publish at"):
                await waiting
            assert await slow.request(5) == [1]
            with pytest.raises(SubscriptionClosed, match="connect"):
                await slow.request(5)
        assert source.counts.opened == source.counts.closed == 1
        async with flow.connect():
            assert await read(flow, most=1) == [0]

    checked(main)


def test_a_second_connect_is_the_same_connection() -> None:
    """Two handles refer to one run; closing either one ends it."""

    async def main() -> None:
        source = ticking(100)
        flow = source | op.publish()
        one, two = flow.connect(), flow.connect()
        assert await read(flow, most=1) == [0]
        await two.aclose()
        assert not one.connected
        assert source.counts.opened == source.counts.closed == 1

    checked(main)


# -- promises of hot flows


HOT: list[Callable[[ps.Flow[int]], Any]] = [
    lambda flow: flow.broadcast(2)[0],
    lambda flow: flow.partition(bool)[1],
    lambda flow: flow.partition_by(int, 2)[1],
    lambda flow: flow.share(),
    lambda flow: flow.replay(1),
    lambda flow: flow.publish(),
]


@pytest.mark.parametrize("make", HOT)
def test_a_hot_flow_has_no_position_and_says_why(make: Callable[[ps.Flow[int]], Any]) -> None:
    """A hot flow is not resumable; an operator that needs a position is refused, and the message names the flow."""
    from penstock.ledger import MemoryLedger

    flow = make(ps.just(1, 2))
    assert not flow.resumable
    for refused in (op.retry(), op.checkpoint(MemoryLedger(), key="k")):
        with pytest.raises(NotResumable, match=rf"but {flow.node.operator} at .*test_fanout.py"):
            flow | refused
    with pytest.raises(GraphError, match="stands downstream of a checkpoint"):
        make(ps.just(1, 2) | op.checkpoint(MemoryLedger(), key="k"))


def test_a_named_source_may_stand_above_joined_branches() -> None:
    """Names of sources above a hot flow are not part of positions, so they do not clash."""
    first, second = ps.from_iterable([1], name="rows").broadcast(2)
    assert run((first | op.merge(second)).to_list()) == [1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: op.broadcast(0), "count"),
        (lambda: op.broadcast(2, capacity=0), "capacity"),
        (lambda: op.share(overflow="block"), "overflow must be one of"),  # type: ignore[arg-type]
        (lambda: op.partition(3), "takes a function"),  # type: ignore[arg-type]
        (lambda: op.partition_by(str, 0), "count"),
        (lambda: op.replay(0), "count"),
        (lambda: op.publish(replay=-1), "replay"),
    ],
)
def test_nonsense_is_refused_when_the_graph_is_built(make: Callable[[], object], message: str) -> None:
    """Arguments are checked when the operator is called."""
    with pytest.raises(GraphError, match=message):
        make()


def test_a_queue_may_hold_thousands_of_small_chunks() -> None:
    """A queue of thousands of small chunks is read without deep recursion."""

    async def main() -> None:
        quick, slow = ps.from_iterable(range(3000)) | op.broadcast(2, capacity=3000)
        async with quick.subscribe() as one, slow.subscribe() as other:
            began = asyncio.ensure_future(other.request(1))
            for i in range(3000):
                assert await one.request(1) == [i]
            assert [*await began, *await other.request(5000)] == list(range(3000))

    checked(main)
