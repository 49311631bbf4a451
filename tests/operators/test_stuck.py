"""Subscribers of one shared run that hold each other back: which are let go, found out, or only slow."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import AlreadySubscribed, BranchStuck, GraphError, GroupError, GroupStuck
from penstock.testing import Sleep, TestSource, no_leaks, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ITEMS = range(40)
CAPACITY = 4


def checked(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run in virtual time and check that nothing is left behind."""

    async def whole() -> Any:
        async with no_leaks():
            return await main()

    return run(whole())


def now() -> float:
    return asyncio.get_running_loop().time()


def tagged(source: Any) -> ps.Flow[Any]:
    """Return every item twice, for the first and for the second of two parts."""
    return source | op.flat_map(lambda x: [(0, x), (1, x)])


def untagged(*parts: ps.Flow[Any]) -> tuple[ps.Flow[Any], ...]:
    return tuple(part | op.map(lambda pair: pair[1]) for part in parts)


# each returns two flows of one run; both yield every item of the source
SPLITS: dict[str, Callable[[Any], tuple[ps.Flow[Any], ...]]] = {
    "broadcast": lambda s: s | op.broadcast(2, capacity=CAPACITY),
    "partition": lambda s: untagged(*tagged(s) | op.partition(lambda pair: pair[0] == 0, capacity=CAPACITY)),
    "partition_by": lambda s: untagged(*tagged(s) | op.partition_by(lambda p: p[0], 2, capacity=CAPACITY)),
    "share": lambda s: (s | op.share(capacity=CAPACITY),) * 2,
    "replay": lambda s: (s | op.replay(1, capacity=CAPACITY),) * 2,
    "publish": lambda s: (s | op.publish(capacity=CAPACITY),) * 2,
    "broadcast, shared": lambda s: tuple(one | op.share() for one in s | op.broadcast(2, capacity=CAPACITY)),
    "broadcast of windows": lambda s: tuple(
        one | op.flat_map(lambda window: [2 * window, 2 * window + 1])
        for one in s
        | op.window(2)
        | op.enumerate()
        | op.map(lambda pair: pair[0])
        | op.broadcast(2, capacity=2)
    ),
}

# those that wait for one input while another is ahead
PAIRING = ("zip", "interleave", "merge_sorted", "sequence_equal")


def rejoined(first: ps.Flow[Any], join: str, second: ps.Flow[Any], lead: int) -> ps.Flow[Any]:
    """Join two flows again; the first one drops ``lead`` items before the join receives one."""
    flow: ps.Flow[Any] = getattr(first | op.filter(lambda x: x >= lead), join)(second)
    return flow


async def listed(flow: ps.Flow[Any], split: tuple[ps.Flow[Any], ...]) -> list[Any]:
    """Return all items of ``flow``; connect the flows that wait for it."""
    if isinstance(split[0], ps.Connectable):
        async with split[0].connect():
            return await flow.to_list()
    return await flow.to_list()


@pytest.mark.parametrize(
    "never",
    [
        lambda flow: flow | op.merge(ps.never()),
        lambda flow: flow | op.race(ps.never()),
        lambda flow: flow | op.take_until(ps.never()),
    ],
)
def test_a_branch_that_waits_for_what_never_comes_fails_at_once(never: Callable[[Any], Any]) -> None:
    """``never`` yields nothing, so it does not count as a part of the flow that may still move."""

    async def main() -> None:
        first, second = TestSource(list(ITEMS)) | op.broadcast(2, capacity=CAPACITY)
        with pytest.raises(BranchStuck):
            await (never(first | op.filter(lambda x: x >= 30)) | op.zip(second)).to_list()
        assert now() < 1

    checked(main)


@pytest.mark.parametrize("join", [*PAIRING, "merge", "combine_latest"])
def test_branches_that_meet_again_work_or_fail_at_once(join: str) -> None:
    """A lead within the capacity changes nothing; with a larger one the run fails at once, instead of waiting.

    If a ``share`` stands between, another subscriber might join and read, so the run fails after ``patience``.
    """

    async def main() -> None:
        for kind, make in SPLITS.items():
            for lead in (0, 2, 30):
                cold, split = ps.from_iterable(ITEMS), make(TestSource(list(ITEMS)))
                flow = rejoined(split[0], join, split[1], lead)
                if lead < CAPACITY or join not in PAIRING:
                    wanted = await rejoined(cold, join, cold, lead).to_list()
                    came = await listed(flow, split)
                    assert join == "combine_latest" or sorted(came) == sorted(wanted), kind
                    continue
                began = now()
                with pytest.raises(BranchStuck, match=r"is full .*, and the flow that reads it waits for"):
                    await listed(flow, split)
                assert now() - began == 30 if kind == "broadcast, shared" else now() - began < 1, kind

    checked(main)


def test_what_is_held_for_a_branch_that_is_read_later_is_not_lost() -> None:
    """A branch that the same graph reads later receives all items, or the run says that its queue is too small."""

    async def main() -> None:
        for make in (SPLITS["broadcast"], SPLITS["partition"], SPLITS["partition_by"]):
            for first_reads in (1, 3, 9):  # at most CAPACITY, and all
                source = TestSource(list(range(3)))
                first, second = make(source)
                assert await (first | op.take(first_reads) | op.concat(second)).to_list() == [
                    *range(min(first_reads, 3)),
                    *range(3),
                ]
                assert source.counts.opened == source.counts.closed == 1
            first, second = make(TestSource(list(ITEMS)))
            with pytest.raises(BranchStuck, match=r"branch 1 of .* waits for branch 0"):
                await (first | op.concat(second)).to_list()
            assert now() < 1
            first, second = make(TestSource(list(ITEMS)))
            async with (first | op.concat(second)).subscribe() as subscription:
                assert await subscription.request(1) == [0]  # closing gives up the branch that was not read

    checked(main)


def test_a_reader_or_a_function_that_only_takes_long_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """A slow consumer, or slow work between a branch and its join, is no fault; a warning is logged once."""

    async def slowly(item: int) -> int:
        await asyncio.sleep(100)
        return item

    async def main() -> None:
        for make in SPLITS.values():
            split = make(TestSource(list(range(12))))
            merged = split[0] | op.map_async(slowly, 1) | op.merge(split[1])
            assert sorted(await listed(merged, split)) == sorted([*range(12), *range(12)])
        fast, slow = TestSource(list(range(12))) | op.broadcast(2, capacity=2)
        await asyncio.gather(fast.to_list(), slow.for_each_async(slowly, concurrency=1))

    caplog.set_level(logging.WARNING, logger="penstock.fanout")
    checked(main)
    assert "branch 1 of broadcast at" in caplog.text
    assert "has held all others back for 30 s" in caplog.text


def test_a_shared_branch_whose_reader_asks_again_is_not_stuck() -> None:
    """A reader that gives up its request, or has not made one yet, may ask later."""

    async def main() -> None:
        first, second = TestSource(list(ITEMS)) | op.broadcast(2, capacity=1)
        shared = second | op.map(lambda x: x) | op.share()

        async def impatient() -> list[int]:
            came: list[int] = []
            async with shared.subscribe() as subscription:
                while len(came) < len(ITEMS):
                    task = asyncio.ensure_future(subscription.request(1))
                    await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    came += [] if task.cancelled() else task.result()
                    await asyncio.sleep(1)
                    came += await subscription.request(1)
            return came

        assert await asyncio.gather(first.to_list(), impatient()) == [list(ITEMS)] * 2

    checked(main)


def test_two_branches_that_one_task_reads_in_turn_are_found_after_patience() -> None:
    """A task that waits for one subscription cannot read the other one, whose queue is full."""

    async def main() -> None:
        for overflow in ("wait", "latest"):
            first, second = ps.from_iterable(ITEMS) | op.broadcast(
                2, capacity=2, overflow=overflow, patience=5
            )
            async with first.subscribe() as one, second.subscribe() as two:
                assert await two.request(1) == [0]
                came = [item for _ in range(3) for item in await one.request(1)]
                if overflow == "wait":
                    with pytest.raises(
                        BranchStuck, match="the task that read it has waited for branch 0 for 5 s"
                    ):
                        await one.request(1)
                    assert now() == 5
                else:
                    assert await one.request(1) == [3]
                assert came == [0, 1, 2]

    checked(main)


def test_groups_that_are_read_one_after_the_other_are_found_after_patience() -> None:
    """The error names the key; it is a ``GroupError`` and a ``BranchStuck``."""

    async def main() -> None:
        groups = ps.from_iterable(ITEMS) | op.group_by(lambda x: x % 2, capacity=3)
        with pytest.raises(
            GroupStuck, match=r"the group of the key 1 of group_by at .* \(3 items\)"
        ) as caught:
            await (groups | op.concat_map(lambda group: group)).to_list()
        assert now() == 30
        assert isinstance(caught.value, GroupError)

    checked(main)


# -- closed before the first request

HOT: dict[str, Callable[[Any], tuple[ps.Flow[Any], ...]]] = {
    **{kind: SPLITS[kind] for kind in ("broadcast", "partition", "partition_by", "share", "replay")},
    "three branches": lambda s: s | op.broadcast(3, capacity=CAPACITY),
    "broadcast of a branch": lambda s: (
        (parts := s | op.broadcast(2, capacity=CAPACITY))[1],
        *(parts[0] | op.broadcast(2, capacity=CAPACITY)),
    ),
    "groups of a branch": lambda s: (
        (parts := s | op.broadcast(2, capacity=CAPACITY))[0],
        parts[1] | op.group_by(lambda x: x % 2),
    ),
    "windows of a branch": lambda s: (
        (parts := s | op.broadcast(2, capacity=CAPACITY))[0],
        parts[1] | op.window(2),
    ),
    "a branch that is read later": lambda s: (
        (parts := s | op.broadcast(2, capacity=CAPACITY))[0],
        ps.just(99) | op.concat(parts[1]),
    ),
}


@pytest.mark.parametrize("moment", ["before anybody asks", "while another one waits", "dropped"])
def test_a_subscription_that_is_closed_before_its_first_request_lets_the_others_go_on(moment: str) -> None:
    """Whatever closed first: the one subscription that is read receives every item."""

    async def main() -> None:
        for kind, make in HOT.items():
            flows = make(TestSource(list(ITEMS)))
            for again in range(2):  # a second run is as good as the first
                left: list[Any] = [flow.subscribe() for flow in flows[1:]]
                reader = asyncio.ensure_future(flows[0].to_list())
                if moment != "before anybody asks":
                    await asyncio.sleep(1)
                if moment == "dropped":
                    left.clear()
                else:
                    for one in left:
                        await one.aclose()
                async with asyncio.timeout(20):
                    assert await reader == list(ITEMS), (kind, again)

    checked(main)


def test_a_branch_that_is_subscribed_again_takes_the_place_of_the_closed_subscription() -> None:
    """A reader that was cancelled before it asked, and starts again, reads the same run as the others."""

    async def main() -> None:
        source = TestSource(list(ITEMS))
        first, second = source | op.broadcast(2, capacity=CAPACITY)
        await first.subscribe().aclose()
        assert await asyncio.gather(first.to_list(), second.to_list()) == [list(ITEMS)] * 2
        assert source.counts.opened == 1

    checked(main)


def test_a_group_or_window_that_is_closed_unread_counts_as_read() -> None:
    """Its items are dropped, the others go on, and another subscription is refused."""

    async def main() -> None:
        for operator in (op.group_by(lambda x: x % 2, capacity=3), op.window(2)):
            source = TestSource([0, 1, Sleep(1), *range(2, 20)])
            async with (source | operator).subscribe() as subscription:
                (closed,) = await subscription.request(1)
                await closed.subscribe().aclose()
                with pytest.raises(AlreadySubscribed):
                    await closed.to_list()
                async with asyncio.timeout(20):
                    (following,) = await subscription.request(1)
                    assert following is not closed

    checked(main)


# -- entering


def test_every_subscriber_enters_with_the_first_request_of_its_whole_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No item is missed, even if every stage and every terminal pauses before it asks the one above."""
    monkeypatch.setattr("penstock.runtime.run.STRETCH", -1.0)
    monkeypatch.setattr("penstock.fusion.compiled_terminals.STRETCH", -1.0)

    async def main() -> None:
        published: Any = ps.from_iterable(ITEMS) | op.publish()
        deep = published | op.buffer(2) | op.merge(ps.empty()) | op.map_async(given, 2)
        readers = [
            asyncio.ensure_future(flow.to_list()) for flow in (published, deep, published | op.map(str))
        ]
        async with published.connect():
            assert await asyncio.gather(*readers) == [list(ITEMS), list(ITEMS), list(map(str, ITEMS))]

    async def given(item: int) -> int:
        return item

    checked(main)


@pytest.mark.parametrize(
    "make",
    [
        lambda patience: op.broadcast(2, patience=patience),
        lambda patience: op.partition(bool, patience=patience),
        lambda patience: op.partition_by(bool, 2, patience=patience),
        lambda patience: op.share(patience=patience),
        lambda patience: op.replay(2, patience=patience),
        lambda patience: op.publish(patience=patience),
        lambda patience: op.group_by(bool, patience=patience),
    ],
)
def test_a_negative_patience_is_refused(make: Callable[[float], object]) -> None:
    """It is checked when the operator is called."""
    with pytest.raises(GraphError, match="patience"):
        make(-1)
