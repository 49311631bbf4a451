"""``IngestionPipeline``: an adapter, a ledger and a sink, wired in the standard way."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.abc import Ledger, Sink
from penstock.core.node import positive
from penstock.core.policy import RetryPolicy
from penstock.documents.settings import Settings
from penstock.errors import GraphError
from penstock.events import (
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
)
from penstock.ingest.plan import Hook, Plan
from penstock.ingest.replay import Replayed, replay
from penstock.ingest.run import Ingestion
from penstock.ingest.summary import RunSummary
from penstock.ledger import ledger_from
from penstock.redact import redact_json
from penstock.sinks import SeveralSinks, sink_from

if TYPE_CHECKING:
    import os

    from penstock.adapters.adapter import Adapter
    from penstock.document import Document
    from penstock.documents.settings import Step
    from penstock.sinks import Target

__all__ = ["Hook", "IngestionPipeline", "IngestionResult", "Replayed", "RunSummary"]


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
        concurrency: How many documents may be in the steps at once; their order is then free, but records of
            one document come one after the other.
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
        settings = Settings(
            where=(where,) if where else (), process=tuple(process), concurrency=concurrency, retry=retry,
            progress_every=progress_every, checkpoint_every=checkpoint_every,
            fail_fast=fail_fast, limit=limit,
        )  # fmt: skip
        self._plan = Plan(
            adapter, settings, key=key or source.name, checkpoint_every=checkpoint_every,
            skip_completed=skip_completed, grace=grace, restart=restart, refresh=refresh, hooks=tuple(hooks),
        )  # fmt: skip
        self._ledger = ledger
        self._running: Ingestion | None = None
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
        interrupted run goes on from where it was. Of several letters of one document the last one decides:
        the others settle nothing but themselves, and stay as they are if they fail again. The ids of all
        letters are in memory meanwhile.

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
        try:
            return await replay(self._plan, ledger, sink_from(sink), wanted=keys)
        finally:
            if owned:
                await ledger.aclose()

    # -- around them -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Take no new input: what is in flight is settled and committed, then the run ends as cancelled.

        What is not settled when the grace period is over is cut, and comes again. A step that does not let
        itself be cancelled, or blocks the event loop, cannot be cut. While none runs, it stops the next one.
        """
        if self._running is None or self._running.over.is_set():
            self._stopping = True
        else:
            self._running.stop()

    def explain(self, sink: Target | None = None) -> str:
        """Say in words what happens to each document, and what a crash can and cannot do."""
        source = self._plan.adapter.source
        lines = [f"source      {source.name} {redact_json(source.parameters)}"]
        settings = self._plan.settings
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

    def _begin(self, sink: Sink | None) -> Ingestion:
        ledger = self._ledger
        owned = not isinstance(ledger, Ledger) and ledger is not None
        opened = ledger if isinstance(ledger, Ledger) or ledger is None else ledger_from(ledger)
        self._running = Ingestion(self._plan, sink, opened, owned=owned, before=self._running)
        if self._stopping:
            self._stopping = False
            self._running.stop()
        return self._running
