"""Laws 6 and 7: overlapping requests are refused, and a cancelled request loses nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from penstock.runtime.order import traits
from penstock.testing.laws.runs import (
    Outcome,
    Wanted,
    collect,
    compare,
    compare_items,
    expected,
    intrude,
    open_run,
    receive,
    stop,
    wanted_of,
)
from penstock.testing.laws.subject import Subject, judge, require
from penstock.testing.script import Forever
from penstock.testing.time import turns as let_turn
from penstock.testing.time import virtual_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Subscription

_LONG = 10_000.0
_TURNS_TO_WITHDRAW = 5
_EARLY = 40
"""Turns of the loop within which a large request is cancelled."""


def serial(subject: Subject, *, schedule: Sequence[int] = (2, 1)) -> None:
    """Law 6: a request while another is pending raises ``ConcurrentRequestError``, and harms neither."""

    async def main() -> None:
        slow = subject.slowed()
        wanted = await expected(slow)
        trial = slow.start()
        outcome = Outcome()
        async with open_run(trial.flow) as subscription:
            for n in cycle(schedule):
                await _with_intruders(subscription, n, slow.patience, outcome)
                if outcome.ended:
                    break
        if outcome.error is None and not outcome.stalled:
            await compare("serial", slow, trial.flow.order, wanted, outcome.items)

    judge("serial", main, schedule=schedule, subject=subject)


async def _with_intruders(subscription: Subscription[Any], n: int, patience: float, outcome: Outcome) -> None:
    pending = asyncio.create_task(subscription.request(n))
    for _ in range(4):
        await let_turn(1)
        if pending.done():
            break
        intrude(subscription)
    await asyncio.wait([pending], timeout=patience)
    if not pending.done():
        intrude(subscription)
    await receive(outcome, pending, 0)


def cancel_safe(
    subject: Subject,
    *,
    schedule: Sequence[int] = (2, 1, 3),
    cuts: Sequence[int] | None = None,
    turns: Sequence[int] | None = None,
) -> None:
    """Law 7: a cancelled request loses nothing and repeats nothing, and its demand is withdrawn.

    Args:
        subject: The subject; unless it has a pace, its sources wait now and then.
        schedule: The sizes of the requests, in turn; a cancelled one is not tried again.
        cuts: The turns of the loop at which the pending request is cancelled, all in one run. ``None``
            cancels once in each run.
        turns: The turns that are tried without ``cuts``, in one run each, in ascending order, up to the end
            of the run. ``None`` tries every turn.
    """
    slow = subject.slowed()
    wanted = judge("cancel_safe", partial(wanted_of, slow), subject=slow)
    once = ((turn,) for turn in (count() if turns is None else turns))
    for chosen in once if cuts is None else [tuple(cuts)]:
        cut_run = partial(_cut_run, slow, schedule, chosen, wanted)
        reached = judge("cancel_safe", cut_run, cuts=chosen, subject=slow)
        if cuts is not None or not reached:
            break
    early = range(0, _EARLY, 3) if turns is None else [turn for turn in turns if turn < _EARLY]
    for turn in early if cuts is None else cuts:
        judge("cancel_safe", partial(_withdraws, slow, turn, wanted), cuts=(turn,), subject=slow)


class _Cutter:
    """Cancels the pending request at chosen turns of the loop, counted from the first request."""

    def __init__(self, cuts: Sequence[int]) -> None:
        self.pending: asyncio.Task[list[Any]] | None = None
        self.reached = False
        self.cancelled = False
        loop = virtual_loop()
        for cut in cuts:
            loop.at_turn(loop.turns + cut, self.strike)

    def strike(self) -> None:
        self.reached = True
        if self.pending is not None and self.pending.cancel():
            self.cancelled = True

    async def request(
        self, subscription: Subscription[Any], n: int, patience: float, outcome: Outcome
    ) -> None:
        self.cancelled = False
        self.pending = asyncio.create_task(subscription.request(n))
        await receive(outcome, self.pending, patience, struck=lambda: self.cancelled)
        self.pending = None


async def _cut_run(subject: Subject, schedule: Sequence[int], cuts: Sequence[int], wanted: Wanted) -> bool:
    """Run to the end with cancellations at ``cuts``; return whether the run was still going by then."""
    trial = subject.start()
    outcome = Outcome()
    async with open_run(trial.flow) as subscription:
        cutter = _Cutter(cuts)
        for n in cycle(schedule):
            await cutter.request(subscription, n, subject.patience, outcome)
            if outcome.ended:
                break
        reached = cutter.reached
        trial.require_untouched()
    order = trial.flow.order
    compare_items("cancel_safe", subject, order, wanted.items, outcome.items, alone=wanted.alone)
    return reached


async def _withdraws(subject: Subject, turn: int, wanted: Wanted) -> None:
    """Cancel one large request, then let time pass: sources may hand over hardly anything more."""
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        loop = virtual_loop()
        task = asyncio.create_task(subscription.request(1_000))
        loop.at_turn(loop.turns + turn, task.cancel)
        await asyncio.wait([task], timeout=subject.patience)
        await stop(task)
        if not task.cancelled():
            return
        await let_turn(_TURNS_TO_WITHDRAW)  # sources may finish the turn in which the cancellation came
        before = trial.handed
        allowed = trial.flow.max_in_flight(1) + len(trial.sources)  # each may be working on one item
        for _ in range(3):
            await asyncio.sleep(_LONG)
        text = "after a cancelled request sources went on handing over items; withdraw its demand"
        more = trial.handed - before
        require(subject.prefetches or more <= allowed, "cancel_safe", text, handed_on=more, allowed=allowed)
        await _still_goes_on(subject, subscription, trial.flow.order, wanted.items)


async def _still_goes_on(
    subject: Subject, subscription: Subscription[Any], order: str, wanted: list[Any]
) -> None:
    """A run whose demand was withdrawn must go on with the next request."""
    outcome = await collect(subscription, (2,), patience=subject.patience)
    stalls = any(isinstance(element, Forever) for script in subject.inputs for element in script)
    # the items of a timed flow are only known for a consumer that never sleeps, as this one did
    whole = outcome.completed if traits(order) & {"lossy", "timed"} else len(outcome.items) == len(wanted)
    text = (
        f"after a cancelled request the next ones should deliver the remaining {len(wanted)} items; "
        f"the run {outcome.end} with {len(outcome.items)}"
    )
    require(stalls or whole, "cancel_safe", text)
