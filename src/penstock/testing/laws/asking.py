"""Laws 1 to 3: what a request may answer, when, and how it ends."""

from __future__ import annotations

import asyncio
import traceback
from bisect import bisect_right
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.testing.laws.runs import Outcome, collect, expected, open_run, reference, require
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.script import Forever, Raise, Sleep, items_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Subscription
    from penstock.testing.laws.subject import Trial

__all__ = ["demand", "ending", "promptness"]

_LONG = 1_000.0
_TURNS_TO_LOOK = 10
_MOST = 2**63 - 1


def demand(subject: Subject, *, schedule: Sequence[int] = (1, 3, 2, 7)) -> None:
    """Law 1: at most n items per request, fresh lists, n >= 1, and never more than M(n) in flight.

    *In flight* are source items handed over that are not yet accounted for by what was delivered, and
    that were not dropped: which inputs give outputs is found out by feeding them one by one.
    """

    async def main() -> None:
        accounts = [await _account(subject, index) for index in range(len(subject.inputs))]
        watch = _Watch(accounts)
        trial = subject.start(on_handed=watch.look)
        watch.trial = trial
        _check_bounds(trial, max(schedule))
        async with open_run(trial.flow) as subscription:
            watch.subscription = subscription
            await _refuse_less_than_one(subscription)
            await collect(
                subscription, schedule, into=watch.outcome, patience=subject.patience, before=watch.before
            )
            await _refuse_less_than_one(subscription)
        pairs = list(zip(watch.asked, watch.outcome.batches, strict=False))
        text = "a request returned more items than it asked for (asked, came)"
        require(all(came <= asked for asked, came in pairs), "demand", text, pairs=pairs)
        require(not watch.found, "demand", "; ".join(watch.found[:3]))
        await _gives_fresh_lists(subject, schedule)
        await _takes_any_demand(subject)

    judge("demand", main, schedule=schedule, subject=subject)


class _Watch:
    """Looks at every handing over whether too much is in flight."""

    def __init__(self, accounts: list[list[int]]) -> None:
        self.accounts = accounts
        self.trial: Trial | None = None
        self.subscription: Subscription[Any] | None = None
        self.outcome = Outcome()
        self.asked: list[int] = []
        self.found: list[str] = []

    def before(self, n: int) -> None:
        self.asked.append(n)

    def dropped(self) -> int:
        """Return how many items the run says it has given up: those are in flight no more."""
        if self.subscription is None:
            return 0
        return sum(stage.dropped for stage in self.subscription.statistics().stages)

    def look(self) -> None:
        trial, n = self.trial, max(self.asked, default=0)
        if trial is None:
            return
        if not n:
            self.found.append("a source handed over an item before the first request")
            return
        handed = [source.counts.handed for source in trial.sources]
        gone = len(self.outcome.items) + self.dropped()
        flying = _in_flight(self.accounts, handed, gone, folds=trial.subject.folds)
        bound = trial.flow.max_in_flight(n)
        if flying > bound:
            self.found.append(
                f"{flying} items in flight, but M({n}) = {bound}: {trial.handed} were handed over "
                f"when {len(self.outcome.items)} outputs had been delivered"
            )


async def _account(subject: Subject, index: int) -> list[int]:
    """Return, for each number of inputs of one source, how many outputs are there without any more.

    A list as long as the inputs that matter: where the flow ends early, the rest is not in it.
    """
    outcome = Outcome()
    counts: list[int] = []
    items = items_of(subject.inputs[index])
    others: list[Sequence[Any]] = [()] * len(subject.inputs)
    others[index] = [*(part for item in items for part in (Sleep(_LONG), item)), Sleep(_LONG), Forever()]
    paced = subject.fed(*others, pace=(), patience=_LONG * (len(items) + 2))

    def look() -> None:
        if trial is not None:
            counts.extend([len(outcome.items)] * (trial.handed - len(counts)))

    trial: Trial | None = None
    trial = paced.start(on_handed=look)
    async with open_run(trial.flow) as subscription:
        await collect(subscription, (1,), into=outcome, patience=paced.patience)
    return [*counts, len(outcome.items)]


def _in_flight(accounts: list[list[int]], handed: list[int], delivered: int, *, folds: bool) -> int:
    """Return the least number of inputs in flight that ``delivered`` outputs leave possible.

    With several inputs nobody knows which output came from which; the most lenient share is taken.
    """
    least = [0] * (delivered + 1)  # by number of outputs attributed so far
    for counts, count in zip(accounts, handed, strict=True):
        # behind the end of one of several inputs, what was still handed over was dropped with it
        used = min(count, len(counts) - 1) if len(accounts) > 1 else count
        flying = [_flying(counts, used, k, folds=folds) for k in range(delivered + 1)]
        least = [min(least[k - j] + flying[j] for j in range(k + 1)) for k in range(delivered + 1)]
    return least[delivered]


def _flying(counts: list[int], handed: int, delivered: int, *, folds: bool) -> int:
    """Return how many of the ``handed`` inputs of one source are in flight behind ``delivered`` outputs."""
    settled = max(bisect_right(counts, delivered) - 1, 0)
    waiting = range(settled, handed)
    return sum(1 for i in waiting if folds or i + 1 >= len(counts) or counts[i + 1] > counts[i])


def _check_bounds(trial: Trial, most: int) -> None:
    bounds = [trial.flow.max_in_flight(n) for n in range(1, most + 1)]
    text = "max_in_flight(n) is not a number that grows with n"
    require(bounds == sorted(bounds) and bounds[0] >= 0, "demand", text, bounds=bounds)


async def _refuse_less_than_one(subscription: Subscription[Any]) -> None:
    for n in (0, -1):
        try:
            await subscription.request(n)
        except ValueError:
            continue
        except Exception as error:  # noqa: BLE001  whatever else it is, it is not what was promised
            require(holds=False, law="demand", message=f"request({n}) raised {error!r} instead of ValueError")
        require(holds=False, law="demand", message=f"request({n}) did not raise ValueError")


async def _takes_any_demand(subject: Subject) -> None:
    """Request as much as the specification of Reactive Streams allows for (its rule 3.17)."""
    async with open_run(subject.start().flow) as subscription:
        outcome = await collect(subscription, (_MOST,), patience=subject.patience)
    refused = isinstance(outcome.error, OverflowError | ValueError | MemoryError)
    require(not refused, "demand", f"request({_MOST}) raised {outcome.error!r}")


async def _gives_fresh_lists(subject: Subject, schedule: Sequence[int]) -> None:
    lists: list[list[Any]] = []
    copies: list[list[Any]] = []
    async with open_run(subject.start().flow) as subscription:
        with suppress(Exception, TimeoutError):
            async with asyncio.timeout(subject.patience):
                for n in cycle(schedule):
                    lists.append(await subscription.request(n))
                    copies.append(list(lists[-1]))
                    if not lists[-1]:
                        break
    text = "a request returned a list that an earlier one had returned"
    require(len({id(one) for one in lists}) == len(lists), "demand", text)
    require(
        all(isinstance(one, list) for one in lists), "demand", "a request returned something else than a list"
    )
    require(
        lists == copies, "demand", "a list that was returned changed afterwards", was=copies, became=lists
    )


def promptness(subject: Subject, *, n: int = 10) -> None:
    """Law 2: an item that is ready is delivered, however many were asked for.

    Every input in turn stalls after each of its items, and the rest of the inputs from the start; what
    arrives must be all that arrives when items are asked for one at a time, and no later.
    """

    async def main() -> None:
        for index, at in subject.places():
            if not isinstance(subject.inputs[index], str):
                await _prompt_at(subject, index, at, n)

    judge("promptness", main, n=n, subject=subject)


async def _prompt_at(subject: Subject, index: int, at: int, n: int) -> None:
    scripts: list[Sequence[Any]] = [(Forever(),)] * len(subject.inputs)
    scripts[index] = [*(part for item in subject.inputs[index][:at] for part in (Sleep(1), item)), Forever()]
    stalled = subject.fed(*scripts, pace=())
    one, many = await reference(stalled), await reference(stalled, (n,))
    where = {"stalled_after": at, "input": index}
    foretold = stalled.foretold()
    ready = len(foretold) if foretold is not None else len(one.items)
    for outcome, asked in ((one, 1), (many, n)):
        text = f"request({asked}) kept back items that were ready"
        require(len(outcome.items) >= ready, "promptness", text, ready=ready, came=outcome.items, **where)
        if subject.instant:
            late = [moment for moment in outcome.times if moment > at or moment % 1]
            text = f"request({asked}) delivered items later than their inputs were handed over"
            require(not late, "promptness", text, times=outcome.times, **where)
    late_by_n = [(a, b) for a, b in zip(one.times, many.times, strict=False) if b > a]
    text = f"request({n}) delivered items later than request(1) did"
    require(not late_by_n, "promptness", text, one=one.times, many=many.times, **where)


def ending(subject: Subject, *, schedule: Sequence[int] = (2,)) -> None:
    """Law 3: the empty list means completed and only that, and every end answers the same for ever.

    The flow is run to its end and asked again; then it is failed before each item and at the end of
    each input, and asked again: the same exception object, annotated once, its traceback not growing.
    """

    async def main() -> None:
        slow = subject.fed(*subject.inputs, pace=(Sleep(1), None, Sleep(2)))
        for variant in (subject, slow):  # the items of a timed flow may differ with the pace
            await _completes_once(variant, schedule, len(await expected(variant)))
        for index, at in subject.places():
            await _fails_once(subject.ending(index, at, Raise()), schedule)

    judge("ending", main, schedule=schedule, subject=subject)


async def _completes_once(subject: Subject, schedule: Sequence[int], wanted: int) -> None:
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        outcome = await collect(subscription, schedule, patience=subject.patience)
        if outcome.stalled:
            return
        if outcome.error is not None:
            await _answers_again(subscription, outcome.error)
            return
        if trial.flow.order != "lossy":
            text = f"the empty list came after {len(outcome.items)} of {wanted} items"
            require(len(outcome.items) == wanted, "ending", text, came=outcome.items)
        for n in (1, 5, 1):
            await asyncio.sleep(_LONG)
            later = await subscription.request(n)
            require(later == [], "ending", "items came after the empty list", came=later)


async def _fails_once(subject: Subject, schedule: Sequence[int]) -> None:
    async with open_run(subject.start().flow) as subscription:
        outcome = await collect(subscription, schedule, patience=subject.patience)
        if outcome.error is not None:
            await _answers_again(subscription, outcome.error)


async def _answers_again(subscription: Subscription[Any], error: BaseException) -> None:
    sizes: list[tuple[int, int]] = []
    for n in (1, 4, 1, 2):
        for _ in range(_TURNS_TO_LOOK):
            await asyncio.sleep(0)
        try:
            answer = await subscription.request(n)
        except Exception as again:  # noqa: BLE001  compared by identity
            require(again is error, "ending", f"after {error!r} a request raised {again!r}")
        else:
            require(holds=False, law="ending", message=f"after {error!r} a request answered {answer!r}")
        sizes.append((len(getattr(error, "__notes__", ())), len(traceback.extract_tb(error.__traceback__))))
    text = "the stored error grows with each request (notes, traceback entries)"
    require(len(set(sizes)) == 1, "ending", text, sizes=sizes)
