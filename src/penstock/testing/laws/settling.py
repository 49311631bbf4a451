"""Law 12: asking for more, or ``settle()``, acknowledges what came before, and nothing else does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.errors import NotResumable
from penstock.flow import Flow
from penstock.operators.resume.checkpoint import checkpoint
from penstock.testing.laws.runs import collect, expected, multiset_difference, open_run, require
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.ledgers import RecordingLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.abc import Ledger
    from penstock.testing.laws.subject import AnyFlow

    Attach = Callable[[Any, Ledger], AnyFlow]

__all__ = ["settled_by_demand"]

_COMMIT = 2.0
_LONG = 1_000.0


def settled_by_demand(
    subject: Subject, *, attach: Attach | None = None, schedule: Sequence[int] = (2, 1, 3)
) -> None:
    """Law 12: a checkpoint behind the flow commits what was acknowledged, never what was only delivered.

    Args:
        subject: The flow in front of the checkpoint. If it is not resumable, it is checked that the
            checkpoint is refused when the graph is built; if it is not exact, only that nothing is lost.
        attach: Puts a checkpoint with the given ledger behind a flow (committing at every request);
            Penstock's own unless given, and none behind a flow that is not one of Penstock's.
        schedule: What is requested, in turn.
    """

    async def main() -> None:
        await _settles_without_demand(subject)
        flow = subject.start().flow
        put = attach or (_checkpointed if isinstance(flow, Flow) else None)
        if put is None:
            return
        if not flow.resumable:
            _refuses_checkpoint(put, flow)
            return
        wanted = await expected(subject)
        run = _Checkpointed(subject, put, wanted)
        await run.by_demand(schedule)
        for requests in range(1, len(wanted) + 1):
            await run.left_after(schedule, requests)
            await run.settled_after(schedule, requests)
            for turns in (1, 2, 5):
                await run.cancelled_after(schedule, requests, turns)

    judge("settled_by_demand", main, schedule=schedule, subject=subject)


async def _settles_without_demand(subject: Subject) -> None:
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        await subscription.settle()
        require(trial.handed == 0, "settled_by_demand", "settle() before the first request started the run")
        await collect(subscription, (1,), requests=1, patience=subject.patience)
        await asyncio.sleep(_LONG)
        before = trial.handed
        await subscription.settle()
        await asyncio.sleep(_LONG)
        require(trial.handed == before, "settled_by_demand", "settle() asked the sources for more")


def _checkpointed(flow: Any, ledger: Ledger) -> AnyFlow:
    return checkpoint(ledger, key="laws")(flow)


def _refuses_checkpoint(attach: Attach, flow: AnyFlow) -> None:
    try:
        attach(flow, RecordingLedger())
    except NotResumable:
        return
    message = "the flow is not resumable, but a checkpoint behind it was not refused when the graph was built"
    require(holds=False, law="settled_by_demand", message=message)


class _Checkpointed:
    """Runs of the subject with a checkpoint behind it, and what their ledgers say."""

    def __init__(self, subject: Subject, attach: Attach, wanted: list[Any]) -> None:
        self.subject = subject
        self.attach = attach
        self.wanted = wanted

    def start(self) -> tuple[AnyFlow, RecordingLedger]:
        ledger = RecordingLedger(seconds=_COMMIT)
        return self.attach(self.subject.start().flow, ledger), ledger

    async def rest(self, ledger: RecordingLedger) -> list[Any]:
        """Return what a crash right now would leave for the next run."""
        async with open_run(self.subject.start().flow, ledger.position) as subscription:
            return (await collect(subscription, (3,), patience=self.subject.patience)).items

    async def hold(
        self, ledger: RecordingLedger, acknowledged: list[Any], when: str, *, all_of_it: bool
    ) -> None:
        """Everything but what was acknowledged must still come; if ``all_of_it``, nothing else may."""
        same = self.subject.same
        rest = [same(item) for item in await self.rest(ledger)]
        owed, _ = multiset_difference([same(x) for x in acknowledged], [same(x) for x in self.wanted])
        require(not owed, "settled_by_demand", f"{when}: items came that nobody expected: {owed!r}")
        _, due = multiset_difference([same(x) for x in acknowledged], [same(x) for x in self.wanted])
        lost, again = multiset_difference(due, rest)
        replay = {"acknowledged": acknowledged, "rest": rest, "position": ledger.position}
        text = f"{when}: committed what was not acknowledged, a crash would lose {lost!r}"
        lossy = self.subject.start().flow.order == "lossy"  # it may drop anything at any time, also again
        require(not lost or lossy, "settled_by_demand", text, **replay)
        if all_of_it and self.subject.start().flow.exact:
            text = f"{when}: what was acknowledged was not committed, {again!r} would come again"
            require(not again, "settled_by_demand", text, **replay)

    async def by_demand(self, schedule: Sequence[int]) -> None:
        flow, ledger = self.start()
        delivered: list[Any] = []
        async with open_run(flow) as subscription:
            for n in cycle(schedule):
                acknowledged = list(delivered)
                outcome = await collect(subscription, (n,), requests=1, patience=self.subject.patience)
                await self.hold(ledger, acknowledged, "after a request returned", all_of_it=True)
                delivered += outcome.items
                if not outcome.items:
                    break

    async def left_after(self, schedule: Sequence[int], requests: int) -> None:
        """Close behind a list that nobody acknowledged: it must come again."""
        flow, ledger = self.start()
        async with open_run(flow) as subscription:
            before = await collect(subscription, schedule, requests=requests, patience=self.subject.patience)
            last = before.batches[-1] if before.batches and not before.completed else 0
        acknowledged = before.items[: len(before.items) - last]
        await self.hold(ledger, acknowledged, "after aclose", all_of_it=True)

    async def settled_after(self, schedule: Sequence[int], requests: int) -> None:
        """Call ``settle`` and crash: nothing may come again."""
        flow, ledger = self.start()
        async with open_run(flow) as subscription:
            before = await collect(subscription, schedule, requests=requests, patience=self.subject.patience)
            if before.error is not None:
                return
            await subscription.settle()
            await self.hold(ledger, before.items, "after settle()", all_of_it=True)

    async def cancelled_after(self, schedule: Sequence[int], requests: int, turns: int) -> None:
        """Cancel the request that acknowledges: it still does, at the latest when the run is closed."""
        flow, ledger = self.start()
        async with open_run(flow) as subscription:
            before = await collect(subscription, schedule, requests=requests, patience=self.subject.patience)
            if before.end != "was stopped":
                return
            task = asyncio.create_task(subscription.request(1))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if not task.cancelled():
                return
        await self.hold(ledger, before.items, "after a cancelled request and aclose", all_of_it=True)
