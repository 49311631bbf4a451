"""The laws hold under any schedule: every source and operator under seeds, and mutants that seeds find."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING, Any

import pytest

import penstock.operators as op
from penstock.testing import Leak, RaceFound, Sleep, VirtualTimeLoop, Wait, laws, no_leaks, run
from penstock.testing.laws.racing import racing
from penstock.testing.laws.runs import collect, expected, open_run

from ..length import LONG, sampled  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES, Entry
from .entry import INPUT
from .everyday import FIRST
from .functions import a_turn, add, spread
from .models import flat
from .mutants import (
    MUTANTS,
    AcceptsZero,
    ChangesInPlace,
    EndsSilently,
    FillsUp,
    HoldsTheLastBack,
    KeepsItsList,
    KeepsTheDemand,
    LeavesItsTask,
    LosesTheTraceback,
    MasksErrors,
    NeverRests,
    NobodyRetrieves,
    NoOneClosesTheSource,
    NotesEachTime,
    NotJson,
    ReadsAhead,
    SaysItCannot,
    SaysNothing,
    StartsAtOnce,
    TakesAnyPosition,
    TracebackGrows,
)
from .toys import ToyCheckpoint, ToyCheckpointRun, ToyFlow, ToyRun

if TYPE_CHECKING:
    from penstock.testing import TestSource

SEEDS = {"first": 500, "other": 500} if LONG else {"first": 6, "other": 2}
"""Seeds per entry: of the first entry of an operator, and of the other ones; ``PENSTOCK_SEEDS`` sets both."""
if "PENSTOCK_SEEDS" in os.environ:
    SEEDS = dict.fromkeys(SEEDS, int(os.environ["PENSTOCK_SEEDS"]))
FIRST_SEED = int(os.environ.get("PENSTOCK_FIRST_SEED", "0"))
"""The first seed, so that a long run can be continued."""

PACE = (Wait(2), None, Sleep(1))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_races(entry: Entry) -> None:
    """Whole, failing, closed and resumed runs keep the laws under each seed."""
    seeds = SEEDS["first" if entry.name in FIRST else "other"]
    racing(entry.subject, seeds=seeds, first=FIRST_SEED, skip=entry.skip)


def test_most_entries_have_something_to_race() -> None:
    """Seeds produce different schedules."""
    fed = [entry for entry in ENTRIES if entry.inputs]
    assert all(
        racing(entry.subject, seeds=6, skip=entry.skip).schedules > 2 for entry in fed[:: 1 if LONG else 20]
    )


# -- what is cancelled leaves nothing ----------------------------------------------------------------


async def consume(trial: laws.Trial) -> None:
    """Read to the end."""
    async with trial.flow.subscribe() as subscription:
        for n in itertools.cycle((2, 1, 50)):
            if not await subscription.request(n):
                return


async def cancelled_at(subject: laws.Subject, turn: int) -> bool:
    """Cancel a consumer at a turn of the loop; return whether it was still running."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    trial = subject.start()
    async with no_leaks():
        for source in trial.sources:
            source.expect_close()
        consumer = loop.create_task(consume(trial))
        loop.at_turn(loop.turns + turn, consumer.cancel)
        await asyncio.wait([consumer], timeout=100)
        struck = consumer.cancelled()
        consumer.cancel()  # it waits for ever
        await asyncio.wait([consumer])
        del consumer
    assert trial.opened == trial.closed
    return struck


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_cancelled_at_every_await_it_leaves_nothing(entry: Entry) -> None:
    """A consumer that is cancelled at any turn of the loop leaves no task, generator, file or exception.

    Every day it is cancelled at every eighth turn; neighbouring entries begin with different turns.
    """
    subject = entry.subject.fed(*entry.inputs, pace=PACE)
    for turn in sampled(itertools.count(), 8, ENTRIES.index(entry)):
        if not run(cancelled_at(subject, turn)):
            break


# -- what is cancelled keeps its place ---------------------------------------------------------------

KEPT = [entry for entry in ENTRIES if "position" not in entry.skip]


@pytest.mark.parametrize("entry", KEPT, ids=lambda entry: entry.name)
def test_the_position_after_a_cancelled_request_is_behind_what_was_delivered(entry: Entry) -> None:
    """A run resumed from there repeats nothing, at whatever turn the request was cancelled.

    Every day a request is cancelled at every sixth of these turns.
    """
    subject = entry.subject.fed(*entry.inputs, pace=PACE)

    async def cancelled_after(turns: int) -> tuple[list[Any], list[Any]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        flow = subject.start().flow
        if not flow.resumable or flow.order != "exact":
            return [], []
        wanted = await expected(subject)
        async with open_run(flow) as subscription:
            before = await collect(subscription, (2,), requests=1)
            pending = loop.create_task(subscription.request(2))
            loop.at_turn(loop.turns + turns, pending.cancel)
            await asyncio.wait([pending], timeout=10)
            if not pending.cancelled():
                return wanted, wanted
            position = subscription.position
        async with open_run(subject.start().flow, position) as subscription:
            return wanted, before.items + (await collect(subscription, (3,))).items

    for turns in sampled(range(12), 6, KEPT.index(entry)):
        wanted, came = run(cancelled_after(turns))
        assert [subject.same(x) for x in came] == [subject.same(x) for x in wanted], turns


# -- what seeds find ---------------------------------------------------------------------------------

NO_MATTER_OF_SCHEDULES = {
    AcceptsZero, ChangesInPlace, EndsSilently, FillsUp, HoldsTheLastBack, KeepsItsList, KeepsTheDemand,
    LosesTheTraceback, MasksErrors, NeverRests, NotesEachTime, NotJson, ReadsAhead, SaysItCannot, SaysNothing,
    StartsAtOnce, TakesAnyPosition, TracebackGrows,
}  # fmt: skip
"""Mutants that are wrong under every schedule; ``test_mutants`` finds them under that of plain asyncio."""

EVERY = {mutant for mutants in MUTANTS.values() for mutant in mutants}
CHECKPOINTS = {m for m in EVERY if issubclass(m, ToyCheckpoint | ToyCheckpointRun)}
RACING = sorted(EVERY - NO_MATTER_OF_SCHEDULES - CHECKPOINTS, key=lambda mutant: mutant.__name__)


def toy(mutant: type[Any]) -> laws.Subject:
    def factory(source: TestSource) -> ToyFlow:
        return ToyFlow(source, spread, mutant) if issubclass(mutant, ToyRun) else mutant(source, spread)

    return laws.Subject(factory, (INPUT,), flat(spread))


@pytest.mark.parametrize("mutant", RACING)
def test_a_mutant_is_found_in_less_than_1000_seeds(mutant: type[Any]) -> None:
    """A flow that is wrong when asked, cancelled, closed or resumed fails under some seed."""
    with pytest.raises(RaceFound) as caught:
        racing(toy(mutant), seeds=1_000)
    assert caught.value.seed < 1_000


def test_the_reference_races() -> None:
    """The flow that the mutants break keeps the laws under seeds."""
    racing(toy(ToyRun), seeds=200 if LONG else 50)


class InOrderByLuck:
    """An unordered flow that is declared exact; plain asyncio happens to keep its order."""

    order = "exact"

    def __init__(self, flow: Any) -> None:
        self.flow = flow

    def __getattr__(self, name: str) -> Any:
        return getattr(self.flow, name)


def test_a_planted_race_is_found_in_less_than_1000_seeds() -> None:
    """A seed finds that workers overtake each other; the laws alone do not."""

    def factory(source: TestSource) -> InOrderByLuck:
        return InOrderByLuck(source | op.map_async(a_turn, 3, ordered=False))

    subject = laws.Subject(factory, (INPUT,), lambda items: map(add, items))
    for schedule in ((1,), (2, 1), (5,)):
        laws.chunk_invariance(subject, schedule=schedule)
    with pytest.raises(RaceFound, match="the run completed") as caught:
        racing(subject, seeds=1_000)
    assert 0 < caught.value.seed < 1_000


# -- that the leak check sees ------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", [LeavesItsTask, NoOneClosesTheSource, NobodyRetrieves])
def test_what_is_left_behind_is_seen(mutant: type[Any]) -> None:
    """The leak check finds a flow that leaves something behind when its consumer is cancelled."""
    subject = toy(mutant).fed(INPUT, pace=PACE)

    async def everywhere() -> None:
        for turn in range(60):
            await cancelled_at(subject, turn)

    with pytest.raises((Leak, AssertionError)):
        run(everywhere())
