"""Laws 1 to 3: how many items a request returns, when it returns, and how a run ends."""

from __future__ import annotations

import asyncio
import traceback
from bisect import bisect_right
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.runtime.order import traits
from penstock.testing.laws.runs import Outcome, collect, expected, open_run, outcome_of
from penstock.testing.laws.subject import LawViolation, Subject, judge, require
from penstock.testing.script import Forever, Raise, Sleep, items_of
from penstock.testing.time import turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Subscription
    from penstock.testing.laws.subject import Trial

_LONG = 1_000.0
_TURNS_TO_LOOK = 10
_MOST = 2**63 - 1


def demand(subject: Subject, *, schedule: Sequence[int] = (1, 3, 2, 7)) -> None:
    """Law 1: at most n items per request, fresh lists, n >= 1, and never more than M(n) in flight.

    *In flight* are source items that were handed over, not dropped, and not yet accounted for by
    delivered outputs. To learn which inputs have outputs, the check first feeds them one by one.
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
                subscription,
                schedule,
                into=watch.outcome,
                patience=subject.patience,
                before=watch.asked.append,
            )
            await _refuse_less_than_one(subscription)
        for n, came in zip(watch.asked, watch.outcome.batches, strict=False):
            require(came <= n, "demand", f"request({n}) should return at most {n} items; it returned {came}")
        require(not watch.found, "demand", "".join(watch.found[:1]))
        await _returns_fresh_lists(subject, schedule)
        await _takes_any_demand(subject)

    judge("demand", main, schedule=schedule, subject=subject)


class _Watch:
    """Checks the bound M(n) whenever a source hands over an item."""

    def __init__(self, accounts: list[list[int]]) -> None:
        self.accounts = accounts
        self.trial: Trial | None = None
        self.subscription: Subscription[Any] | None = None
        self.outcome = Outcome()
        self.asked: list[int] = []
        self.found: list[str] = []

    def dropped(self) -> int:
        """Return how many items the run reports as dropped: these are no longer in flight."""
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
                f"at most max_in_flight({n}) = {bound} items should be in flight; {flying} were: sources had "
                f"handed over {trial.handed} items when {len(self.outcome.items)} outputs were delivered"
            )


async def _account(subject: Subject, index: int) -> list[int]:
    """Return, for each number of inputs of one source, how many outputs come without any more inputs.

    The list is as long as the inputs that matter: inputs after the end of the flow are not in it.
    """
    outcome = Outcome()
    counts: list[int] = []
    items = items_of(subject.inputs[index])
    script = [*(part for item in items for part in (Sleep(_LONG), item)), Sleep(_LONG), Forever()]
    paced = subject.with_only(index, script, pace=(), patience=_LONG * (len(items) + 2))

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

    With several inputs it is unknown which output came from which; the most lenient share counts.
    """
    least = [0] * (delivered + 1)  # by number of outputs attributed so far
    for counts, count in zip(accounts, handed, strict=True):
        # after the end of one of several inputs, items that it still handed over were dropped with it
        used = min(count, len(counts) - 1) if len(accounts) > 1 else count
        flying = [_flying(counts, used, k, folds=folds) for k in range(delivered + 1)]
        least = [min(least[k - j] + flying[j] for j in range(k + 1)) for k in range(delivered + 1)]
    return least[delivered]


def _flying(counts: list[int], handed: int, delivered: int, *, folds: bool) -> int:
    """Return how many of the ``handed`` inputs of one source are in flight after ``delivered`` outputs."""
    settled = max(bisect_right(counts, delivered) - 1, 0)
    waiting = range(settled, handed)
    return sum(1 for i in waiting if folds or i + 1 >= len(counts) or counts[i + 1] > counts[i])


def _check_bounds(trial: Trial, most: int) -> None:
    bounds = [trial.flow.max_in_flight(n) for n in range(1, most + 1)]
    text = "max_in_flight(n) should be at least 0 and never fall as n grows"
    require(bounds == sorted(bounds) and bounds[0] >= 0, "demand", text, bounds=bounds)


async def _refuse_less_than_one(subscription: Subscription[Any]) -> None:
    for n in (0, -1):
        try:
            answer = await subscription.request(n)
        except ValueError:
            continue
        except Exception as error:  # noqa: BLE001  any other error breaks the promise
            came = f"raised {error!r}"
        else:
            came = f"returned {answer!r}"
        raise LawViolation("demand", f"request({n}) should raise ValueError; it {came}")


async def _takes_any_demand(subject: Subject) -> None:
    """Request the largest demand of Reactive Streams (its rule 3.17)."""
    error = (await outcome_of(subject, (_MOST,))).error
    refused = isinstance(error, OverflowError | ValueError | MemoryError)
    text = f"request({_MOST}) should work, however large the number is; it raised {error!r}"
    require(not refused, "demand", text)


async def _returns_fresh_lists(subject: Subject, schedule: Sequence[int]) -> None:
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
    text = "each request should return a new list; one returned the list of an earlier request"
    require(len({id(one) for one in lists}) == len(lists), "demand", text)
    kinds = sorted({type(one).__name__ for one in lists})
    require(kinds in ([], ["list"]), "demand", f"a request should return a list; it returned {kinds}")
    text = "a returned list should not change afterwards"
    require(lists == copies, "demand", text, was=copies, became=lists)


def promptness(subject: Subject, *, n: int = 10) -> None:
    """Law 2: a request delivers an item as soon as it is ready, however many items were requested.

    Each input in turn stalls after each of its items, and the other inputs stall from the start. The
    items that arrive must be those that arrive when items are requested one at a time, and no later.
    """

    async def main() -> None:
        for index, at in subject.places():
            if not isinstance(subject.inputs[index], str):
                await _prompt_at(subject, index, at, n)

    judge("promptness", main, n=n, subject=subject)


async def _prompt_at(subject: Subject, index: int, at: int, n: int) -> None:
    script = [*(part for item in subject.inputs[index][:at] for part in (Sleep(1), item)), Forever()]
    stalled = subject.with_only(index, script, (Forever(),), pace=())
    one, many = await outcome_of(stalled), await outcome_of(stalled, (n,))
    where = {"stalled_after": at, "input": index}
    foretold = stalled.foretold()
    ready = len(foretold) if foretold is not None else len(one.items)
    for outcome, asked in ((one, 1), (many, n)):
        came = len(outcome.items)
        text = f"request({asked}) should return items when they are ready; {came} of {ready} ready ones came"
        require(came >= ready, "promptness", text, came=outcome.items, **where)
        if subject.instant:
            late = [moment for moment in outcome.times if moment > at or moment % 1]
            text = (
                f"request({asked}) should return items at the moment of their inputs; it returned them later "
                "(leave out instant=True if the flow takes time)"
            )
            require(not late, "promptness", text, times=outcome.times, **where)
    late_by_n = [(a, b) for a, b in zip(one.times, many.times, strict=False) if b > a]
    text = f"request({n}) should not wait to fill {n}; it delivered items later than request(1)"
    require(not late_by_n, "promptness", text, one=one.times, many=many.times, **where)


def ending(subject: Subject, *, schedule: Sequence[int] = (2,)) -> None:
    """Law 3: the empty list means completed and only that, and every end repeats for ever.

    Runs the flow to its end and requests again. Then fails the source before each item and at the end
    of each input, and requests again: this must raise the same exception object, annotated once, with a
    traceback that does not grow.
    """

    async def main() -> None:
        slow = subject.fed(*subject.inputs, pace=(Sleep(1), None, Sleep(2)))
        for variant in (subject, slow):  # the items of a timed flow may differ with the pace
            await _ends_once(variant, schedule, len(await expected(variant)))
        for index, at in subject.places():
            await _ends_once(subject.ending(index, at, Raise()), schedule, None)

    judge("ending", main, schedule=schedule, subject=subject)


async def _ends_once(subject: Subject, schedule: Sequence[int], wanted: int | None) -> None:
    """Run to the end, and request again; ``wanted`` is the number of items if the flow should complete."""
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        outcome = await collect(subscription, schedule, patience=subject.patience)
        if outcome.error is not None:
            await _raises_again(subscription, outcome.error)
        elif outcome.completed and wanted is not None:
            if "lossy" not in traits(trial.flow.order):
                text = f"the empty list came after {len(outcome.items)} of {wanted} items; it means completed"
                require(len(outcome.items) == wanted, "ending", text, came=outcome.items)
            for n in (1, 5, 1):
                await asyncio.sleep(_LONG)
                later = await subscription.request(n)
                require(later == [], "ending", "items came after the empty list", came=later)


async def _raises_again(subscription: Subscription[Any], error: BaseException) -> None:
    sizes: list[tuple[int, int]] = []
    wanted = f"after {error!r} each request should raise that same object"
    for n in (1, 4, 1, 2):
        await turns(_TURNS_TO_LOOK)
        try:
            answer = await subscription.request(n)
        except Exception as again:  # noqa: BLE001  compared by identity
            require(again is error, "ending", f"{wanted}; one raised {again!r}")
        else:
            raise LawViolation("ending", f"{wanted}; one returned {answer!r}")
        sizes.append((len(getattr(error, "__notes__", ())), len(traceback.extract_tb(error.__traceback__))))
    text = "a stored error should stay as it is; it grows with each request (notes, traceback entries)"
    require(len(set(sizes)) == 1, "ending", text, sizes=sizes)
