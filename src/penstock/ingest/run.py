"""One run of an ingestion: from the source into the sink and the ledger, and its end, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.core.clock import clock_of_the_loop
from penstock.core.drivers import SlowStart
from penstock.core.pumps import closing
from penstock.core.subscription import Running
from penstock.documents.revised_ids import Revised
from penstock.documents.state import EventStageState
from penstock.events import AdapterStateChange, PipelineEvent
from penstock.ingest.delivery import Delivery
from penstock.ingest.grace import CutShort, Patience
from penstock.ingest.summary import RunSummary, Sums

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.abc import Ledger, Opened, Page, Position, Sink
    from penstock.adapters.adapter import Adapter
    from penstock.document import RawRecord
    from penstock.documents.settings import Settings

__all__ = ["Hook", "Ingestion", "Plan"]

Hook = Callable[[Sequence[PipelineEvent]], None]
"""Gets every list of events, in order, before it is acknowledged."""

TURNS_TO_CLOSE = 3
"""Turns of the loop until a generator that nobody holds any more has begun to close."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What all runs of a pipeline have in common; see ``IngestionPipeline`` for each."""

    adapter: Adapter
    settings: Settings
    key: str
    checkpoint_every: int
    skip_completed: bool
    grace: float | None
    restart: bool
    refresh: bool
    hooks: tuple[Hook, ...]


class Ingestion:
    """One run of a plan: what is open, and how far it is.

    Args:
        plan: What to do.
        sink: Where documents go; ``None`` if the consumer of ``chunks`` takes them.
        ledger: What remembers; ``None`` if nothing is to be remembered.
        owned: Whether to close the ledger in the end.
        before: The run of the same plan before this one; it may still be closing.
    """

    def __init__(
        self, plan: Plan, sink: Sink | None, ledger: Ledger | None, *, owned: bool, before: Ingestion | None
    ) -> None:
        self._plan = plan
        self._sink = sink
        self._ledger = ledger
        self._owned = owned
        self._before = before
        self._pipeline_id = uuid4().hex
        self._sums = Sums()
        self._revised = Revised()
        self._bytes_read = 0
        self._began = clock_of_the_loop().monotonic()
        self._number = 1
        self._resumed = False
        self._subscription: Running[PipelineEvent] | None = None
        self._taken: Callable[[], Position] | None = None
        self._patience: Patience | None = None
        self._stopping = False
        self.leaving = False
        """Whether it has begun to close."""
        self.over = asyncio.Event()
        """Set when it has closed, and let go of the ledger."""

    def stop(self) -> None:
        """Take no new input, and give what is in flight its grace period."""
        self._stopping = True
        if self._subscription is not None:
            self._subscription.take_no_more()
        if self._patience is not None:
            self._patience.begin()

    async def chunks(self) -> AsyncGenerator[list[PipelineEvent], None]:
        """Yield lists of events; asking for the next acknowledges the last."""
        async with self._delivering() as delivery:
            position = await self._open(delivery)
            async with self._subscribe(position) as subscription:
                if position:
                    self._sums.go_on_from(position)
                try:
                    async for events in self._pull(subscription, delivery):
                        yield events
                except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                    self.leaving = True
                    await delivery.keep(error, self._reached)
                    raise
                await self._end(subscription, delivery)

    @asynccontextmanager
    async def _delivering(self) -> AsyncGenerator[Delivery, None]:
        """Hold what has to be released in the end."""
        plan = self._plan
        delivery = Delivery(self._sink, self._ledger, plan.key, restart=plan.restart)
        try:
            await self._await_the_one_before()
            yield delivery
        finally:
            self.leaving = True
            try:
                await delivery.aclose()
            finally:
                try:
                    if self._owned and self._ledger is not None:
                        await self._ledger.aclose()
                finally:
                    self.over.set()

    async def _await_the_one_before(self) -> None:
        """A run that its consumer left by ``break`` closes in the background: let it, it holds the ledger."""
        before, self._before = self._before, None
        for _ in range(TURNS_TO_CLOSE):
            if before is None or before.leaving:
                break
            await asyncio.sleep(0)
        if before is not None and before.leaving:
            await before.over.wait()

    async def _open(self, delivery: Delivery) -> Position | None:
        """Return where to begin; ``None`` is the beginning."""
        opened, position = await delivery.open()
        if opened is not None and self._plan.refresh:
            opened, position = await self._from_the_beginning(delivery, opened, position)
        if opened is not None:
            self._number, self._resumed = opened.run, opened.resumed and bool(position)
            await self._recall()
        return position or None

    async def _recall(self) -> None:
        """Find out which documents of earlier runs the interrupted run has taken with another content."""
        if self._ledger is not None and self._resumed and self._number > 1:
            async for doc_ids in self._ledger.revised(self._plan.key):
                self._revised.update(doc_ids)

    async def _from_the_beginning(
        self, delivery: Delivery, opened: Opened, position: Position | None
    ) -> tuple[Opened, Position | None]:
        """Return where a refresh goes on: where an interrupted one stands, else at the beginning."""
        state = EventStageState.in_position(position)
        if opened.resumed and state.first_run == opened.run and state.state != "failed":
            return opened, position
        if opened.resumed and opened.counts:
            # A run that took only what is new; or one whose source failed, and may not be as it was. What it
            # took is to be unchanged now.
            opened = await delivery.begin_anew() or opened
        return opened, None

    def _subscribe(self, position: Position | None) -> Running[PipelineEvent]:
        plan, ledger = self._plan, self._ledger
        changes: dict[str, Any] = {"pipeline_id": self._pipeline_id}
        if ledger is not None:
            changes["run"] = self._number
            if plan.skip_completed and self._number > 1:  # before, nothing can be known
                changes["compare"] = lambda pairs: ledger.compare(plan.key, pairs)
                changes["revised"] = self._revised
        node = plan.adapter.events(plan.settings, fetch=self._fetch, **changes)
        self._subscription = Running(node, position)
        if self._stopping:
            self._subscription.take_no_more()
        return self._subscription

    async def _fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        """Count the bytes of what the source gives."""
        async with closing(self._plan.adapter.source.fetch(position)) as pages:
            async for page in pages:
                self._bytes_read += sum(len(record.data) for record in page.items)
                yield page

    async def _pull(
        self, subscription: Running[PipelineEvent], delivery: Delivery
    ) -> AsyncIterator[list[PipelineEvent]]:
        demand, every = SlowStart(), self._plan.checkpoint_every
        due, clock = 0, subscription.run.clock
        patience = self._bounded()
        while True:
            try:
                events = await patience.wait_for(subscription.request(demand.n))
            except CutShort as cut:
                yield self._cut(cut)
                break
            if not events:
                break
            began = clock.monotonic()
            documents, states, dead = self._sums.add(events)
            self._tell(events)
            yield events
            self._taken = subscription.bookmark()  # with what take() notes before it may wait
            await delivery.take(documents, states, dead)
            due += len(states)
            if due >= every:
                due = 0
                await self._commit(delivery, subscription.position)
            demand.took(clock.monotonic() - began)

    def _bounded(self) -> Patience:
        """Return what bounds the requests of a run that was told to stop, or will be."""
        self._patience = Patience(self._plan.grace)
        if self._stopping:
            self._patience.begin()
        return self._patience

    def _cut(self, cut: CutShort) -> list[PipelineEvent]:
        """Return the event with which a run ends that did not wait for all that was in flight."""
        now, name = clock_of_the_loop().time(), self._plan.adapter.source.name
        told = f"{cut}; it comes again"
        events: list[PipelineEvent] = [
            AdapterStateChange(now, self._pipeline_id, name, self._sums.state, "cancelled", told)
        ]
        self._sums.add(events)
        self._tell(events)
        return events

    def _tell(self, events: Sequence[PipelineEvent]) -> None:
        for hook in self._plan.hooks:
            hook(events)

    async def _commit(self, delivery: Delivery, position: Position) -> None:
        self._sums.read(position)
        await delivery.commit(position, self._sums.counts)

    def _reached(self) -> tuple[Position, dict[str, int]]:
        """Return the position behind everything the consumer has taken, and the sums there."""
        if self._taken is None:
            raise AssertionError("nothing was taken yet")
        position = self._taken()
        self._sums.read(position)
        return position, self._sums.counts

    async def _end(self, subscription: Running[PipelineEvent], delivery: Delivery) -> None:
        """Commit the rest, and end the logical run if it is complete."""
        sums, position = self._sums, subscription.position
        sums.read(position)
        if sums.state == "running":  # no event has told of another: nothing new has come
            if not self._resumed:
                sums.forget()
            if not self._stopping:
                sums.state = "completed"
        await delivery.commit(position, sums.counts)
        if sums.state == "completed" and not sums.limited:
            await delivery.finish()
        await delivery.settled()

    def summary(self) -> RunSummary:
        """Return what the run came to, so far."""
        sums = self._sums
        session = sums.session()
        return RunSummary(
            pipeline_id=self._pipeline_id, key=self._plan.key, run=self._number,
            state="completed" if sums.state in ("running", "new") else sums.state,
            counts=sums.counts, session=session,
            duration=clock_of_the_loop().monotonic() - self._began,
            bytes_read=self._bytes_read, resumed=self._resumed,
            nothing_to_do=not any(session.values()) and sums.state in ("running", "completed"),
            sink=self._sink.describe() if self._sink else None,
            ledger=getattr(self._ledger, "place", None),
            limited=sums.limited, reason=sums.reason,
            # completed for a reason: a limit, or a number of documents that is wrong
            warning=sums.reason if sums.state == "completed" and not sums.limited else None,
        )  # fmt: skip
