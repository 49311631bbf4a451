"""One run of an ingestion: from the source into the sink and the ledger, until it ends or is stopped."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.documents.revised_ids import RevisedIds
from penstock.documents.state import EventStageState
from penstock.events import AdapterStateChange, PipelineEvent
from penstock.ingest.deadly import Deadly, deadly_records
from penstock.ingest.delivery import Batch, Delivery
from penstock.ingest.grace import CutShort, Grace
from penstock.ingest.summary import RunSummary, Summary
from penstock.ingest.transfer import Transfer
from penstock.runtime.clock import clock_of_the_loop
from penstock.runtime.functions import plain_result
from penstock.runtime.pump import closing
from penstock.runtime.subscription import Running
from penstock.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from penstock.abc import Ledger, Opened, Page, Position, Sink
    from penstock.document import Document, RawRecord
    from penstock.ingest.delivery import Reached
    from penstock.ingest.plan import Plan

TURNS_TO_CLOSE = 3
"""Turns of the loop until a generator that was dropped has begun to close."""


class Ingestion:
    """One run of a plan.

    Args:
        plan: What to do.
        sink: Where documents go; ``None`` if the consumer of ``chunks`` takes them.
        ledger: Where state goes; ``None`` stores none.
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
        self._summary = Summary()
        self._revised = RevisedIds()
        self._deadly = Deadly()
        self._bytes_read = 0
        self._began = clock_of_the_loop().monotonic()
        self._number = 1
        self._resumed = False
        self._delivery: Delivery | None = None
        self._subscription: Running[PipelineEvent] | None = None
        self._grace: Grace | None = None
        self._stopping = False
        self._cut = False
        self.over = asyncio.Event()
        """Set when the run has closed and released the ledger."""

    @property
    def leaving(self) -> bool:
        """Whether the run has begun to close."""
        return self._delivery is not None and self._delivery.closing

    def stop(self) -> None:
        """Take no new input, and start the grace period of documents in flight."""
        self._stopping = True
        if self._subscription is not None:
            self._subscription.take_no_more()
        if self._grace is not None:
            self._grace.begin()

    async def chunks(self) -> AsyncGenerator[list[PipelineEvent], None]:
        """Yield lists of events; asking for the next acknowledges the last."""
        async with self._delivering() as delivery:
            position = await self._open(delivery)
            async with self._subscribe(delivery, position) as subscription:
                if position:
                    self._summary.resume(position)
                transfer = self._transfer(delivery, subscription)
                async with aclosing(transfer.chunks()) as chunks:
                    async for events in chunks:
                        yield events

    @asynccontextmanager
    async def _delivering(self) -> AsyncGenerator[Delivery, None]:
        """Close the delivery and an owned ledger in the end."""
        plan = self._plan
        self._delivery = delivery = Delivery(
            self._sink, self._ledger, plan.key, restart=plan.restart, refresh=plan.refresh, began=plan.began
        )
        async with AsyncExitStack() as exits:
            for hook in plan.hooks:
                if settle := getattr(hook, "settle", None):  # last of all: the ledger is free by then
                    exits.push_async_callback(settle)
            exits.callback(self.over.set)
            if self._owned and self._ledger is not None:
                exits.push_async_callback(self._ledger.aclose)
            exits.push_async_callback(delivery.aclose)
            await self._await_run_before()
            yield delivery

    async def _await_run_before(self) -> None:
        """Wait until the run before has released the ledger: after ``break`` it closes in the background."""
        before, self._before = self._before, None
        for _ in range(TURNS_TO_CLOSE):
            if before is None or before.leaving:
                break
            await asyncio.sleep(0)
        if before is not None and before.leaving:
            await before.over.wait()

    async def _open(self, delivery: Delivery) -> Position | None:
        """Return the position to begin at; ``None`` is the beginning."""
        opened, position = await delivery.open()
        if opened is not None and self._plan.refresh:
            opened, position = await self._refresh(delivery, opened, position)
        if opened is not None:
            self._number, self._resumed = opened.run, opened.resumed and bool(position)
            if self._ledger is not None and not delivery.restarts:
                self._deadly = await deadly_records(self._ledger, self._plan.key)
            await self._load_revised()
        return position or None

    async def _load_revised(self) -> None:
        """Load the ids of documents of earlier runs that the interrupted run took with another content."""
        if self._ledger is not None and self._resumed and self._number > 1:
            async for doc_ids in self._ledger.revised(self._plan.key):
                self._revised.update(doc_ids)

    async def _refresh(
        self, delivery: Delivery, opened: Opened, position: Position | None
    ) -> tuple[Opened, Position | None]:
        """Return where a refresh begins: at the position of an interrupted refresh, or at the beginning."""
        state = EventStageState.in_position(position)
        interrupted = opened.resumed and state.first_run == opened.run and state.state != "failed"
        if interrupted and not delivery.outdated:
            return opened, position
        if opened.resumed and opened.counts:
            # The interrupted run took only new records, or its source failed and may have changed. End it, so
            # that the documents it completed count as unchanged now.
            opened = await delivery.begin_anew() or opened
        return opened, None

    def _subscribe(self, delivery: Delivery, position: Position | None) -> Running[PipelineEvent]:
        plan, ledger = self._plan, self._ledger
        changes: dict[str, Any] = {"pipeline_id": self._pipeline_id, "writable": self._sink is not None}
        if self._sink is not None:
            changes["keep_raw"] = self._sink.wants_raw
        if ledger is not None:
            changes["run"] = self._number
            # the first run has nothing to compare with, nor has a restart
            if plan.skip_completed and self._number > 1 and not delivery.restarts:
                changes["compare"] = lambda pairs: ledger.compare(plan.key, pairs)
                changes["revised"] = self._revised
        if self._deadly:
            changes["apart"] = True
        node = plan.adapter.events(plan.settings, fetch=self._fetch, encode=self._encoder(), **changes)
        self._subscription = Running(node, position)
        if self._stopping:
            self._subscription.take_no_more()
        return self._subscription

    def _encoder(self) -> Callable[[Document], bytes] | None:
        """Return how to encode a document for the sink, if nothing needs the document before."""
        settings = self._plan.settings
        sink = self._sink
        if sink is None or sink.wants_raw or settings.where or settings.process:
            return None
        return sink.encoder

    async def _fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        """Count the bytes of the source's records, and mark those that kill."""
        async with closing(self._plan.adapter.source.fetch(position)) as pages:
            async for page in pages:
                self._bytes_read += sum(len(record.data) for record in page.items)
                if self._deadly:
                    self._deadly.mark(page.items)
                yield page

    def _transfer(self, delivery: Delivery, subscription: Running[PipelineEvent]) -> Transfer:
        """Return the loop of this run."""
        self._grace = grace = Grace(self._plan.grace)
        if self._stopping:
            grace.begin()
        summary = self._summary

        async def request(n: int) -> list[PipelineEvent]:
            if self._cut:
                return []
            try:
                return await grace.wait_for(subscription.request(n))
            except CutShort as cut:
                self._cut = True
                return [self._cancelled(cut)]

        def mark() -> Reached:
            bookmark = subscription.bookmark()

            def reached() -> tuple[Position, dict[str, int]]:
                position = bookmark()
                summary.read_position(position)
                return position, summary.counts

            return reached

        async def end() -> None:
            await self._end(delivery, subscription.position)

        return Transfer(
            delivery, request, subscription.run.clock, self._plan.checkpoint_every, self._read, mark, end
        )

    def _read(self, events: list[PipelineEvent]) -> Batch:
        batch = self._summary.read(events)
        for hook in self._plan.hooks:
            plain_result(hook(events), "IngestionPipeline", what="a function of hooks")
        return batch

    def _cancelled(self, cut: CutShort) -> AdapterStateChange:
        """Return the last event of a run that did not wait for all documents in flight."""
        now, name = clock_of_the_loop().time(), self._plan.adapter.source.name
        old, reason = self._summary.state, f"{cut}; it comes again"
        return AdapterStateChange(now, self._pipeline_id, name, old, "cancelled", reason)

    async def _end(self, delivery: Delivery, position: Position) -> None:
        """Commit the last documents, and end the logical run if it is complete."""
        summary = self._summary
        summary.read_position(position)
        if summary.state == "running":  # no event announced another state: no record arrived
            if not self._resumed:
                summary.reset()
            if not self._stopping:
                summary.state = "completed"
        completed = summary.state == "completed" and not summary.limited
        await delivery.end(position, summary.counts, completed=completed)

    def statistics(self) -> Statistics:
        """Return the figures of the stages; no stages before the run has begun."""
        return Statistics(()) if self._subscription is None else self._subscription.statistics()

    def summary(self) -> RunSummary:
        """Return the outcome of the run, so far."""
        summary = self._summary
        session = summary.session()
        return RunSummary(
            pipeline_id=self._pipeline_id, key=self._plan.key, run=self._number,
            state="completed" if summary.state in ("running", "new") else summary.state,
            counts=summary.counts, session=session,
            duration=clock_of_the_loop().monotonic() - self._began,
            bytes_read=self._bytes_read, resumed=self._resumed,
            nothing_to_do=not any(session.values()) and summary.state in ("running", "completed"),
            sink=self._sink.describe() if self._sink is not None else None,
            ledger=getattr(self._ledger, "place", None),
            limited=summary.limited, reason=summary.reason,
            # completed for a reason: the limit, or a wrong number of documents
            warning=summary.reason if summary.state == "completed" and not summary.limited else None,
        )  # fmt: skip
