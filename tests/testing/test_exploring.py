"""``explore`` finds a race, reduces it to the decisions that matter, and shows how to replay it."""

from __future__ import annotations

import asyncio
import random

import pytest

from penstock.testing import Deadlock, Endless, RaceFound, explore, replay


class Once:
    """Fetches a value once, unless a second task comes between the check and the fetch."""

    def __init__(self) -> None:
        self.value: int | None = None
        self.fetched = 0

    async def get(self) -> int:
        if self.value is None:
            self.fetched += 1
            await asyncio.sleep(0)
            self.value = 7
        return self.value


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def racy() -> None:
    """Get the value twice, the second time so late that plain asyncio never shows the race."""
    once = Once()

    async def ask(after: int) -> int:
        await turns(after)
        return await once.get()

    await asyncio.gather(ask(0), turns(9), ask(4), turns(9))
    assert once.fetched == 1


async def correct() -> None:
    """Do the same with a lock."""
    once, lock = Once(), asyncio.Lock()

    async def ask(after: int) -> int:
        await turns(after)
        async with lock:
            return await once.get()

    await asyncio.gather(ask(0), turns(9), ask(4), turns(9))
    assert once.fetched == 1


def test_a_planted_race_is_found_in_less_than_1000_seeds() -> None:
    """Plain asyncio never shows the race; a seed below 1,000 does."""
    replay(racy)
    with pytest.raises(RaceFound, match="seed") as caught:
        explore(racy, seeds=1_000)
    assert isinstance(caught.value.__cause__, AssertionError)
    assert 0 < caught.value.seed < 1_000


def test_a_race_is_shrunk_and_replayed() -> None:
    """The seed shows the failure, and so do a few deviations, each of which is needed."""
    with pytest.raises(RaceFound) as caught:
        explore(racy)
    least = caught.value.deviations
    assert 0 < len(least) <= 6
    for arguments in ({}, {"deviations": least}):
        with pytest.raises(AssertionError, match="fetched"):
            replay(racy, caught.value.seed, **arguments)
    for left_out in least:
        replay(racy, deviations={made: chosen for made, chosen in least.items() if made != left_out})


def test_the_message_has_the_replay_calls_and_the_order_of_tasks() -> None:
    """The message has both calls of ``replay`` with the options, and a line with places per deviation."""
    with pytest.raises(RaceFound) as caught:
        explore(racy, jitter=0.25)
    text = str(caught.value)
    assert f"replay(test, {caught.value.seed}, jitter=0.25)" in text
    assert f"replay(test, {caught.value.seed}, deviations={caught.value.deviations!r}, jitter=0.25)" in text
    assert text.count(" goes before ") == len(caught.value.deviations)
    assert "test_exploring.py" in text


def test_without_a_race_it_counts_schedules() -> None:
    """A correct test passes under every seed, and the seeds make many different schedules."""
    explored = explore(correct, seeds=300)
    assert explored.seeds == 300
    assert explored.schedules > 100


def test_nothing_to_race_is_one_schedule() -> None:
    """A test with one task has one schedule, so exploring it was of no use."""

    async def alone() -> None:
        await asyncio.sleep(0)

    assert explore(alone, seeds=20).schedules == 1


def test_a_failure_under_plain_asyncio_is_no_race() -> None:
    """Seed 0 fails at once, without deviations, and the message says so."""

    async def wrong() -> None:
        raise ValueError("always")

    with pytest.raises(RaceFound, match="plain asyncio fails too") as caught:
        explore(wrong)
    assert caught.value.seed == 0
    assert caught.value.deviations == {}


@pytest.mark.parametrize("end", [Deadlock, Endless])
def test_a_race_may_be_a_hang(end: type[Exception]) -> None:
    """A run that never ends under some schedule is a failure like any other."""

    async def hangs() -> None:
        order: list[str] = []

        async def note(name: str) -> None:
            await turns(2)
            order.append(name)

        await asyncio.gather(*(note(name) for name in "abc"))
        while order == ["c", "b", "a"]:
            await (asyncio.get_running_loop().create_future() if end is Deadlock else asyncio.sleep(0))

    with pytest.raises(RaceFound) as caught:
        explore(hangs, most_turns=2_000)
    assert isinstance(caught.value.__cause__, end)


def test_a_race_of_timers_is_found() -> None:
    """Two near deadlines may swap, as on a busy machine."""

    async def timed() -> None:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, order.append, 1)
        loop.call_later(1.2, order.append, 2)
        await asyncio.sleep(5)
        assert order == [1, 2]

    with pytest.raises(RaceFound, match="a timer of 1 s is late"):
        explore(timed)
    explore(timed, seeds=200, jitter=0)


def test_random_numbers_repeat_and_the_state_is_restored() -> None:
    """Each run seeds ``random``, and its state is restored afterwards."""

    async def draw() -> float:
        return random.random()

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert replay(draw, 3) == replay(draw, 3) != replay(draw, 4)
    assert random.random() == expected


def test_an_interruption_is_not_a_failure() -> None:
    """``KeyboardInterrupt`` is raised at once, and is not shrunk."""

    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(interrupted)
