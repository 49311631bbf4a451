"""Driving a subscription to its end, and comparing what came with what should have come."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING, Any

from penstock.testing.laws.subject import LawViolation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from penstock.abc import Position, Subscription
    from penstock.testing.laws.subject import AnyFlow, Subject

__all__ = [
    "Outcome",
    "alone",
    "collect",
    "compare",
    "expected",
    "is_subsequence",
    "multiset_difference",
    "open_run",
    "reference",
    "require",
]

_MOST_REQUESTS = 100_000


@dataclass(slots=True)
class Outcome:
    """What came out of a run: the items, when each came (seconds since it began), and how it ended."""

    items: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    completed: bool = False
    stalled: bool = False
    error: BaseException | None = None
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if self.completed:
            return "completed"
        if self.stalled:
            return "waits for ever"
        return f"failed with {self.error!r}" if self.error is not None else "was stopped"


@asynccontextmanager
async def open_run(flow: AnyFlow, position: Position | None = None) -> AsyncIterator[Subscription[Any]]:
    """Subscribe, and close at the end even if closing is what is broken elsewhere."""
    subscription = flow.subscribe() if position is None else flow.subscribe(position)
    try:
        yield subscription
    finally:
        await subscription.aclose()


async def collect(
    subscription: Subscription[Any],
    schedule: Iterable[int],
    *,
    into: Outcome | None = None,
    patience: float = 1e6,
    requests: int = _MOST_REQUESTS,
    before: Callable[[int], None] | None = None,
) -> Outcome:
    """Request by ``schedule``, over and over, until the end, an error, a stall, or ``requests`` requests.

    Every list is emptied after it was read: a flow that keeps using it breaks the promise of a fresh one.
    """
    outcome = into if into is not None else Outcome()
    loop = asyncio.get_running_loop()
    for _, n in zip(range(requests), cycle(schedule)):
        if before is not None:
            before(n)
        try:
            async with asyncio.timeout(patience):
                batch = await subscription.request(n)
        except TimeoutError:
            outcome.stalled = True
            return outcome
        except Exception as error:  # noqa: BLE001  it is what the run came to
            outcome.error = error
            return outcome
        if not batch:
            outcome.completed = True
            return outcome
        outcome.items += batch
        outcome.batches.append(len(batch))
        outcome.times += [loop.time() - outcome.began] * len(batch)
        batch.clear()
    return outcome


async def reference(subject: Subject, schedule: Sequence[int] = (1,)) -> Outcome:
    """Return what a fresh run of the subject gives, asked for one item at a time."""
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        return await collect(subscription, schedule, patience=subject.patience)


async def expected(subject: Subject) -> list[Any]:
    """Return what should come out, up to the first fault: by the model, or by the reference run."""
    foretold = subject.foretold()
    return foretold if foretold is not None else (await reference(subject)).items


async def alone(subject: Subject) -> list[list[Any]]:
    """Return what comes out of each input when all others are empty."""
    results = []
    for index, script in enumerate(subject.inputs):
        others: list[Sequence[Any]] = [()] * len(subject.inputs)
        others[index] = script
        results.append((await reference(subject.fed(*others))).items)
    return results


async def compare(
    law: str, subject: Subject, order: str, wanted: list[Any], came: list[Any], **replay: Any
) -> None:
    """Hold what came against what was wanted, as strictly as ``order`` allows."""
    same = subject.same
    wanted, came = [same(item) for item in wanted], [same(item) for item in came]
    if order == "lossy":
        require(
            is_subsequence(came, wanted), law, "this is not a subsequence", wanted=wanted, came=came, **replay
        )
        return
    if order != "interleaved":
        require(wanted == came, law, _difference(wanted, came), wanted=wanted, came=came, **replay)
        return
    missing, extra = multiset_difference(wanted, came)
    text = f"lost {missing!r}, gained {extra!r}"
    require(not missing and not extra, law, text, wanted=wanted, came=came, **replay)
    if subject.keeps_order and len(subject.inputs) > 1:
        for index, items in enumerate(await alone(subject)):
            kept = is_subsequence([same(item) for item in items], came)
            require(kept, law, f"the order of input {index} was not kept", wanted=items, came=came, **replay)


def require(holds: bool, law: str, message: str, **replay: Any) -> None:  # noqa: FBT001  reads like an assertion
    """Raise ``LawViolation`` unless ``holds``."""
    if not holds:
        raise LawViolation(law, message, **replay)


_NOTHING = object()


def _difference(wanted: list[Any], came: list[Any]) -> str:
    for index, (left, right) in enumerate(zip_longest(wanted, came, fillvalue=_NOTHING)):
        if right is _NOTHING:
            return f"item {index} is missing: {left!r}"
        if left is _NOTHING:
            return f"item {index} is one too many: {right!r}"
        if left != right:
            return f"item {index} should be {left!r} and is {right!r}"
    return "equal"


def is_subsequence(part: Sequence[Any], whole: Iterable[Any]) -> bool:
    """Whether ``whole`` becomes ``part`` by leaving items out."""
    rest = iter(whole)
    return all(any(item == other for other in rest) for item in part)


def multiset_difference(wanted: list[Any], came: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return what is missing and what is extra; items need only be comparable for equality."""
    missing, extra = [], list(came)
    for item in wanted:
        try:
            extra.remove(item)
        except ValueError:
            missing.append(item)
    return missing, extra
