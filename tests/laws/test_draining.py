"""``drain`` takes no new input, delivers the items in flight, and leaves an exact position."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.testing import Sleep, VirtualTimeLoop, Wait, laws, run
from penstock.testing.laws.runs import Outcome, collect, compare, open_run

from ..length import sampled  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES, Entry
from .graphs import subjects

if TYPE_CHECKING:
    from collections.abc import Sequence

PACE = (Wait(2), None, Sleep(1))


async def drained(subject: laws.Subject, schedule: Sequence[int], turn: int) -> None:
    """Drain at a turn of the loop; the run from its position must yield the remaining items, and no others."""
    trial = subject.start()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    outcome = Outcome()
    async with open_run(trial.flow) as subscription:
        handed: list[int] = []
        drains: list[asyncio.Task[None]] = []

        async def drain() -> None:
            handed.append(trial.handed)
            await subscription.drain()

        loop.at_turn(loop.turns + turn, lambda: drains.append(loop.create_task(drain())))
        reader = asyncio.create_task(collect(subscription, schedule, into=outcome, patience=subject.patience))
        await asyncio.wait([reader])
        assert outcome.error is None
        assert outcome.completed
        if not drains:
            await subscription.drain()
        assert await subscription.request(1) == []
        position = subscription.position if trial.flow.resumable else None
        limit = trial.flow.max_in_flight(max(schedule)) + len(trial.sources)
        assert not handed or trial.handed - handed[0] <= limit
    if position is None or subject.folds:  # an unfinished list goes out early
        return
    async with open_run(subject.start().flow, position) as subscription:
        rest = await collect(subscription, schedule, patience=subject.patience)
    wanted = subject.foretold()
    assert wanted is not None
    await compare("position", subject, trial.flow.order, wanted, outcome.items + rest.items)


DRAINED = [e for e in ENTRIES if e.model and not e.name.startswith(("checkpoint", "retry"))]


@pytest.mark.parametrize("entry", DRAINED, ids=lambda entry: entry.name)
def test_drained_at_every_turn(entry: Entry) -> None:
    """A run drained at any turn ends in order and can be resumed without loss or repetition.

    Every day it is drained at a quarter of these turns; neighbouring entries have different quarters.
    """
    subject = entry.subject.fed(*entry.inputs, pace=PACE)
    for turn in sampled(range(0, 40, 3), 4, DRAINED.index(entry)):
        run(drained(subject, (2, 1), turn))


@given(subjects(), st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=3), st.integers(0, 40))
def test_random_graph_drained(subject: laws.Subject, schedule: list[int], turn: int) -> None:
    """The same holds for random graphs."""
    run(drained(subject, schedule, turn))
