"""Law 12: the next request, or ``settle()``, acknowledges delivered items; nothing else does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.errors import NotResumable
from penstock.flow import Flow
from penstock.operators.resume.checkpoint import checkpoint
from penstock.runtime.order import traits
from penstock.testing.laws.runs import collect, expected, multiset_difference, open_run, outcome_of
from penstock.testing.laws.subject import LawViolation, Subject, judge, require
from penstock.testing.ledgers import RecordingLedger
from penstock.testing.time import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.abc import Ledger
    from penstock.testing.laws.subject import AnyFlow

    Attach = Callable[[Any, Ledger], AnyFlow]

_COMMIT = 2.0
_LONG = 1_000.0


def settled_by_demand(
    subject: Subject,
    *,
    attach: Attach | None = None,
    schedule: Sequence[int] = (2, 1, 3),
    stops: Sequence[int] | None = None,
) -> None:
    """Law 12: a checkpoint after the flow commits acknowledged items, never items only delivered.

    Args:
        subject: The flow before the checkpoint. If it is not resumable, building the graph must refuse
            the checkpoint.
        attach: Puts a checkpoint with the given ledger after a flow, which commits at every request.
            ``None`` means Penstock's own, and no checkpoint after a flow that is not Penstock's.
        schedule: The sizes of the requests, in turn.
        stops: The numbers of requests after which a run is left, settled or cancelled, in ascending order.
            ``None`` tries every number.
    """

    async def main() -> None:
        await _settles_without_demand(subject)
        flow = subject.start().flow
        if attach is None and not isinstance(flow, Flow):
            return
        put = attach or (lambda flow, ledger: checkpoint(ledger, key="laws")(flow))
        if not flow.resumable:
            _refuses_checkpoint(put, flow)
            return
        wanted = await expected(subject)
        run = _Checkpointed(subject, put, wanted)
        await run.by_demand(schedule)
        for requests in range(1, len(wanted) + 1) if stops is None else stops:
            if requests > len(wanted):
                break
            await run.left_after(schedule, requests)
            await run.settled_after(schedule, requests)
            for after in (1, 2, 5):
                await run.cancelled_after(schedule, requests, after)

    judge("settled_by_demand", main, schedule=schedule, subject=subject)


async def _settles_without_demand(subject: Subject) -> None:
    trial = subject.start()
    text = "settle() should request nothing; {}"
    async with open_run(trial.flow) as subscription:
        await subscription.settle()
        started = text.format("before the first request it started the run")
        require(trial.handed == 0, "settled_by_demand", started)
        await collect(subscription, (1,), requests=1, patience=subject.patience)
        await asyncio.sleep(_LONG)
        before = trial.handed
        await subscription.settle()
        await asyncio.sleep(_LONG)
        asked = text.format("it made the sources hand over more items")
        require(trial.handed == before, "settled_by_demand", asked)


def _refuses_checkpoint(attach: Attach, flow: AnyFlow) -> None:
    try:
        attach(flow, RecordingLedger())
    except NotResumable:
        return
    text = "a checkpoint after a flow that is not resumable should raise NotResumable when the graph is built"
    raise LawViolation("settled_by_demand", text)


class _Checkpointed:
    """Runs of the subject with a checkpoint after it, and the commits in their ledgers."""

    def __init__(self, subject: Subject, attach: Attach, wanted: list[Any]) -> None:
        self.subject = subject
        self.attach = attach
        self.wanted = wanted
        # one that is lossy may drop any item, also the second time
        self.lossy = "lossy" in traits(subject.start().flow.order)

    def start(self) -> tuple[AnyFlow, RecordingLedger]:
        ledger = RecordingLedger(seconds=_COMMIT)
        return self.attach(self.subject.start().flow, ledger), ledger

    async def check(self, ledger: RecordingLedger, acknowledged: list[Any], when: str) -> None:
        """Crash now: the next run must yield every item that was not acknowledged, and no other."""
        same = self.subject.same
        rest = (await outcome_of(self.subject, (3,), ledger.position)).items
        extra, due = multiset_difference(map(same, acknowledged), map(same, self.wanted))
        require(not extra, "settled_by_demand", f"{when}: items came that were not wanted: {extra!r}")
        lost, again = multiset_difference(due, map(same, rest))
        replay = {"acknowledged": acknowledged, "rest": rest, "position": ledger.position}
        text = f"{when}: committed items that were not acknowledged; a crash would lose {lost!r}"
        require(not lost or self.lossy, "settled_by_demand", text, **replay)
        text = f"{when}: did not commit items that were acknowledged; {again!r} would come again"
        require(not again, "settled_by_demand", text, **replay)

    async def by_demand(self, schedule: Sequence[int]) -> None:
        flow, ledger = self.start()
        delivered: list[Any] = []
        async with open_run(flow) as subscription:
            for n in cycle(schedule):
                acknowledged = list(delivered)
                outcome = await collect(subscription, (n,), requests=1, patience=self.subject.patience)
                await self.check(ledger, acknowledged, "after a request returned")
                delivered += outcome.items
                if not outcome.items:
                    break

    async def left_after(self, schedule: Sequence[int], requests: int) -> None:
        """Close before the last list was acknowledged: it must come again."""
        flow, ledger = self.start()
        async with open_run(flow) as subscription:
            before = await collect(subscription, schedule, requests=requests, patience=self.subject.patience)
            last = before.batches[-1] if before.batches and not before.completed else 0
        await self.check(ledger, before.items[: len(before.items) - last], "after aclose")

    async def settled_after(self, schedule: Sequence[int], requests: int) -> None:
        """Call ``settle`` and crash: nothing may come again."""
        flow, ledger = self.start()
        async with open_run(flow) as subscription:
            before = await collect(subscription, schedule, requests=requests, patience=self.subject.patience)
            if before.error is not None:
                return
            await subscription.settle()
            await self.check(ledger, before.items, "after settle()")

    async def cancelled_after(self, schedule: Sequence[int], requests: int, after: int) -> None:
        """Cancel the request that acknowledges: it must be committed, at the latest by ``aclose``."""
        flow, ledger = self.start()
        async with open_run(flow) as subscription:
            before = await collect(subscription, schedule, requests=requests, patience=self.subject.patience)
            if before.ended:
                return
            task = asyncio.create_task(subscription.request(1))
            await turns(after)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if not task.cancelled():
                return
        await self.check(ledger, before.items, "after a cancelled request and aclose")
