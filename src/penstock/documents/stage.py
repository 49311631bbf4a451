"""What the sequential and the concurrent event stage share: the beginning and end of a run, and its counts.

``where``, ``retry``, ``batch_progress`` and processing steps are settings of the event stage and not
operators behind it, because they work on documents. Filtering *events* would break the sums that the event
stream promises (started = completed + failed + in flight).
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from penstock.documents.fate import Context
from penstock.documents.state import EventStageState
from penstock.errors import DocumentError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
)
from penstock.redact import redact
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.policy import Series
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage
from penstock.runtime.upstream import Marks

if TYPE_CHECKING:
    from penstock.abc import Source
    from penstock.documents.settings import Settings
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import States, Upstream

Cursor = tuple[Marks, int, dict[str, Any]]
"""Where a stage stands: upstream's marks, how many records behind them are settled, and its own state."""


class DocumentStage(Stage[PipelineEvent]):
    """Delivers the first and the last events of a run; between them, events of documents from a subclass."""

    def __init__(self, site: Site, source: Source, settings: Settings) -> None:
        super().__init__(site)
        self.settings = settings
        self.context = Context(source, settings, self.run)
        self.upstream = site.input()
        new = EventStageState(first_run=settings.run)
        self.state = EventStageState.from_json(site.state) if site.state else new
        self._rate_from = (self.state.counts.settled, self.run.clock.monotonic())
        self._until_progress = self._distance()
        self.announcements: deque[PipelineEvent] = deque()  # state changes, and the final progress
        self.over = False
        self._failure: Failure | None = None
        self._series = Series(settings.retry)  # of attempts at the source
        self._restart_at: float | None = None
        self.gate = Gate(self.run)
        self.errand = Errand(self.run)
        self._cursors: list[Cursor] = []  # before the last chunk, and behind each of its events
        self._announce_start()

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the source."""
        yield self.upstream

    async def _stop(self) -> None:
        await self.errand.finish()

    # -- running ---------------------------------------------------------------------------------

    async def _request(self, n: int) -> list[PipelineEvent]:
        return cast("list[PipelineEvent]", await self.next_events(n, self.advance))

    async def next_events(
        self, n: int, advance: Callable[[int], Awaitable[Iterable[PipelineEvent]]]
    ) -> Iterable[PipelineEvent]:
        """Return announcements if some are due, otherwise the events that ``advance`` returns."""
        if self.run.strained():
            await self.run.breathe()
        self._cursors = [self.cursor()] if self.site.tracked else []
        while True:
            if self.announcements:
                return self._take_announcements(n)
            if self.over:
                if self._failure is not None:
                    self._failure.throw()
                return []
            try:
                if self._restart_at is not None:
                    await self._restart_upstream(self._restart_at)
                    continue
                events = await advance(n)
            except Exception as error:
                if self.run.over(error):
                    raise
                self._upstream_failed(error)
                continue
            if events:
                return events
            if not self.announcements and not self.over:
                self._upstream_ended()

    @abstractmethod
    async def advance(self, n: int) -> list[PipelineEvent]:
        """Return up to ``n`` events of documents; the empty list when upstream has ended."""

    def _take_announcements(self, n: int) -> list[PipelineEvent]:
        out: list[PipelineEvent] = []
        while self.announcements and len(out) < n:
            event = self.announcements.popleft()
            if isinstance(event, AdapterStateChange):
                self.state.state = event.new_state
            self.state.final_progress = not isinstance(event, AdapterStateChange)
            out.append(event)
            self.note()
        return out

    # -- the beginning and the end ---------------------------------------------------------------

    def _announce_start(self) -> None:
        if self.state.state == "new":
            self._change("new", "running")
        elif self.state.state not in ("running", "completed", "incomplete"):
            self._change(self.state.state, "running", "resumed")

    def got_records(self) -> None:
        """End the series of attempts at the source; announce that a completed run goes on."""
        self._series.worked()
        self._note_more()
        self._take_notices()

    def _note_more(self) -> None:
        state = self.state
        state.final_progress, state.promised = False, self._promised()
        if state.state == "incomplete":
            self._change("incomplete", "running", "there is more")
        if state.state != "completed":
            return
        if not state.limited:
            state.begin_run()
            self._rate_from = (0, self.run.clock.monotonic())
            self._until_progress = self._distance()
        state.limited = False
        self._change("completed", "running", "there is more")

    def reached_limit(self) -> bool:
        """Whether as many documents as ``limit`` were processed."""
        limit = self.settings.limit
        return limit is not None and self.state.processed >= limit

    def end_by_limit(self) -> None:
        """End the run because enough documents were processed."""
        self.state.limited = True
        self.run.release(self.upstream)
        self._finish("completed", f"limited to {self.settings.limit} documents")

    def _change(self, old: str, new: str, reason: str | None = None) -> None:
        now, context = self.run.clock.time(), self.context
        reason = reason and redact(reason)
        self.announcements.append(
            AdapterStateChange(now, context.pipeline_id, context.name, old, new, reason)
        )

    def _take_notices(self) -> None:
        """Turn what the source announced into changes of state that change nothing but the reason."""
        notices: deque[str] | None = getattr(self.upstream, "notices", None)
        while notices:
            self._change("running", "running", notices.popleft())

    def _finish(self, new: str, reason: str | None = None, *, old: str | None = None) -> None:
        """Queue the two events with which every run ends."""
        self.over, state = True, self.state
        if old is None and state.state == new == "completed" and not state.final_progress:
            return  # the run had ended before, and no record has arrived since
        if not state.final_progress:
            self.announcements.append(self.progress(checkpoint=True))
        self._change(old or state.state, new, reason)

    def _upstream_ended(self) -> None:
        self._take_notices()
        if self.run.draining:
            self._finish("cancelled", "stopped by request")
            return
        state, promised, settled = self.state, self._promised(), self.state.counts.settled
        was_limited, state.limited = state.limited, False  # the source held just as many as the limit
        if (state.state == "completed" and not was_limited) or not state.from_beginning:
            self._finish("completed")  # the source promises documents since its beginning: nothing to compare
        elif promised is not None and promised != settled:
            reason = f"the source promised {promised:,} documents, but {settled:,} were settled"
            if state.state != "incomplete":
                self._change(state.state, "incomplete", reason)
            self._finish("completed", reason, old="incomplete")
        else:
            none = not settled and promised is None  # an empty source may be a mistake: say so
            self._finish("completed", "the source gave no documents at all" if none else None)

    def _promised(self) -> int | None:
        """Return how many documents the source promised, in this run or in the one that this one resumes."""
        promised: int | None = getattr(self.upstream, "promised", None)
        return self.state.promised if promised is None else promised

    # -- failures --------------------------------------------------------------------------------

    def _end_by_failure(self, event: DocumentFailed) -> None:
        """End the run because of one document (``fail_fast``)."""
        msg = f"document {event.doc_id} failed, and fail_fast was asked for: {event.error}"
        self._failure = Failure(DocumentError(msg))
        self._finish("failed", event.error)

    def _upstream_failed(self, error: Exception) -> None:
        """Plan the next attempt if the policy allows one; otherwise end with the events, then the error."""
        self._take_notices()
        now = asyncio.get_running_loop().time()
        reason = f"{type(error).__name__}: {error}"
        delay = None if self.run.draining else self._series.failed(error, now)
        if delay is None:
            where = self.site.vertex.node.describe()
            annotate(error, where)
            self._series.explain(error, where, drained=self.run.draining)
            self._failure = Failure(error)
            self._finish("failed", reason)
            return
        self._restart_at = now + delay
        self._change("running", "failed", reason)
        self._change("failed", "retrying", _words_of_wait(error, delay, self._series))
        self.errand.begin(self.upstream.aclose(), "retry")

    async def _restart_upstream(self, restart_at: float) -> None:
        await self.pause(restart_at, self.gate)
        await self.errand.result()
        self.upstream = self.site.input(states={**self.site.states, **self.upstream.marks()(0)})
        self.rebase()
        self._restart_at = None
        self._change("retrying", "running")

    @abstractmethod
    def rebase(self) -> None:
        """Take positions from the upstream that was just started again."""

    async def pause(self, deadline: float, gate: Gate) -> None:
        """Wait until the loop's clock reads ``deadline``, or the run is drained."""
        loop = asyncio.get_running_loop()
        while loop.time() < deadline and not self.run.draining:
            await gate.wait(deadline)

    # -- counts ----------------------------------------------------------------------------------

    def count_settled(
        self, event: PipelineEvent | None, *, changed: bool = False, unchanged: bool = False
    ) -> None:
        """Count the last event of a document; ``None`` is a document that was left out."""
        counts = self.state.counts
        if isinstance(event, DocumentCompleted):
            counts.completed += 1
            counts.deleted += event.document.deleted
            counts.changed += changed and not event.document.deleted
        elif isinstance(event, DocumentFailed):
            counts.failed += 1
        else:
            counts.skipped += 1
            counts.unchanged += unchanged
        self.count_down(1)
        if self.settings.fail_fast and isinstance(event, DocumentFailed):
            self._end_by_failure(event)

    def count_down(self, settled: int) -> None:
        """Let a progress event be due once enough documents were settled since the last one."""
        if self._until_progress > 0:
            self._until_progress -= settled
            if not self._until_progress:
                self.state.progress_due = True
                self._until_progress = self._distance()

    def _distance(self) -> int:
        """Return how many documents remain until the next progress event; -1 if none is wanted."""
        settled = self.state.counts.settled
        every = [n for n in (self.settings.progress_every, self.settings.checkpoint_every) if n]
        return min((n - settled % n for n in every), default=-1)

    def take_progress(self) -> BatchProgress:
        """Return the progress event that is due."""
        self.state.progress_due = False
        return self.progress()

    def progress(self, *, checkpoint: bool = False) -> BatchProgress:
        """Return a progress event; ``checkpoint`` marks it as a place for a commit."""
        counts, every = self.state.counts, self.settings.checkpoint_every
        settled, (settled_then, then) = counts.settled, self._rate_from
        seconds = self.run.clock.monotonic() - then
        rate = (settled - settled_then) / seconds if seconds > 0 else 0.0
        total = self._promised() or getattr(self.upstream, "estimated_total", None)
        eta = (total - settled) / rate if total is not None and rate > 0 and total >= settled else None
        return BatchProgress(
            self.run.clock.time(), self.context.pipeline_id, counts.completed, counts.failed, counts.skipped,
            self.in_flight(), total, rate, eta,
            checkpoint or bool(every and settled and not settled % every),
        )  # fmt: skip

    @abstractmethod
    def in_flight(self) -> int:
        """Return how many documents were started and have no terminal event yet."""

    # -- positions -------------------------------------------------------------------------------

    @abstractmethod
    def cursor(self) -> Cursor:
        """Return where the stage stands now."""

    def note(self) -> None:
        """Remember where the stage stands behind the event just delivered, if a position may be asked for."""
        if self.site.tracked:
            self._cursors.append(self.cursor())

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        key, here, cursors = self.site.vertex.id, self.cursor(), tuple(self._cursors)

        def at(i: int) -> States:
            marks, offset, state = cursors[i] if i + 1 < len(cursors) else here
            return {**marks(offset), key: state}

        return at


def _words_of_wait(error: Exception, delay: float, series: Series) -> str:
    """Return why the stage waits; an error may say for what, in its attribute ``waits_for``."""
    waits_for = getattr(error, "waits_for", "")
    if isinstance(waits_for, str) and waits_for:
        return f"waiting {delay:.3g} s for {waits_for} ({series})"
    return f"{series} in {delay:.3g} s"
