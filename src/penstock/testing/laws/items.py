"""Laws 4 and 5: the items do not depend on how they are asked for, nor on what fails behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.testing.laws.runs import (
    collect,
    compare,
    expected,
    multiset_difference,
    open_run,
    reference,
    require,
)
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.script import Forever, Poison, Raise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.testing.laws.runs import Outcome

__all__ = ["chunk_invariance", "prefix"]


def prefix(subject: Subject, *, schedule: Sequence[int] = (3,), at: tuple[int, int] | None = None) -> None:
    """Law 4: what was produced before a failure is delivered before it.

    Fails the source, and poisons the item, at one place (``at``: input and index) or at every place.
    """

    async def main() -> None:
        for place in subject.places() if at is None else [at]:
            await _source_fails(subject, schedule, *place)
            await _item_fails(subject, schedule, *place)

    judge("prefix", main, schedule=schedule, at=at, subject=subject)


async def _source_fails(subject: Subject, schedule: Sequence[int], index: int, at: int) -> None:
    failing = subject.ending(index, at, Raise())
    outcome, order = await _run(failing, schedule)
    if len(subject.inputs) == 1:  # what is delivered when the source stalls there was produced before
        stalled = subject.ending(index, at, Forever())
        foretold = stalled.foretold()
        before = foretold if foretold is not None else (await reference(stalled)).items
        produced = before if outcome.error is not None else await expected(failing)
    else:
        produced = (await reference(failing)).items
    if order == "interleaved" and len(subject.inputs) == 1:
        await compare("prefix", failing, order, produced, outcome.items, failed_at=(index, at))
        return
    await _hold_against(failing, order, produced, outcome, await expected(subject), failed_at=(index, at))


async def _item_fails(subject: Subject, schedule: Sequence[int], index: int, at: int) -> None:
    script = subject.inputs[index]
    if at >= len(script) or type(script[at]) is not int:
        return
    poisoned = subject.cut_input(index, at, [Poison(script[at]), *script[at + 1 :]])
    outcome, order = await _run(poisoned, schedule)
    whole = await expected(subject)
    await _hold_against(poisoned, order, await expected(poisoned), outcome, whole, poisoned=(index, at))


async def _run(subject: Subject, schedule: Sequence[int]) -> tuple[Outcome, str]:
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        return await collect(subscription, schedule, patience=subject.patience), trial.flow.order


async def _hold_against(
    subject: Subject,
    order: str,
    produced: list[Any],
    outcome: Outcome,
    whole: list[Any],
    **where: tuple[int, int],
) -> None:
    """Compare; ``whole`` is what the subject gives without a fault."""
    if order != "interleaved":
        await compare("prefix", subject, order, produced, outcome.items, **where)
        return
    # what other inputs gave before the failure depends on timing; what the failing one gave does not
    if outcome.error is None or len(subject.inputs) == 1:
        return
    index, _ = next(iter(where.values()))
    others: list[Sequence[Any]] = [()] * len(subject.inputs)
    others[index] = subject.inputs[index]
    own = [subject.same(item) for item in (await reference(subject.fed(*others))).items]
    changed, _ = multiset_difference(own, [subject.same(item) for item in whole])
    if changed:  # as behind concat | enumerate: what an input gives depends on what others gave before it
        return
    missing, _ = multiset_difference(own, [subject.same(item) for item in outcome.items])
    text = f"lost what input {index} gave before it failed: {missing!r}"
    require(not missing, "prefix", text, came=outcome.items, **where)


def chunk_invariance(subject: Subject, *, schedule: Sequence[int] = (2, 1, 5)) -> None:
    """Law 5: the items do not depend on the schedule of requests, as strictly as ``flow.order`` says."""

    async def main() -> None:
        wanted = await expected(subject)
        one = await reference(subject)
        outcome, order = await _run(subject, schedule)
        known = order in {"exact", "interleaved", "timed", "lossy"}
        require(known, "chunk_invariance", f"flow.order is {order!r}, which is no order")
        for came in (one, outcome):
            await compare("chunk_invariance", subject, order, wanted, came.items)
        text = f"by the schedule the run {outcome.end}, one at a time it {one.end}"
        same_end = (one.completed, one.stalled) == (outcome.completed, outcome.stalled)
        require(same_end, "chunk_invariance", text)

    judge("chunk_invariance", main, schedule=schedule, subject=subject)
