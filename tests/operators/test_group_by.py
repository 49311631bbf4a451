"""Flows of flows: which group receives an item, what waits for what, and what happens to unread groups."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import reactivex as rx
from hypothesis import example, given
from hypothesis import strategies as st
from reactivex import operators as rxop

import penstock as ps
import penstock.operators as op
from penstock.errors import AlreadySubscribed, GraphError, GroupError, NotResumable, SubscriptionClosed
from penstock.testing import Deadlock, Planted, Raise, Sleep, TestSource, no_leaks, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def checked(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run in virtual time and check that nothing is left behind."""

    async def whole() -> Any:
        async with no_leaks():
            return await main()

    return run(whole())


async def read_all(flow: ps.Flow[Any], *, n: int = 1) -> list[tuple[Any, list[Any]]]:
    """Read each inner flow in a separate task; return its key (or number) and its items."""
    tasks: list[asyncio.Task[list[Any]]] = []
    keys: list[Any] = []
    async with flow.subscribe() as subscription:
        while inner := await subscription.request(n):
            for one in inner:
                keys.append(getattr(one, "key", len(keys)))
                tasks.append(asyncio.ensure_future(one.to_list()))
    return list(zip(keys, await asyncio.gather(*tasks), strict=True))


# -- group_by


@given(st.lists(st.integers(0, 30)), st.integers(1, 5), st.integers(1, 4), st.integers(1, 5))
def test_groups_are_those_of_reactivex(items: list[int], modulus: int, n: int, capacity: int) -> None:
    """The keys, their order and their items are those of reactivex."""
    wanted: list[tuple[int, list[int]]] = []

    def begin(group: Any) -> None:
        wanted.append((group.key, []))
        group.subscribe(wanted[-1][1].append)

    rx.from_iterable(items).pipe(rxop.group_by(lambda x: x % modulus)).subscribe(begin)

    async def main() -> list[tuple[int, list[int]]]:
        source = TestSource(items, style="pages", page=(1, 3))
        return await read_all(source | op.group_by(lambda x: x % modulus, capacity=capacity), n=n)

    assert checked(main) == wanted


def least_recently_used(items: list[int], modulus: int, most: int) -> list[tuple[int, list[int]]]:
    """Return the groups that exist if at most ``most`` are open at the same time."""
    groups: list[tuple[int, list[int]]] = []
    current: OrderedDict[int, list[int]] = OrderedDict()
    for item in items:
        key = item % modulus
        if key not in current:
            if len(current) == most:
                current.popitem(last=False)
            current[key] = []
            groups.append((key, current[key]))
        current.move_to_end(key)
        current[key].append(item)
    return groups


@given(st.lists(st.integers(0, 30)), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_the_group_unused_for_longest_is_completed(
    items: list[int], modulus: int, most: int, page: int
) -> None:
    """The completed group does not depend on the chunks of the source; its key starts another group."""

    async def main() -> list[tuple[int, list[int]]]:
        source = TestSource(items, style="pages", page=(page,))
        return await read_all(source | op.group_by(lambda x: x % modulus, most, on_limit="complete_oldest"))

    assert checked(main) == least_recently_used(items, modulus, most)


SLOW_ITEMS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0, 0.1, 5])), max_size=30)


@pytest.mark.parametrize("within", ["map_async", "flat_map_merge"])
@given(SLOW_ITEMS, st.integers(1, 5), st.integers(1, 3), st.sampled_from([0, 0.3, 7]))
@example([(0, 5), (0, 5), (1, 0), (0, 0)], 2, 1, 0)
def test_a_completed_group_does_not_overtake(
    within: str, slow: list[tuple[int, float]], modulus: int, most: int, before: float
) -> None:
    """Whatever time each item takes, the items of a key are handled in order, and all of them are."""
    items = [item for item, _ in slow]
    handled: list[tuple[int, int]] = []

    async def handle(entry: tuple[int, int]) -> None:
        await asyncio.sleep(slow[entry[0]][1])
        handled.append(entry)

    async def worker(group: ps.Flow[tuple[int, int]]) -> None:
        await asyncio.sleep(before)  # the reading may begin late
        await group.tap_async(handle).run()

    async def main() -> None:
        groups = (
            ps.from_iterable(items)
            .enumerate()
            .group_by(lambda entry: entry[1] % modulus, most, capacity=2, on_limit="complete_oldest")
        )
        if within == "map_async":
            await groups.map_async(worker, 50, ordered=False).run()
        else:
            await groups.flat_map_merge(lambda group: group.tap_async(handle), concurrency=50).run()

    checked(main)
    assert sorted(handled) == list(enumerate(items))
    for key in range(modulus):
        numbers = [number for number, item in handled if item % modulus == key]
        assert numbers == sorted(numbers)


def test_a_completed_group_that_is_not_read_blocks_its_key_for_a_while() -> None:
    """The next group of the key waits ``patience`` seconds for it, but not if it was dropped or closed."""

    async def main(keep: Callable[[ps.Flow[int]], object]) -> tuple[list[int], float]:
        flow = ps.just(1, 2, 1).group_by(lambda n: n, 1, on_limit="complete_oldest", patience=20)
        async with flow.subscribe() as subscription:
            kept = keep((await subscription.request(1))[0])
            await subscription.request(1)
            (again,) = await subscription.request(1)
            items = await again.to_list()
        del kept
        return items, asyncio.get_running_loop().time()

    assert checked(lambda: main(lambda group: group)) == ([1], 20)
    assert checked(lambda: main(lambda group: asyncio.ensure_future(group.to_list()))) == ([1], 0)
    assert checked(lambda: main(lambda _: None)) == ([1], 0)


def test_one_group_too_many_is_an_error_behind_what_came_before() -> None:
    """The error names the key and the operator, and it reaches the groups too."""

    async def main() -> None:
        flow = ps.from_iterable([1, 2, 1, 3, 1]) | op.group_by(lambda x: x, 2)
        async with flow.subscribe() as subscription:
            groups = await subscription.request(9)
            reader = asyncio.ensure_future(groups[0].to_list())
            assert [group.key for group in groups] == [1, 2]
            with pytest.raises(GroupError, match=r"the key 3 .* 2 groups") as caught:
                await subscription.request(9)
            assert "group_by at " in caught.value.__notes__[0]
            with pytest.raises(GroupError):
                await reader
            async with groups[1].subscribe() as second:
                assert await second.request(9) == [2]

    checked(main)


def test_an_unread_group_is_an_error_when_it_blocks_the_others() -> None:
    """With fewer workers than groups, the deadlock ends after ``patience`` with an error that names the key."""

    async def main() -> float:
        flow = ps.from_iterable([0, 1, 2] * 100) | op.group_by(lambda x: x % 3, capacity=4, patience=20)
        with pytest.raises(GroupError, match=r"key 2 of group_by .* nobody has read from it for 20 s"):
            await (flow | op.map_async(lambda group: group.to_list(), 2)).to_list()
        return asyncio.get_running_loop().time()

    assert checked(main) == 20


def test_a_group_that_is_read_late_but_in_time_is_no_error() -> None:
    """``patience`` starts again whenever an item moves."""

    async def main() -> list[int]:
        flow = ps.from_iterable([0, 1] * 10) | op.group_by(lambda x: x % 2, capacity=2, patience=20)

        async def slowly(group: ps.Flow[int]) -> int:
            async with group.subscribe() as subscription:
                await asyncio.sleep(15)
                total = 0
                while items := await subscription.request(1):
                    total += len(items)
                return total

        return await (flow | op.map_async(slowly, 2)).to_list()

    assert checked(main) == [10, 10]


def test_without_patience_it_waits() -> None:
    """Virtual time reports the deadlock."""
    flow = ps.from_iterable([0, 1] * 100) | op.group_by(lambda x: x % 2, capacity=4, patience=None)
    with pytest.raises(Deadlock):
        run((flow | op.map_async(lambda group: group.to_list(), 1)).to_list())


def test_a_slow_group_holds_the_others_back() -> None:
    """No group holds more than its capacity, and upstream receives no request meanwhile."""

    async def main() -> None:
        source = TestSource([0, 1] * 50, style="iterable")
        flow = source | op.group_by(lambda x: x % 2, capacity=4)
        async with flow.subscribe() as subscription:
            quick, slow = await subscription.request(1) + await subscription.request(1)
            async with quick.subscribe() as fast, slow.subscribe() as other:
                assert await other.request(1) == [1]
                waiting = asyncio.ensure_future(_count(fast))
                await asyncio.sleep(1000)
                assert not waiting.done()
                assert source.counts.handed <= 2 * 5 + 1
                while await other.request(3):
                    pass
                assert await waiting == 50

    checked(main)


async def _count(subscription: ps.Subscription[Any]) -> int:
    total = 0
    while items := await subscription.request(10):
        total += len(items)
    return total


def test_a_group_can_be_read_once() -> None:
    """A second subscription raises ``AlreadySubscribed``, and the message suggests ``share()``."""

    async def main() -> None:
        flow = ps.from_iterable(range(4)) | op.group_by(lambda _: "all")
        async with flow.subscribe() as subscription:
            (group,) = await subscription.request(1)
            assert await group.take(2).to_list() == [0, 1]
            with pytest.raises(AlreadySubscribed, match=r"share\(\)"):
                await group.to_list()

    checked(main)


def test_a_group_that_was_closed_begins_again() -> None:
    """The next item of its key starts a new group, as in Reactor."""

    async def main() -> list[list[int]]:
        source = TestSource([part for i in range(6) for part in (i, Sleep(1))])
        return await (source | op.group_by(lambda _: None) | op.map_async(_two, 1)).to_list()

    assert checked(main) == [[0, 1], [2, 3], [4, 5]]


async def _two(group: ps.Flow[int]) -> list[int]:
    return await group.take(2).to_list()


def test_readers_continue_when_no_subscriber_takes_groups() -> None:
    """Items of new keys are dropped, and the last reader closes the source."""

    async def main() -> None:
        source = TestSource([0, 1, Sleep(1), 2, 0, 3, 0])
        flow = source | op.group_by(lambda x: x)
        async with flow.subscribe() as subscription:
            groups = await subscription.request(1)
            reader = asyncio.ensure_future(groups[0].to_list())
            await asyncio.sleep(0)
        assert source.counts.closed == 0
        assert await reader == [0, 0, 0]
        assert source.counts.opened == source.counts.closed == 1

    checked(main)


def test_an_unread_group_raises_when_its_run_was_closed() -> None:
    """An unread group ends with an error behind its items, or normally if upstream had ended."""

    async def main() -> None:
        flow = ps.from_iterable([1, 2]) | op.group_by(lambda x: x)
        (taken,) = [await flow.first()]
        async with taken.subscribe() as subscription:
            assert await subscription.request(1) == [1]
            with pytest.raises(SubscriptionClosed, match="group_by at"):
                await subscription.request(1)
        ended = await flow.to_list()
        assert [await group.to_list() for group in ended] == [[1], [2]]

    checked(main)


def test_an_error_reaches_groups_and_takers() -> None:
    """Each receives the items before the error, then the same error."""

    async def main() -> None:
        source = TestSource([0, 1, 0, Raise()])
        flow = source | op.group_by(lambda x: x)
        async with flow.subscribe() as subscription:
            groups = [*await subscription.request(1), *await subscription.request(1)]
            with pytest.raises(Planted) as caught:
                await subscription.request(1)
            for group, items in zip(groups, ([0, 0], [1]), strict=True):
                async with group.subscribe() as inner:
                    assert await inner.request(9) == items
                    with pytest.raises(Planted) as again:
                        await inner.request(9)
                    assert again.value is caught.value

    checked(main)


# -- window


@given(st.lists(st.integers()), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_windows_are_those_of_reactivex(items: list[int], size: int, n: int, page: int) -> None:
    """The windows and their items are those of reactivex, except that there is no empty last window."""
    wanted: list[list[int]] = []

    def begin(window: Any) -> None:
        wanted.append([])
        window.subscribe(wanted[-1].append)

    rx.from_iterable(items).pipe(rxop.window_with_count(size)).subscribe(begin)

    async def main() -> list[tuple[int, list[int]]]:
        return await read_all(TestSource(items, style="pages", page=(page,)) | op.window(size), n=n)

    assert [window for _, window in checked(main)] == [window for window in wanted if window]


def test_a_window_comes_with_its_first_item() -> None:
    """A window can be read before it is full, and its items follow as they arrive."""

    async def main() -> list[float]:
        source = TestSource([part for i in range(4) for part in (Sleep(1), i)])
        times = []
        loop = asyncio.get_running_loop()
        async with (source | op.window(3)).subscribe() as subscription:
            while windows := await subscription.request(1):
                times.append(loop.time())
                async with windows[0].subscribe() as inner:
                    while await inner.request(1):
                        times.append(loop.time())
        return times

    assert checked(main) == [1, 1, 2, 3, 4, 4]


@given(
    st.lists(st.sampled_from([0, 1, 3, 7]), max_size=12),
    st.sampled_from([None, 1, 2, 5]),
    st.sampled_from([2, 4.5, 10]),
    st.integers(1, 3),
)
def test_timed_windows_are_the_lists_of_batch(
    gaps: list[int], size: int | None, within: float, n: int
) -> None:
    """With ``within`` a window ends when a list of ``batch`` would, if it is read at once."""
    script = [part for k, gap in enumerate(gaps) for part in (*([Sleep(gap + 0.25)] if gap else []), k)]

    async def main() -> tuple[list[list[int]], list[list[int]]]:
        lists = await (TestSource(script) | op.batch(size or 99, within)).to_list()
        return [w for _, w in await read_all(TestSource(script) | op.window(size, within=within), n=n)], lists

    windows, lists = checked(main)
    assert windows == lists


def test_a_timed_window_ends_on_time() -> None:
    """Its end does not wait for the next item, and neither does an unread one hold back the windows behind it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source = TestSource([0, Sleep(30), *range(1, 400), Sleep(30), 400])
        async with (source | op.window(within=10)).subscribe() as subscription:
            (first,) = await subscription.request(1)
            assert (await first.to_list(), loop.time()) == ([0], 10.0)
            (second,) = await subscription.request(1)
            (third,) = await subscription.request(1)
            assert loop.time() == 40.0
            assert await second.to_list() == [*range(1, 257)]
            assert await third.to_list() == [*range(257, 400)]
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []

    checked(main)


def test_windows_share_the_demand_of_upstream() -> None:
    """Reading a window requests only its missing items, and a request for the next window fills it first."""

    async def main() -> None:
        source = TestSource(list(range(20)), style="iterable")
        async with (source | op.window(5)).subscribe() as subscription:
            (first,) = await subscription.request(1)
            assert source.counts.handed == 1
            async with first.subscribe() as inner:
                assert await inner.request(2) == [0]
                assert await inner.request(100) == [1, 2, 3, 4]
                assert source.counts.handed == 5
                assert await inner.request(1) == []
            (second,) = await subscription.request(1)
            assert source.counts.handed == 6
            (third,) = await subscription.request(1)
            assert source.counts.handed == 11
            assert await second.to_list() == [5, 6, 7, 8, 9]
            assert await third.take(1).to_list() == [10]
            (fourth,) = await subscription.request(1)
            assert await fourth.first() == 15
            assert await subscription.request(1) == []

    checked(main)


def test_unread_windows_do_not_hold_the_others_back() -> None:
    """Unread windows keep their items until they are read."""

    async def main() -> list[list[int]]:
        windows = await (ps.from_iterable(range(7)) | op.window(3)).to_list()
        return [await window.to_list() for window in windows]

    assert checked(main) == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_window_outlives_the_subscription_that_took_it() -> None:
    """Its reader receives the missing items; then the source is closed, and no further window starts."""

    async def main() -> None:
        source = TestSource([part for i in range(9) for part in (i, Sleep(1))])
        async with (source | op.window(3)).subscribe() as subscription:
            (window,) = await subscription.request(1)
            reader = asyncio.ensure_future(window.to_list())
            await asyncio.sleep(0)
        assert await reader == [0, 1, 2]
        assert source.counts.opened == source.counts.closed == 1
        assert source.counts.handed == 3

    checked(main)


# -- promises of flows of flows


@pytest.mark.parametrize("make", [lambda flow: flow.group_by(str), lambda flow: flow.window(2)])
def test_a_flow_of_flows_has_no_position_and_says_why(make: Callable[[ps.Flow[int]], Any]) -> None:
    """Inner flows cannot be stored, so an operator that needs a position is refused when the graph is built."""
    flow = make(ps.just(1, 2))
    assert not flow.resumable
    with pytest.raises(NotResumable, match=rf"{flow.node.operator} at .*test_group_by.py"):
        flow.retry()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: op.group_by(3), "takes a function"),  # type: ignore[arg-type]
        (lambda: op.group_by(str, 0), "max_groups"),
        (lambda: op.group_by(str, capacity=0), "capacity"),
        (lambda: op.group_by(str, on_limit="drop"), "on_limit"),  # type: ignore[arg-type]
        (lambda: op.group_by(str, patience=-1), "patience"),
        (lambda: op.window(0), "size"),
        (op.window, "needs a size, a time"),
        (lambda: op.window(within=0), "within"),
    ],
)
def test_nonsense_is_refused_when_the_graph_is_built(make: Callable[[], object], message: str) -> None:
    """Arguments are checked when the operator is called."""
    with pytest.raises(GraphError, match=message):
        make()


def test_bounds_are_stated() -> None:
    """The bound includes the items that all groups may hold, and counts a window as its items."""
    source = ps.from_iterable(range(9))
    assert source.group_by(str, 10, capacity=4).max_in_flight(3) == 4 + 40 + 3
    assert source.group_by(str, 10, on_limit="complete_oldest").max_in_flight() == float("inf")
    assert source.window(5).max_in_flight(2) == 10 + 5
