"""Laws 9 and 10: nothing before the first request, every run afresh, and any run from any position."""

from __future__ import annotations

import asyncio
import json
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.errors import AlreadySubscribed, NotResumable, PositionError
from penstock.testing.laws.runs import Outcome, collect, compare, expected, open_run, require
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.script import Poison, Raise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Position, Subscription

__all__ = ["cold", "position"]

_LONG = 1_000.0


def cold(subject: Subject, *, schedule: Sequence[int] = (2,), one_shot: bool = False) -> None:
    """Law 9: nothing happens before the first request, and a second subscription starts afresh.

    Two runs of one flow, side by side, must give the same. If ``one_shot``, the second one must raise
    ``AlreadySubscribed`` (when it is subscribed, or at its first request) instead of looking empty.
    """

    async def main() -> None:
        wanted = await expected(subject)
        trial = subject.start()
        await asyncio.sleep(_LONG)
        require(trial.opened == trial.handed == 0, "cold", "building the flow opened a source")
        async with open_run(trial.flow) as first:
            await asyncio.sleep(_LONG)
            require(
                trial.opened == trial.handed == 0, "cold", "subscribing opened a source before any request"
            )
            if one_shot:
                await _second_is_refused(subject, first, trial.flow.subscribe)
                return
            async with open_run(trial.flow) as second:
                outcomes = await _side_by_side(first, second, schedule, subject.patience)
        for outcome in outcomes:
            await compare("cold", subject, trial.flow.order, wanted, outcome.items)
        async with open_run(trial.flow) as third:
            outcome = await collect(third, schedule, patience=subject.patience)
        await compare("cold", subject, trial.flow.order, wanted, outcome.items)

    judge("cold", main, schedule=schedule, one_shot=one_shot, subject=subject)


async def _side_by_side(
    first: Subscription[Any], second: Subscription[Any], schedule: Sequence[int], patience: float
) -> list[Outcome]:
    outcomes = [Outcome(), Outcome()]
    for n in cycle(schedule):
        for outcome, run in zip(outcomes, (first, second), strict=True):
            if outcome.end == "was stopped":
                await collect(run, (n,), into=outcome, patience=patience, requests=1)
        if all(outcome.end != "was stopped" for outcome in outcomes):
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
    text = f"a second subscription of a one-shot input came to {error!r} instead of AlreadySubscribed"
    require(isinstance(error, AlreadySubscribed), "cold", text)


def position(
    subject: Subject,
    *,
    schedule: Sequence[int] = (2, 1),
    again: Sequence[int] = (3,),
    cuts: Sequence[int] | None = None,
) -> None:
    """Law 10: a new run from ``position`` goes on with no item lost and none twice.

    Args:
        subject: What is checked. If its flow is not resumable, that it says so is checked instead.
        schedule: What is requested before a cut.
        again: What is requested behind it.
        cuts: Numbers of requests after which the run is cut, one after the other in one chain of runs;
            ``None`` tries every single cut there is, one chain each.

    Positions go through JSON on their way. Then the source fails before each item, and each item is
    poisoned: the position must stand before the failing input, so that a run on mended inputs gives
    all that was not delivered.
    """

    async def main() -> None:
        trial = subject.start()
        if not trial.flow.resumable:
            await _says_that_it_cannot(subject)
            return
        await _refuses_nonsense(subject)
        wanted = await expected(subject)
        for chain in _single_cuts(len(wanted)) if cuts is None else [tuple(cuts)]:
            if not await _cut_and_resume(subject, schedule, again, chain, wanted):
                break
        for index, at in subject.places():
            await _resumes_after_failure(subject, subject.ending(index, at, Raise()), schedule, again, wanted)
            script = subject.inputs[index]
            if at < len(script) and type(script[at]) is int:
                poisoned = subject.cut_input(index, at, [Poison(script[at]), *script[at + 1 :]])
                await _resumes_after_failure(subject, poisoned, schedule, again, wanted)

    judge("position", main, schedule=schedule, again=again, cuts=cuts, subject=subject)


def _single_cuts(most: int) -> list[tuple[int, ...]]:
    return [(cut,) for cut in range(most + 2)]


async def _says_that_it_cannot(subject: Subject) -> None:
    flow = subject.start().flow
    async with open_run(flow) as subscription:
        try:
            taken = subscription.position
        except NotResumable:
            return
        require(
            holds=False, law="position", message=f"flow.resumable is False, but a position was given: {taken}"
        )


async def _refuses_nonsense(subject: Subject) -> None:
    nonsense: Position = {"v": 1, "nodes": {"no such node": 1}}
    try:
        async with open_run(subject.start().flow, nonsense) as subscription:
            await subscription.request(1)
    except PositionError:
        return
    require(
        holds=False, law="position", message="the position of another graph was accepted", position=nonsense
    )


def _through_json(subscription: Subscription[Any]) -> Position:
    taken = subscription.position
    text = json.dumps(taken)
    require(json.loads(text) == taken, "position", "the position is not JSON", position=taken)
    result: Position = json.loads(text)
    return result


async def _cut_and_resume(
    subject: Subject, schedule: Sequence[int], again: Sequence[int], chain: Sequence[int], wanted: list[Any]
) -> bool:
    """Run with cuts; say whether the run lasted until the last of them."""
    came = Outcome()
    at: Position | None = None
    for cut in chain:
        async with open_run(subject.start().flow, at) as subscription:
            before = subscription.position
            snapshot = json.dumps(before)
            outcome = await collect(subscription, schedule, requests=cut, patience=subject.patience)
            at = _through_json(subscription)
            require(
                json.dumps(before) == snapshot,
                "position",
                "a position changed after it was taken",
                was=snapshot,
                became=before,
            )
        came.items += outcome.items
        if outcome.end != "was stopped" and not outcome.completed:
            return False
    trial = subject.start()
    async with open_run(trial.flow, at) as subscription:
        rest = await collect(subscription, again, patience=subject.patience)
    text = f"delivered before the cut: {came.items!r}"
    together = came.items + rest.items
    await _exactly(subject, trial.flow.order, wanted, together, exact=trial.flow.exact, cut=text, position=at)
    return len(rest.items) > 0 or not chain[-1]


async def _exactly(
    subject: Subject, order: str, wanted: list[Any], came: list[Any], *, exact: bool, **replay: Any
) -> None:
    if exact:
        await compare("position", subject, order, wanted, came, **replay)
        return
    came_same = [subject.same(item) for item in came]
    lost = [item for item in wanted if subject.same(item) not in came_same]
    require(not lost, "position", f"lost {lost!r}", wanted=wanted, came=came, **replay)


async def _resumes_after_failure(
    subject: Subject, failing: Subject, schedule: Sequence[int], again: Sequence[int], wanted: list[Any]
) -> None:
    async with open_run(failing.start().flow) as subscription:
        outcome = await collect(subscription, schedule, patience=subject.patience)
        if outcome.error is None:
            return
        at = _through_json(subscription)
    trial = subject.start()
    async with open_run(trial.flow, at) as subscription:
        rest = await collect(subscription, again, patience=subject.patience)
    came = outcome.items + rest.items
    # an item that was poisoned but only handed on is delivered as itself, and equal to the plain one
    await _exactly(
        subject, trial.flow.order, wanted, came, exact=trial.flow.exact,
        failed_on=failing.inputs, delivered_before=outcome.items, position=at,
    )  # fmt: skip
