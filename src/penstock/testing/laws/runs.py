"""Reads subscriptions to their end, and compares the items that came with the items that were wanted."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING, Any

from penstock.errors import ConcurrentRequestError
from penstock.runtime.order import traits
from penstock.testing.laws.subject import LawViolation, require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from penstock.abc import Position, Subscription
    from penstock.testing.laws.subject import AnyFlow, Subject

_MOST_REQUESTS = 100_000

_PROMISES = {
    "prefix": "items produced before a failure should be delivered before it",
    "chunk_invariance": "the items should not depend on the sizes of requests",
    "serial": "a refused second request should not change the items",
    "cancel_safe": "a cancelled request should lose and repeat nothing",
    "cold": "each subscription should start afresh",
    "position": "a run from a position should lose and repeat nothing",
}
"""The first words of a message about the wrong items, by law."""


@dataclass(slots=True)
class Outcome:
    """The items of a run, when each came (seconds since the run began), and how the run ended."""

    items: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    completed: bool = False
    stalled: bool = False
    error: BaseException | None = None
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def end(self) -> str:
        """How the run ended, in words."""
        if self.completed:
            return "completed"
        if self.stalled:
            return "waits for ever"
        return f"failed with {self.error!r}" if self.error is not None else "was stopped"

    @property
    def ended(self) -> bool:
        """Whether the run completed, stalled or failed."""
        return self.completed or self.stalled or self.error is not None


@asynccontextmanager
async def open_run(flow: AnyFlow, position: Position | None = None) -> AsyncIterator[Subscription[Any]]:
    """Subscribe, and call ``aclose`` at the end, even if ``__aexit__`` of the subscription is broken."""
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

    Clears each list after reading it, which a flow that keeps using the list does not survive.
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
        except Exception as error:  # noqa: BLE001  an error is one way for a run to end
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


async def outcome_of(
    subject: Subject, schedule: Sequence[int] = (1,), position: Position | None = None
) -> Outcome:
    """Run the subject once on fresh sources, and return the outcome."""
    async with open_run(subject.start().flow, position) as subscription:
        return await collect(subscription, schedule, patience=subject.patience)


async def expected(subject: Subject) -> list[Any]:
    """Return the items wanted before the first fault: by the model, or by a run of one item at a time."""
    foretold = subject.foretold()
    return foretold if foretold is not None else (await outcome_of(subject)).items


async def alone(subject: Subject) -> list[list[Any]]:
    """Return, for each input, the items that come when all other inputs are empty.

    Returns nothing for a subject with one input, or one that does not keep the order of its inputs.
    """
    if not subject.keeps_order or len(subject.inputs) == 1:
        return []
    return [(await outcome_of(subject.with_only(*pair))).items for pair in enumerate(subject.inputs)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The items of an undisturbed run, and for an interleaved flow those of each input ``alone``."""

    items: list[Any]
    alone: list[list[Any]]


async def wanted_of(subject: Subject) -> Wanted:
    """Return what disturbed runs of the subject are compared with; many of them can share it."""
    apart = await alone(subject) if subject.start().flow.order == "interleaved" else []
    return Wanted(await expected(subject), apart)


async def compare(
    law: str, subject: Subject, order: str, wanted: list[Any], came: list[Any], **replay: Any
) -> None:
    """Require that ``came`` is ``wanted``, as strictly as ``order`` allows."""
    apart = await alone(subject) if order == "interleaved" else []
    compare_items(law, subject, order, wanted, came, alone=apart, **replay)


def compare_items(
    law: str,
    subject: Subject,
    order: str,
    wanted: list[Any],
    came: list[Any],
    *,
    alone: list[list[Any]],
    note: str = "",
    **replay: Any,
) -> None:
    """Do the same, when the items of each input ``alone`` are known; ``note`` is added to the message."""
    wanted, came, promise = _parts(subject, wanted), _parts(subject, came), _PROMISES[law]
    seen = {"wanted": wanted, "came": came, **replay}
    if order == "interleaved and lossy":
        _, extra = multiset_difference(wanted, came)
        require(not extra, law, f"{promise}; {extra!r} are too many{note}", **seen)
    elif order == "lossy":
        kept = _is_subsequence(came, wanted)
        text = f"{promise}; the items are not some of those wanted, in their order{note}"
        require(kept, law, text, **seen)
    elif "interleaved" not in traits(order):
        require(wanted == came, law, f"{promise}; {_difference(wanted, came)}{note}", **seen)
    else:
        missing, extra = multiset_difference(wanted, came)
        text = f"{promise}; {missing!r} are missing, and {extra!r} are too many{note}"
        require(not missing and not extra, law, text, **seen)
        for index, items in enumerate(alone):
            text = f"{promise}; the items of input {index} are not in their order{note}"
            part = _parts(subject, items)
            require(_is_subsequence(part, came), law, text, **{**seen, "wanted": part})


def _parts(subject: Subject, items: Iterable[Any]) -> list[Any]:
    return [subject.same(item) for item in items]


_NOTHING = object()


def _difference(wanted: list[Any], came: list[Any]) -> str:
    for index, (left, right) in enumerate(zip_longest(wanted, came, fillvalue=_NOTHING)):
        if right is _NOTHING:
            return f"item {index} is missing: {left!r}"
        if left is _NOTHING:
            return f"item {index} is one too many: {right!r}"
        if left != right:
            return f"item {index} is {right!r} instead of {left!r}"
    return "equal"


def _is_subsequence(part: Iterable[Any], whole: Iterable[Any]) -> bool:
    """Whether ``whole`` becomes ``part`` by leaving items out."""
    rest = iter(whole)
    return all(any(item == other for other in rest) for item in part)


def multiset_difference(wanted: Iterable[Any], came: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return the missing and the extra items; items need only be comparable for equality."""
    missing, extra = [], list(came)
    for item in wanted:
        try:
            extra.remove(item)
        except ValueError:
            missing.append(item)
    return missing, extra


def intrude(subscription: Subscription[Any]) -> None:
    """Request while another request is pending; the second one must be refused.

    Runs the first step of the request right here, because a task might start too late.
    """
    intruder: Any = subscription.request(1)  # a coroutine, declared as an awaitable
    try:
        intruder.send(None)
    except ConcurrentRequestError:
        return
    except StopIteration as answer:
        came = f"returned {answer.value!r}"
    except Exception as error:  # noqa: BLE001  any other error breaks the promise
        came = f"raised {error!r}"
    else:
        came = "waits"
        intruder.close()
    text = f"a second request while one is pending should raise ConcurrentRequestError at once; it {came}"
    raise LawViolation("serial", text)


async def receive(
    outcome: Outcome,
    pending: asyncio.Task[list[Any]],
    patience: float,
    *,
    struck: Callable[[], bool] = lambda: False,
) -> None:
    """Wait for a pending request, and add its answer to ``outcome``.

    ``struck()`` tells whether the check has cancelled the request.
    """
    done, _ = await asyncio.wait([pending], timeout=patience)
    if not done:
        await stop(pending)
        outcome.stalled = True
    elif pending.cancelled():
        text = "a request raised CancelledError, although nothing had cancelled it"
        require(struck(), "cancel_safe", text)
    elif (error := pending.exception()) is not None:
        outcome.error = error
    else:
        items = pending.result()
        text = "a cancelled request should raise CancelledError; it returned items"
        require(not struck(), "cancel_safe", text, came=items)
        outcome.items += items
        outcome.completed = not items


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; its outcome does not matter."""
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
