"""``IngestionPipeline``: an adapter, a ledger and a sink, wired in the standard way."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.abc import DeadLetter, DocumentState, Ledger, Sink
from penstock.core.clock import clock_of_the_loop
from penstock.core.delivery import Delivery
from penstock.core.documents import Settings
from penstock.core.drivers import SlowStart
from penstock.core.node import positive
from penstock.core.patience import CutShort, Patience
from penstock.core.policy import RetryPolicy
from penstock.core.pumps import closing
from penstock.core.replaying import Replayed, letter_of, replay
from penstock.core.subscription import Running
from penstock.errors import GraphError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
)
from penstock.ledger import ledger_from
from penstock.redact import redact_json
from penstock.sinks import SeveralSinks, sink_from

if TYPE_CHECKING:
    import os

    from penstock.abc import Opened, Page, Position
    from penstock.adapters.adapter import Adapter
    from penstock.core.documents import Step
    from penstock.document import Document, RawRecord
    from penstock.sinks import Target

__all__ = ["Hook", "IngestionPipeline", "IngestionResult", "Replayed", "RunSummary"]

Hook = Callable[[Sequence[PipelineEvent]], None]
"""Gets every list of events, in order, before it is acknowledged."""

TURNS_TO_CLOSE = 3
"""Turns of the loop until a generator that nobody holds any more has begun to close."""

COUNTS = ("started", "completed", "failed", "skipped", "deleted")
FRESHNESS = ("new", "changed", "unchanged")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    ``counts`` are sums of the whole logical run, ``session`` those of this process (also ``retried``):
    of the ``completed`` documents those that were ``new``, had ``changed`` since an earlier run, or are
    ``deleted`` (tombstones); of the ``skipped`` ones those that were ``unchanged``.
    ``duration`` is in seconds and ``bytes_read`` counts raw records, both of this process. ``state`` is
    ``completed`` or ``cancelled``: a run that fails raises its exception. ``limited`` says that it
    completed because as many documents were processed as were asked for. ``warning`` says that the number of
    documents is not the one that the source promised, or that there was none at all.
    """

    pipeline_id: str
    key: str
    run: int
    state: str
    counts: dict[str, int]
    session: dict[str, int]
    duration: float
    bytes_read: int
    resumed: bool
    nothing_to_do: bool
    sink: str | None
    ledger: str | None
    limited: bool = False
    reason: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class IngestionResult:
    """Everything at once, in memory: O(n)."""

    documents: list[Document]
    failures: list[DocumentFailed]
    summary: RunSummary


class IngestionPipeline:
    """The standard chain around an adapter; runs as often as it is asked to.

    Args:
        adapter: Where documents come from.
        ledger: What remembers runs: a ledger, the path of an SQLite file, or ``postgresql://...``. Without
            one nothing is resumed or skipped.
        key: What the ledger calls this ingestion; the adapter's name by default.
        process: Steps that each document goes through; plain or async functions that return the document,
            or one in its place, and raise if they cannot.
        concurrency: How many documents may be in the steps at once; their order is then free.
        where: Documents for which it is false, as they were parsed, count as skipped; no step sees them.
        retry: How often to try a document, or the source, that failed in a way that may pass.
        progress_every: Documents from one ``BatchProgress`` to the next.
        checkpoint_every: Documents from one commit to the next.
        skip_completed: Leave out documents that an *earlier* run completed with the same content.
        fail_fast: End the run at the first document that failed for good.
        limit: Process at most so many documents, those of the interrupted run included.
        grace: Seconds that ``stop`` leaves to what is in flight; what is still unfinished then is cut, and
            comes again in the next run. ``None`` waits as long as it takes.
        restart: Forget what ledger and sink hold, and begin anew.
        refresh: Read the source from its beginning again, though earlier runs have read it, to take what has
            changed in it. Interrupted, the same call goes on.
        hooks: Called with every list of events.

    Raises:
        GraphError: an argument cannot be used; nothing has been opened then.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        key: str | None = None,
        process: Sequence[Step] = (),
        concurrency: int = 1,
        where: Callable[[Document], bool] | None = None,
        retry: RetryPolicy | None = RetryPolicy(attempts=3),  # noqa: B008  frozen
        progress_every: int = 100,
        checkpoint_every: int = 1000,
        skip_completed: bool = True,
        fail_fast: bool = False,
        limit: int | None = None,
        grace: float | None = 10.0,
        restart: bool = False,
        refresh: bool = False,
        hooks: Sequence[Hook] = (),
    ) -> None:
        source = getattr(adapter, "source", None)
        if source is None:
            msg = (
                f"IngestionPipeline takes an adapter, not {type(adapter).__name__}: give it pubmed(...) "
                "itself, and what follows it as process=, where=, retry= and so on"
            )
            raise GraphError(msg)
        for name, value in (("concurrency", concurrency), ("progress_every", progress_every)):
            positive("IngestionPipeline", name, value)
        positive("IngestionPipeline", "checkpoint_every", checkpoint_every)
        if limit is not None:
            positive("IngestionPipeline", "limit", limit)
        if grace is not None and not grace >= 0:
            raise GraphError(f"IngestionPipeline: grace={grace!r} should be seconds, 0 or more, or None")
        if ledger is not None and not isinstance(ledger, Ledger):
            ledger_from(ledger)  # what it names is looked at here, and opened when a run begins
        if refresh and (restart or ledger is None):
            why = "restart=True, which forgets all that" if restart else "no ledger="
            raise GraphError(f"refresh=True compares with what earlier runs took, and was given {why}")
        self._adapter = adapter
        self._ledger = ledger
        self._key = key or source.name
        self._grace = grace
        self._restart = restart
        self._refresh = refresh
        self._skip = skip_completed
        self._hooks = tuple(hooks)
        self._checkpoint_every = checkpoint_every
        self._settings = Settings(
            where=(where,) if where else (), process=tuple(process), concurrency=concurrency, retry=retry,
            progress_every=progress_every, checkpoint_every=checkpoint_every,
            fail_fast=fail_fast, limit=limit,
        )  # fmt: skip
        self._running: _Run | None = None
        self._stopping = False

    # -- the five calls --------------------------------------------------------------------------

    async def stream_events(self) -> AsyncGenerator[PipelineEvent, None]:
        """Yield every event; a list of them is acknowledged, and may be committed, when all were taken.

        With a ledger this is at least once: after a crash the events since the last commit come again.
        """
        async with aclosing(self._begin(None).chunks()) as chunks:
            async for events in chunks:
                for event in events:
                    yield event

    async def iter_results(self) -> AsyncGenerator[Document, None]:
        """Yield the documents that succeeded, without tombstones."""
        async with aclosing(self.stream_events()) as events:
            async for event in events:
                if isinstance(event, DocumentCompleted) and not event.document.deleted:
                    yield event.document

    async def run_async(self) -> IngestionResult:
        """Collect everything. This needs memory for all documents at once: O(n)."""
        documents: list[Document] = []
        failures: list[DocumentFailed] = []
        run = self._begin(None)
        async with aclosing(run.chunks()) as chunks:
            async for events in chunks:
                for event in events:
                    if isinstance(event, DocumentCompleted):
                        if not event.document.deleted:
                            documents.append(event.document)
                    elif isinstance(event, DocumentFailed) and not event.will_retry:
                        failures.append(event)
        return IngestionResult(documents, failures, run.summary())

    async def run(self, sink: Target | None = None) -> RunSummary:
        """Stream into a sink, or into each of several, effectively once, and return the counts only.

        Raises:
            PenstockError: the source, the sink or the ledger failed; what was committed stays, and the
                same call goes on from there.
        """
        run = self._begin(self._sink_from(sink))
        async with aclosing(run.chunks()) as chunks:
            async for _ in chunks:
                pass
        return run.summary()

    async def run_async_legacy(self) -> list[str]:
        """Return the ids of all documents, as the eager call of old did. Deprecated: use ``iter_results``."""
        warnings.warn(
            "run_async_legacy() holds every id in memory and will go away: iterate over iter_results(), "
            "or stream into a sink with run(sink=...)",
            DeprecationWarning,
            stacklevel=2,
        )
        return [document.doc_id async for document in self.iter_results()]

    async def replay(self, sink: Target, *, keys: Collection[str] | None = None) -> Replayed:
        """Try dead letters again: parse the raw bytes that the ledger kept with today's parser and steps.

        Nothing is fetched. What succeeds goes into ``sink`` and out of the dead letters, in one commit; what
        fails again stays, with today's error. The position of the ingestion does not move, so that an
        interrupted run goes on from where it was.

        Args:
            sink: The output of the earlier runs, all of them if there were several: what leaves the dead
                letters must arrive there.
            keys: Only the letters of these records (``file#index``).

        Raises:
            GraphError: there is no ledger.
        """
        if self._ledger is None:
            msg = "replay() reads dead letters from a ledger: IngestionPipeline(adapter, ledger=...)"
            raise GraphError(msg)
        owned = not isinstance(self._ledger, Ledger)
        ledger = self._ledger if isinstance(self._ledger, Ledger) else ledger_from(self._ledger)
        settings = replace(self._settings, limit=None)
        try:
            return await replay(
                self._adapter.source,
                partial(self._adapter.events, settings),
                ledger,
                sink_from(sink),
                key=self._key,
                commit_every=self._checkpoint_every,
                wanted=keys,
            )
        finally:
            if owned:
                await ledger.aclose()

    # -- around them -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Take no new input: what is in flight is settled and committed, then the run ends as cancelled.

        What is not settled when the grace period is over is cut, and comes again. A step that does not let
        itself be cancelled, or blocks the event loop, cannot be cut.
        """
        self._stopping = True
        if self._running is not None:
            self._running.stop()

    def explain(self, sink: Target | None = None) -> str:
        """Say in words what happens to each document, and what a crash can and cannot do."""
        source = self._adapter.source
        lines = [f"source      {source.name} {redact_json(source.parameters)}"]
        settings = self._settings
        if settings.process:
            names = ", ".join(getattr(step, "__name__", repr(step)) for step in settings.process)
            lines.append(f"process     {names} (concurrency {settings.concurrency})")
        if settings.retry:
            lines.append(f"retry       {settings.retry.limits} a document, and the source")
        lines.append(f"commit      every {settings.checkpoint_every} documents and at the end")
        lines += [f"delivery    {words}" for words in self._promises(self._sink_from(sink))]
        return "\n".join(lines)

    def _promises(self, sink: Sink | None) -> Iterator[str]:
        """Yield what a crash can and cannot do to what goes into ``sink``."""
        if self._ledger is None:
            if sink is not None and sink.transactional:
                yield "without a ledger, an interrupted run goes on from what the output holds"
            else:
                yield "no ledger: an interrupted run begins anew"
            return
        sinks = sink.sinks if isinstance(sink, SeveralSinks) else (sink,) if sink else ()
        if not sinks:
            yield "at least once: after a crash, events since the last commit come again"
        if loose := ", ".join(one.describe() for one in sinks if not one.effectively_once):
            yield f"at least once into {loose}: after a crash documents may come again"
        if any(one.effectively_once for one in sinks):
            yield "effectively once: killed at any instant and run again, the output is the same"
        if isinstance(sink, SeveralSinks):
            yield (
                "all outputs go on from the lowest commit: files are cut back to it, databases take the one "
                "commit that they may be ahead again, as upserts"
            )

    def _sink_from(self, target: Target | None) -> Sink | None:
        sink = sink_from(target) if target is not None else None
        if isinstance(sink, SeveralSinks) and self._ledger is None:
            msg = (
                f"several outputs ({sink.describe()}) need a ledger, which says how far all of them "
                "have come: IngestionPipeline(adapter, ledger=...)"
            )
            raise GraphError(msg)
        return sink

    def _begin(self, sink: Sink | None) -> _Run:
        ledger = self._ledger
        owned = not isinstance(ledger, Ledger) and ledger is not None
        opened = ledger if isinstance(ledger, Ledger) or ledger is None else ledger_from(ledger)
        self._running = _Run(self, sink, opened, owned=owned, before=self._running)
        if self._stopping:
            self._stopping = False
            self._running.stop()
        return self._running


@dataclass(slots=True, eq=False)
class _Run:
    """One run of a pipeline: what is open, and the sums of this process."""

    pipeline: IngestionPipeline
    sink: Sink | None
    ledger: Ledger | None
    owned: bool
    pipeline_id: str = field(default_factory=lambda: uuid4().hex)
    session: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*COUNTS, "retried"), 0))
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*COUNTS, *FRESHNESS), 0))
    counts_before: dict[str, int] = field(default_factory=dict)
    bytes_read: int = 0
    began: float = field(default_factory=lambda: clock_of_the_loop().monotonic())
    number: int = 1
    resumed: bool = False
    state: str = "running"
    reason: str | None = None
    limited: bool = False
    moved: bool = False
    skipped_before: int = 0
    subscription: Running[PipelineEvent] | None = None
    stopping: bool = False
    taken: Callable[[], Position] | None = None
    before: _Run | None = None
    leaving: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    patience: Patience | None = None

    def stop(self) -> None:
        self.stopping = True
        if self.subscription is not None:
            self.subscription.take_no_more()
        if self.patience is not None:
            self.patience.begin()

    async def chunks(self) -> AsyncGenerator[list[PipelineEvent], None]:
        """Yield lists of events; asking for the next acknowledges the last."""
        pipeline = self.pipeline
        delivery = Delivery(self.sink, self.ledger, pipeline._key, restart=pipeline._restart)  # noqa: SLF001
        try:
            await self._await_the_one_before()
            opened, position = await delivery.open()
            if opened is not None and pipeline._refresh:  # noqa: SLF001
                opened, position = await self._from_the_beginning(delivery, opened, position)
            if opened is not None:
                self.number, self.resumed = opened.run, opened.resumed and bool(position)
            async with self._subscribe(position or None) as subscription:
                if position:
                    self._read_sums(position)
                    self.skipped_before, self.counts_before = self.counts["skipped"], self.counts
                try:
                    async for events in self._pull(subscription, delivery):
                        yield events
                except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                    self.leaving = True
                    await delivery.keep(error, self._reached)
                    raise
                nothing_new = self.state == "running" and not self.resumed
                await self._commit(delivery, subscription.position, empty=nothing_new)
                if self.state == "running" and not self.stopping:
                    self.state = "completed"  # nothing new has come since the last run
                if self.state == "completed" and not self.limited:
                    await delivery.finish()
                await delivery.settled()
        finally:
            self.leaving = True
            try:
                await delivery.aclose()
            finally:
                try:
                    if self.owned and self.ledger is not None:
                        await self.ledger.aclose()
                finally:
                    self.over.set()

    async def _from_the_beginning(
        self, delivery: Delivery, opened: Opened, position: Position | None
    ) -> tuple[Opened, Position | None]:
        """Return where a refresh goes on: where an interrupted one stands, else at the beginning."""
        state = (position or {}).get("nodes", {}).get("documents") or {}
        if opened.resumed and state.get("since") == opened.run and state["state"] != "failed":
            return opened, position
        if opened.resumed and opened.counts:
            # A run that took only what is new; or one whose source failed, and may not be as it was. What it
            # took is to be unchanged now.
            opened = await delivery.begin_anew() or opened
        return opened, None

    async def _await_the_one_before(self) -> None:
        """A run that its consumer left by ``break`` closes in the background: let it, it holds the ledger."""
        before, self.before = self.before, None
        for _ in range(TURNS_TO_CLOSE):
            if before is None or before.leaving:
                break
            await asyncio.sleep(0)
        if before is not None and before.leaving:
            await before.over.wait()

    def _subscribe(self, position: Position | None) -> Running[PipelineEvent]:
        pipeline, ledger = self.pipeline, self.ledger
        key = pipeline._key  # noqa: SLF001
        changes: dict[str, Any] = {"pipeline_id": self.pipeline_id}
        if ledger is not None:
            changes["run"] = self.number
            if pipeline._skip and self.number > 1:  # noqa: SLF001  before, nothing can be known
                changes["compare"] = lambda pairs: ledger.compare(key, pairs)
        node = pipeline._adapter.events(pipeline._settings, fetch=self._fetch, **changes)  # noqa: SLF001
        self.subscription = Running(node, position)
        if self.stopping:
            self.subscription.take_no_more()
        return self.subscription

    async def _fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        """Count the bytes of what the source gives."""
        async with closing(self.pipeline._adapter.source.fetch(position)) as pages:  # noqa: SLF001
            async for page in pages:
                self.bytes_read += sum(len(record.data) for record in page.items)
                yield page

    async def _pull(
        self, subscription: Running[PipelineEvent], delivery: Delivery
    ) -> AsyncIterator[list[PipelineEvent]]:
        demand, every = SlowStart(), self.pipeline._checkpoint_every  # noqa: SLF001
        due, clock = 0, subscription.run.clock
        patience = self._patience()
        while True:
            try:
                events = await patience.wait_for(subscription.request(demand.n))
            except CutShort as cut:
                yield self._cut(cut)
                break
            if not events:
                break
            began = clock.monotonic()
            documents, states, dead = self._read(events)
            for hook in self.pipeline._hooks:  # noqa: SLF001
                hook(events)
            yield events
            self.taken = subscription.bookmark()  # with what take() notes before it may wait
            await delivery.take(documents, states, dead)
            due += len(states)
            if due >= every:
                due = 0
                await self._commit(delivery, subscription.position)
            demand.took(clock.monotonic() - began)

    def _patience(self) -> Patience:
        """Return what bounds the requests of a run that was told to stop, or will be."""
        self.patience = Patience(self.pipeline._grace)  # noqa: SLF001
        if self.stopping:
            self.patience.begin()
        return self.patience

    def _cut(self, cut: CutShort) -> list[PipelineEvent]:
        """Return the event with which a run ends that did not wait for all that was in flight."""
        pipeline = self.pipeline
        change: PipelineEvent = AdapterStateChange(
            clock_of_the_loop().time(), self.pipeline_id, pipeline._adapter.source.name,  # noqa: SLF001
            self.state, "cancelled", f"{cut}; it comes again",
        )  # fmt: skip
        self._read([change])
        for hook in pipeline._hooks:  # noqa: SLF001
            hook([change])
        return [change]

    def _read(
        self, events: list[PipelineEvent]
    ) -> tuple[list[Document], list[DocumentState], list[DeadLetter]]:
        """Take from the events what the sink and the ledger need."""
        documents: list[Document] = []
        states: list[DocumentState] = []
        dead: list[DeadLetter] = []
        session = self.session
        self.moved = True
        for event in events:
            kind = type(event)
            if kind is DocumentCompleted:
                document = event.document  # type: ignore[attr-defined]
                tries = 1 + event.retry_count  # type: ignore[attr-defined]
                status = "deleted" if document.deleted else "completed"
                documents.append(document)
                states.append(DocumentState(document.doc_id, status, document.content_hash, tries))
                session["completed"] += 1
                session["deleted"] += document.deleted
            elif isinstance(event, DocumentFailed):
                if event.will_retry:
                    session["retried"] += 1
                    continue
                session["failed"] += 1
                state, letter = letter_of(event)
                states.append(state)
                dead.append(letter)
            elif isinstance(event, AdapterStateChange):
                self.state, self.reason = event.new_state, event.reason
                if event.old_state == "completed":
                    self.skipped_before = 0 if not self.limited else self.skipped_before
                    self.counts_before = {} if not self.limited else self.counts_before
            elif isinstance(event, BatchProgress):
                session["skipped"] = event.skipped - self.skipped_before
        return documents, states, dead

    def _read_sums(self, position: Position) -> None:
        """Take the sums of the logical run from the position that they belong to."""
        state = position["nodes"].get("documents") or {}
        counts = state.get("counts", {})
        self.counts = {name: counts.get(name, 0) for name in COUNTS}
        self.counts["started"] = self.counts["completed"] + self.counts["failed"]
        self.counts |= {name: counts.get(name, 0) for name in FRESHNESS[1:]}
        self.counts["new"] = self.counts["completed"] - self.counts["deleted"] - self.counts["changed"]
        self.limited = state.get("limited", False)

    async def _commit(self, delivery: Delivery, position: Position, *, empty: bool = False) -> None:
        self._read_sums(position)
        if empty:  # the sums in the position are still those of the run before
            self.counts, self.counts_before = dict.fromkeys((*COUNTS, *FRESHNESS), 0), {}
        await delivery.commit(position, self.counts)

    def _reached(self) -> tuple[Position, dict[str, int]]:
        """Return the position behind everything the consumer has taken, and the sums there."""
        if self.taken is None:
            raise AssertionError("nothing was taken yet")
        position = self.taken()
        self._read_sums(position)
        return position, self.counts

    def summary(self) -> RunSummary:
        """Return the counts."""
        session, before = self.session, self.counts_before
        session["started"] = session["completed"] + session["failed"]
        session |= {name: self.counts[name] - before.get(name, 0) for name in FRESHNESS}
        place = getattr(self.ledger, "place", None)
        return RunSummary(
            pipeline_id=self.pipeline_id, key=self.pipeline._key, run=self.number,  # noqa: SLF001
            state="completed" if self.state in ("running", "new") else self.state,
            counts=self.counts, session=session,
            duration=clock_of_the_loop().monotonic() - self.began,
            bytes_read=self.bytes_read, resumed=self.resumed,
            nothing_to_do=not any(session.values()) and self.state in ("running", "completed"),
            sink=self.sink.describe() if self.sink else None, ledger=place,
            limited=self.limited, reason=self.reason,
            # completed for a reason: a limit, or a number of documents that is wrong
            warning=self.reason if self.state == "completed" and not self.limited else None,
        )  # fmt: skip
