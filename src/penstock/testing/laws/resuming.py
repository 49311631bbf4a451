"""Laws 9 and 10: nothing happens before the first request, and a run can start from any position."""

from __future__ import annotations

import asyncio
import json
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.errors import AlreadySubscribed, NotResumable, PositionError
from penstock.testing.laws.runs import Outcome, collect, compare, expected, open_run, outcome_of
from penstock.testing.laws.subject import LawViolation, Subject, judge, require
from penstock.testing.script import Raise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Position, Subscription

_LONG = 1_000.0


def cold(subject: Subject, *, schedule: Sequence[int] = (2,), one_shot: bool = False) -> None:
    """Law 9: nothing happens before the first request, and each subscription starts afresh.

    Two runs of one flow, side by side, must yield the same items. With ``one_shot``, the second must
    raise ``AlreadySubscribed``, when it is subscribed or at its first request, instead of looking empty.
    """

    async def main() -> None:
        wanted = await expected(subject)
        trial = subject.start()
        await asyncio.sleep(_LONG)
        text = "no source should be opened before the first request; {} opened one"
        require(trial.opened == trial.handed == 0, "cold", text.format("building the flow"))
        async with open_run(trial.flow) as first:
            await asyncio.sleep(_LONG)
            require(trial.opened == trial.handed == 0, "cold", text.format("subscribing"))
            if one_shot:
                await _second_is_refused(subject, first, trial.flow.subscribe)
                return
            async with open_run(trial.flow) as second:
                outcomes = await _side_by_side(first, second, schedule, subject.patience)
        async with open_run(trial.flow) as third:
            outcomes.append(await collect(third, schedule, patience=subject.patience))
        for outcome in outcomes:
            await compare("cold", subject, trial.flow.order, wanted, outcome.items)

    judge("cold", main, schedule=schedule, one_shot=one_shot, subject=subject)


async def _side_by_side(
    first: Subscription[Any], second: Subscription[Any], schedule: Sequence[int], patience: float
) -> list[Outcome]:
    outcomes = [Outcome(), Outcome()]
    for n in cycle(schedule):
        for outcome, run in zip(outcomes, (first, second), strict=True):
            if not outcome.ended:
                await collect(run, (n,), into=outcome, patience=patience, requests=1)
        if all(outcome.ended for outcome in outcomes):
            break
    return outcomes


async def _second_is_refused(subject: Subject, first: Subscription[Any], subscribe: Any) -> None:
    await collect(first, (1,), requests=1, patience=subject.patience)
    try:
        async with subscribe() as second:
            outcome = await collect(second, (1,), patience=subject.patience)
        error = outcome.error
    except AlreadySubscribed as refused:
        error = refused
    text = f"a second subscription of a one-shot input should raise AlreadySubscribed; it raised {error!r}"
    require(isinstance(error, AlreadySubscribed), "cold", text)


def position(
    subject: Subject,
    *,
    schedule: Sequence[int] = (2, 1),
    again: Sequence[int] = (3,),
    cuts: Sequence[int] | None = None,
) -> None:
    """Law 10: a new run from ``position`` continues, with no item lost and none twice.

    Args:
        subject: The subject. If its flow is not resumable, it must say so and refuse to return a
            position.
        schedule: The sizes of the requests before a cut.
        again: The sizes of the requests after it.
        cuts: The number of requests in each run of a chain, before the next run starts from its position.
            ``None`` tries every single cut, in one chain each.

    Each position is converted to JSON and back. Then the source fails before each item, and each item is
    poisoned: the position must stand before the failing input, so that a run on good inputs yields every
    item that was not delivered.
    """

    async def main() -> None:
        if not subject.start().flow.resumable:
            await _refuses_a_position(subject)
            return
        await _refuses_nonsense(subject)
        wanted = await expected(subject)
        for chain in ([(cut,) for cut in range(len(wanted) + 2)]) if cuts is None else [tuple(cuts)]:
            if not await _cut_and_resume(subject, schedule, again, chain, wanted):
                break
        for index, at in subject.places():
            for failing in (subject.ending(index, at, Raise()), subject.poisoned(index, at)):
                if failing is not None:
                    await _resumes_after_failure(subject, failing, schedule, again, wanted)

    judge("position", main, schedule=schedule, again=again, cuts=cuts, subject=subject)


async def _refuses_a_position(subject: Subject) -> None:
    async with open_run(subject.start().flow) as subscription:
        try:
            taken = subscription.position
        except NotResumable:
            return
        text = f"flow.resumable is False, so position should raise NotResumable; it returned {taken}"
        raise LawViolation("position", text)


async def _refuses_nonsense(subject: Subject) -> None:
    nonsense: Position = {"v": 1, "nodes": {"no such node": 1}}
    try:
        async with open_run(subject.start().flow, nonsense) as subscription:
            await subscription.request(1)
    except PositionError:
        return
    text = "the position of another graph should raise PositionError; it was accepted"
    raise LawViolation("position", text, position=nonsense)


def _through_json(subscription: Subscription[Any]) -> Position:
    taken = subscription.position
    result: Position = json.loads(json.dumps(taken))
    text = "a position should be JSON, and equal after json.dumps and json.loads: no tuples, no objects"
    require(result == taken, "position", text, position=taken)
    return result


async def _cut_and_resume(
    subject: Subject, schedule: Sequence[int], again: Sequence[int], chain: Sequence[int], wanted: list[Any]
) -> bool:
    """Run with cuts; return whether the run was still going at the last of them."""
    came: list[Any] = []
    at: Position | None = None
    for cut in chain:
        async with open_run(subject.start().flow, at) as subscription:
            before = subscription.position
            snapshot = json.dumps(before)
            outcome = await collect(subscription, schedule, requests=cut, patience=subject.patience)
            at = _through_json(subscription)
            text = "a position should not change after it was taken; return a copy of the state"
            require(json.dumps(before) == snapshot, "position", text, was=snapshot, became=before)
        came += outcome.items
        if outcome.ended and not outcome.completed:
            return False
    rest = await outcome_of(subject, again, at)
    order = subject.start().flow.order
    replay = {"delivered_before": came, "position": at, "cuts": chain}
    await compare("position", subject, order, wanted, came + rest.items, **replay)
    return len(rest.items) > 0 or not chain[-1]


async def _resumes_after_failure(
    subject: Subject, failing: Subject, schedule: Sequence[int], again: Sequence[int], wanted: list[Any]
) -> None:
    async with open_run(failing.start().flow) as subscription:
        outcome = await collect(subscription, schedule, patience=subject.patience)
        if outcome.error is None:
            return
        at = _through_json(subscription)
    rest = await outcome_of(subject, again, at)
    # a poisoned item that no function computed with is delivered, and equal to the plain one
    await compare(
        "position", subject, subject.start().flow.order, wanted, outcome.items + rest.items,
        failed_on=failing.inputs, delivered_before=outcome.items, position=at,
    )  # fmt: skip
