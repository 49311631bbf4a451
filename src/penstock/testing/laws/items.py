"""Laws 4 and 5: the items depend neither on the sizes of requests nor on a failure after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.order import Order, traits
from penstock.testing.laws.runs import (
    collect,
    compare,
    expected,
    multiset_difference,
    open_run,
    outcome_of,
)
from penstock.testing.laws.subject import Subject, judge, require
from penstock.testing.script import Forever, Raise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.testing.laws.runs import Outcome


def prefix(subject: Subject, *, schedule: Sequence[int] = (3,), at: tuple[int, int] | None = None) -> None:
    """Law 4: items produced before a failure are delivered before it.

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
    if len(subject.inputs) > 1:
        produced = (await outcome_of(failing)).items
    elif outcome.error is None:
        produced = await expected(failing)
    else:  # items that come when the source stalls at this place were produced before it
        produced = await expected(subject.ending(index, at, Forever()))
    if "interleaved" in traits(order) and len(subject.inputs) == 1:
        await compare("prefix", failing, order, produced, outcome.items, at=(index, at))
        return
    await _compare(failing, order, produced, outcome, await expected(subject), (index, at))


async def _item_fails(subject: Subject, schedule: Sequence[int], index: int, at: int) -> None:
    poisoned = subject.poisoned(index, at)
    if poisoned is None:
        return
    outcome, order = await _run(poisoned, schedule)
    whole = await expected(subject)
    await _compare(poisoned, order, await expected(poisoned), outcome, whole, (index, at))


async def _run(subject: Subject, schedule: Sequence[int]) -> tuple[Outcome, str]:
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        return await collect(subscription, schedule, patience=subject.patience), trial.flow.order


async def _compare(
    subject: Subject,
    order: str,
    produced: list[Any],
    outcome: Outcome,
    whole: list[Any],
    at: tuple[int, int],
) -> None:
    """Compare; ``whole`` are the items of the subject without a fault."""
    if "interleaved" not in traits(order):
        await compare("prefix", subject, order, produced, outcome.items, at=at, ended=outcome.end)
        return
    # only the items of the failing input are certain: those of other inputs depend on timing
    if outcome.error is None or len(subject.inputs) == 1:
        return
    index, _ = at
    only = subject.with_only(index, subject.inputs[index])
    own = [subject.same(item) for item in (await outcome_of(only)).items]
    changed, _ = multiset_difference(own, map(subject.same, whole))
    if changed:  # as with concat | enumerate: items of one input depend on those of others before them
        return
    missing, _ = multiset_difference(own, map(subject.same, outcome.items))
    text = f"items of input {index} from before its failure should be delivered; lost {missing!r}"
    require(not missing, "prefix", text, came=outcome.items, at=at, ended=outcome.end)


def chunk_invariance(subject: Subject, *, schedule: Sequence[int] = (2, 1, 5)) -> None:
    """Law 5: the items do not depend on the schedule of requests, as strictly as ``flow.order`` says."""

    async def main() -> None:
        wanted = await expected(subject)
        one = await outcome_of(subject)
        outcome, order = await _run(subject, schedule)
        text = f"flow.order should be one of {', '.join(Order)}; it is {order!r}"
        require(order in list(Order), "chunk_invariance", text)
        for came in (one, outcome):
            await compare("chunk_invariance", subject, order, wanted, came.items)
        text = (
            "the end should not depend on the sizes of requests; "
            f"by the schedule the run {outcome.end}, one item at a time it {one.end}"
        )
        same_end = (one.completed, one.stalled) == (outcome.completed, outcome.stalled)
        require(same_end, "chunk_invariance", text)

    judge("chunk_invariance", main, schedule=schedule, subject=subject)
