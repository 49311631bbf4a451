"""``IngestionPipeline``: wires an adapter, a ledger and a sink in the standard way."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.abc import Ledger, Sink
from penstock.documents.expression import Expression
from penstock.documents.settings import Settings
from penstock.errors import GraphError
from penstock.events import DocumentCompleted, DocumentFailed, PipelineEvent
from penstock.ingest.plan import Hook, Plan, functions_for
from penstock.ingest.replay import Replayed, replay
from penstock.ingest.run import Ingestion
from penstock.ingest.summary import IngestionResult, RunSummary
from penstock.ledger import ledger_from
from penstock.notebook.interrupts import say_where
from penstock.redact import redact
from penstock.runtime.arguments import (
    began_at,
    flag_for,
    function_for,
    positive,
    refuse,
    text_for,
)
from penstock.runtime.policy import RetryPolicy
from penstock.sinks import SeveralSinks, sink_from
from penstock.sinks.frames import Frames, SyncFrames
from penstock.statistics import Statistics
from penstock.system import Ended
from penstock.system.own_loop import iterate_in_own_loop, run_in_own_loop

if TYPE_CHECKING:
    import os

    from penstock.adapters.event_flow import Adapter
    from penstock.document import Document
    from penstock.documents.settings import Step
    from penstock.sinks import Target

__all__ = ["Hook", "IngestionPipeline", "IngestionResult", "Replayed", "RunSummary"]


class IngestionPipeline(Frames):
    """The standard chain around an adapter. It may run any number of times.

    Args:
        adapter: Where documents come from.
        ledger: Remembers runs: a ledger, the path of an SQLite file, or ``postgresql://...``. Without one
            nothing is resumed or skipped.
        key: The name of this ingestion in the ledger; the adapter's name by default.
        process: Steps for each document: plain or async functions that return the document or a replacement,
            and raise if they fail.
        concurrency: How many documents may be in the steps at once. With more than 1 their order is free, but
            records of one document come one after the other.
        where: A document for which it is false, as it was parsed, counts as skipped. No step gets it. A
            function, or an expression: ``'year >= 2015 and "Neoplasms" in mesh'`` (see `Expression`).
        retry: How often to try a document, or the source, again after an error that may pass.
        progress_every: Documents from one ``BatchProgress`` to the next.
        checkpoint_every: Documents from one commit to the next.
        skip_completed: Skip documents that an *earlier* run completed with the same content.
        fail_fast: End the run at the first document that fails for good.
        limit: Process at most this many documents, including those of the interrupted run.
        grace: Seconds that documents in flight get after ``stop``. Documents still unfinished then are cut,
            and come again in the next run. ``None`` sets no limit.
        restart: Empty the ledger and the sink when the first record arrives. If none does, both stay as they
            were.
        refresh: Read the source from its beginning again, to take documents that have changed since earlier
            runs. If it is interrupted, the same call resumes it.
        hooks: Plain functions, called with every list of events. An exception of one ends the run, unless it
            is ``penstock.telemetry.isolated(hook)``. Async functions must be isolated.

    Raises:
        GraphError: an argument is invalid; nothing has been opened.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        key: str | None = None,
        process: Sequence[Step] = (),
        concurrency: int = 1,
        where: Callable[[Document], bool] | str | None = None,
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
            advice = "Pass pubmed(...) itself, and operators after it as process=, where=, retry= and so on."
            refuse("IngestionPipeline", "an adapter", adapter, advice=advice)
        process, hooks = functions_for("process", process), functions_for("hooks", hooks)
        if isinstance(where, str):
            where = Expression(where, source.schema)
        if where is not None:
            function_for("IngestionPipeline", where, "where")
        for name, value in (("concurrency", concurrency), ("progress_every", progress_every)):
            positive("IngestionPipeline", name, value)
        positive("IngestionPipeline", "checkpoint_every", checkpoint_every)
        if limit is not None:
            positive("IngestionPipeline", "limit", limit)
        if grace is not None:
            positive("IngestionPipeline", "grace", grace, least=0, whole=False)
        if retry is not None and not isinstance(retry, RetryPolicy):
            refuse(
                "IngestionPipeline", "a RetryPolicy", retry, "retry", "Right: retry=RetryPolicy(attempts=3)."
            )
        text_for("IngestionPipeline", "key", key, optional=True)
        flag_for(
            "IngestionPipeline", skip_completed=skip_completed, fail_fast=fail_fast, restart=restart,
            refresh=refresh,
        )  # fmt: skip
        if ledger is not None and not isinstance(ledger, Ledger):
            ledger_from(ledger)  # checks it; each run opens it
        if refresh and (restart or ledger is None):
            why = "restart=True empties" if restart else "there is no ledger="
            raise GraphError(f"refresh=True compares documents with those in the ledger, but {why}")
        settings = Settings(
            where=() if where is None else (where,), process=process, concurrency=concurrency, retry=retry,
            progress_every=progress_every, checkpoint_every=checkpoint_every,
            fail_fast=fail_fast, limit=limit,
        )  # fmt: skip
        self._plan = Plan(
            adapter, settings, key=key or source.name, checkpoint_every=checkpoint_every,
            skip_completed=skip_completed, grace=grace, restart=restart, refresh=refresh, hooks=hooks,
            began=began_at(),
        )  # fmt: skip
        self._ledger = ledger
        self._running: Ingestion | None = None
        self._stopping = False

    # -- the five calls --------------------------------------------------------------------------

    async def stream_events(self) -> AsyncGenerator[PipelineEvent, None]:
        """Yield every event. A list of events may be committed as soon as you have taken all of them.

        With a ledger this is at least once: after a crash, events since the last commit come again.
        """
        async with aclosing(self._begin(None).chunks()) as chunks:
            async for events in chunks:
                for event in events:
                    yield event

    async def iter_results(self) -> AsyncGenerator[Document, None]:
        """Yield documents that completed, without tombstones."""
        async with aclosing(self.stream_events()) as events:
            async for event in events:
                if isinstance(event, DocumentCompleted) and not event.document.deleted:
                    yield event.document

    async def run_async(self) -> IngestionResult:
        """Collect all documents and failures, in memory: O(n)."""
        documents: list[Document] = []
        failures: list[DocumentFailed] = []
        run = self._begin(None)
        async with Ended(run.chunks()) as chunks:
            async for events in chunks:
                for event in events:
                    if isinstance(event, DocumentCompleted):
                        if not event.document.deleted:
                            documents.append(event.document)
                    elif isinstance(event, DocumentFailed) and not event.will_retry:
                        failures.append(event)
        return IngestionResult(documents, failures, run.summary())

    async def run(self, sink: Target | None = None, *, progress: bool | None = None) -> RunSummary:
        """Stream into one sink or several, effectively once, and return the counts.

        Args:
            sink: One output or several.
            progress: Whether to show the progress. By default a notebook shows a panel, and nothing is shown
                elsewhere. ``True`` shows a bar in a terminal, or lines on stderr if it is no terminal.

        Raises:
            PenstockError: the source, the sink or the ledger failed. Committed documents stay, and the same
                call resumes after them.
        """
        from penstock.progress.watcher import watcher

        if progress is not None:
            flag_for("run", progress=progress)
        to = self._sink_from(sink)
        self._plan.adapter.source.check()  # a mistyped path leaves no empty output behind
        async with watcher(self._plan.key, progress=progress) as watching:
            run = self._begin(to, watching.hooks)
            watching.begin(run)
            try:
                async with Ended(run.chunks()) as chunks:
                    async for _ in chunks:
                        pass
            except (asyncio.CancelledError, KeyboardInterrupt) as error:
                resumes = self._ledger is not None or (to is not None and to.transactional)
                say_where(error, lambda: run.summary().standing(resumes=resumes))
                raise
            summary = run.summary()
            watching.end(summary)
        return summary

    async def run_async_legacy(self) -> list[str]:
        """Return the ids of all documents. Deprecated: use ``iter_results``."""
        warnings.warn(
            "run_async_legacy() holds every id in memory and will be removed: iterate over iter_results(), "
            "or stream into a sink with run(sink=...)",
            DeprecationWarning,
            stacklevel=2,
        )
        return [document.doc_id async for document in self.iter_results()]

    async def replay(self, sink: Target, *, keys: Collection[str] | None = None) -> Replayed:
        """Try dead letters again: parse the raw bytes in the ledger with today's parser and steps.

        Nothing is fetched. A document that completes goes into ``sink`` and out of the dead letters, in one
        commit. A letter that fails again stays, with today's error. The position of the ingestion does not
        move, so an interrupted run can still be resumed. If a document has several letters, the last one
        decides: the others change no state, and stay as they are if they fail again. The ids of all letters
        are in memory meanwhile.

        Args:
            sink: The output of the earlier runs; all of them if there were several. The documents that leave
                the dead letters must arrive there.
            keys: Only the letters of these records (``file#index``).

        Raises:
            GraphError: there is no ledger.
        """
        if keys is not None:
            if isinstance(keys, str) or not isinstance(keys, Collection):
                refuse("replay", "a list of record keys", keys, "keys")
            for one in keys:
                text_for("replay", "keys", one)
        if self._ledger is None:
            msg = "replay() reads dead letters from a ledger: IngestionPipeline(adapter, ledger=...)"
            raise GraphError(msg)
        owned = not isinstance(self._ledger, Ledger)
        ledger = self._ledger if isinstance(self._ledger, Ledger) else ledger_from(self._ledger)
        output = sink_from(sink)
        output.use_schema(self._plan.adapter.source.schema)
        try:
            return await replay(self._plan, ledger, output, wanted=keys)
        finally:
            if owned:
                await ledger.aclose()

    # -- stop and explain ------------------------------------------------------------------------

    @property
    def sync(self) -> SyncPipeline:
        """The five calls for code that is not async: ``pipeline.sync.run(sink=...)``; see ``Flow.sync``."""
        return SyncPipeline(self)

    def stop(self) -> None:
        """Take no new input: documents in flight are settled and committed, then the run ends as cancelled.

        Documents that are unfinished when the grace period ends are cut, and come again in the next run. A
        step that ignores cancellation, or blocks the event loop, cannot be cut. If no run is active, this
        stops the next one.
        """
        if self._running is None or self._running.over.is_set():
            self._stopping = True
        else:
            self._running.stop()

    def statistics(self) -> Statistics:
        """Return the figures of the last run, stage by stage; no stages if there was none."""
        return Statistics(()) if self._running is None else self._running.statistics()

    def explain(self, sink: Target | None = None) -> str:
        """Describe what happens to each document, and what a crash can do to the output."""
        promises = self._promises(self._sink_from(sink))
        lines = [*self._plan.lines(), *(("delivery", words) for words in promises)]
        return "\n".join(f"{name:<12}{words}" for name, words in lines)

    def __repr__(self) -> str:
        ledger = "no ledger" if self._ledger is None else f"ledger {self._place}"
        return f"<IngestionPipeline {self._plan.key}: {self._plan.adapter.source.name}, {ledger}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle, facts, title

        lines = [*self._plan.lines(), *([("ledger", self._place)] if self._ledger is not None else [])]
        last = self.statistics()
        stages = [title("the last run"), last.html()] if last.stages else []
        return bundle(repr(self), title("IngestionPipeline", self._plan.key), facts(lines), *stages)

    @property
    def _place(self) -> str:
        """The place of the ledger, without secrets."""
        ledger = self._ledger
        if isinstance(ledger, Ledger):
            return str(getattr(ledger, "place", type(ledger).__name__))
        return redact(str(ledger))

    def _promises(self, sink: Sink | None) -> Iterator[str]:
        """Yield what a crash can do to the documents in ``sink``."""
        if self._ledger is None:
            if sink is not None and sink.transactional:
                yield "without a ledger, an interrupted run resumes from the position in the output"
            else:
                yield "no ledger: an interrupted run starts again from the beginning"
                if sink is not None and not sink.effectively_once:
                    yield f"at least once into {sink.describe()}: documents then come again"
            return
        sinks = sink.sinks if isinstance(sink, SeveralSinks) else () if sink is None else (sink,)
        if not sinks:
            yield "at least once: after a crash, events since the last commit come again"
        if loose := ", ".join(one.describe() for one in sinks if not one.effectively_once):
            yield f"at least once into {loose}: after a crash documents may come again"
        if any(one.effectively_once for one in sinks):
            yield "effectively once: killed at any instant and run again, the output is the same"
        if isinstance(sink, SeveralSinks):
            yield (
                "all outputs resume from the lowest commit: files are cut back to it; a database that is one "
                "commit ahead takes that commit again, as upserts"
            )

    def _sink_from(self, target: Target | None) -> Sink | None:
        sink = sink_from(target) if target is not None else None
        if isinstance(sink, SeveralSinks) and self._ledger is None:
            msg = (
                f"several outputs ({sink.describe()}) need a ledger, which stores the position of all "
                "of them: IngestionPipeline(adapter, ledger=...)"
            )
            raise GraphError(msg)
        if sink is not None:
            sink.use_schema(self._plan.adapter.source.schema)
        return sink

    def _lists(self) -> tuple[AsyncGenerator[list[PipelineEvent], None], type | None]:
        return self._begin(None).chunks(), self._plan.adapter.source.schema

    def _begin(self, sink: Sink | None, hooks: tuple[Hook, ...] = ()) -> Ingestion:
        ledger = self._ledger
        owned = not isinstance(ledger, Ledger) and ledger is not None
        opened = ledger if isinstance(ledger, Ledger) or ledger is None else ledger_from(ledger)
        plan = replace(self._plan, hooks=(*self._plan.hooks, *hooks)) if hooks else self._plan
        self._running = Ingestion(plan, sink, opened, owned=owned, before=self._running)
        if self._stopping:
            self._stopping = False
            self._running.stop()
        return self._running


class SyncPipeline(SyncFrames):
    """The calls of an ``IngestionPipeline`` for code that is not async.

    Each call runs in an event loop of its own: in another thread if this one has a running loop, as in a
    notebook. Ctrl-C ends the run as a failure of the caller does: what was committed stays, and the same call
    resumes behind it.
    """

    __slots__ = ("_pipeline",)

    def __init__(self, pipeline: IngestionPipeline) -> None:
        self._pipeline: IngestionPipeline = pipeline

    def __repr__(self) -> str:
        return f"{self._pipeline!r}.sync"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {**self._pipeline._repr_mimebundle_(), "text/plain": repr(self)}

    def stream_events(self) -> Iterator[PipelineEvent]:
        """Yield every event; see ``IngestionPipeline.stream_events``."""
        begin = self._pipeline._begin  # noqa: SLF001  this is the pipeline's own second face
        for events in iterate_in_own_loop(lambda: begin(None).chunks()):
            yield from events

    def iter_results(self) -> Iterator[Document]:
        """Yield documents that completed, without tombstones."""
        for event in self.stream_events():
            if isinstance(event, DocumentCompleted) and not event.document.deleted:
                yield event.document

    def run_async(self) -> IngestionResult:
        """Collect all documents and failures, in memory: O(n)."""
        return run_in_own_loop(self._pipeline.run_async)

    def run(self, sink: Target | None = None, *, progress: bool | None = None) -> RunSummary:
        """Stream into one sink or several, effectively once, and return the counts."""
        return run_in_own_loop(lambda: self._pipeline.run(sink, progress=progress))

    def replay(self, sink: Target, *, keys: Collection[str] | None = None) -> Replayed:
        """Try dead letters again; see ``IngestionPipeline.replay``."""
        return run_in_own_loop(lambda: self._pipeline.replay(sink, keys=keys))
