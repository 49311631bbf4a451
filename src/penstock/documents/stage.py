"""The event stage: from raw records to pipeline events, one document after the other.

``where``, ``retry``, ``batch_progress`` and processing steps are settings of this one stage rather than
stages behind it, because they work on documents: filtering *events* would break the sums that the event
stream promises (started = completed + failed + in flight).

**Position.** It counts settled records, and of the one being worked on the events that went out. Its
state is ``{"since", "state", "counts", "open", "owed", "tail", "acked", "limited"}``: the adapter state last
announced; sums as of the last settled record; non-terminal events delivered of unsettled records, by
their distance from the first of them; whether a ``BatchProgress`` is owed; whether the final one went
out; records settled beyond the first unsettled one (concurrent stages only); whether a limit ended it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from penstock.abc import Source
from penstock.core.notes import Failure, annotate
from penstock.core.policy import Series
from penstock.core.resuming import Errand
from penstock.core.run import Gate
from penstock.core.stage import Marks, Stage
from penstock.documents.counts import Book
from penstock.documents.fate import Context
from penstock.errors import DocumentError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
)
from penstock.redact import redact

if TYPE_CHECKING:
    from penstock.abc import Source
    from penstock.core.graph import Site
    from penstock.core.stage import States
    from penstock.documents.settings import Settings

__all__ = ["DocumentStage"]


Cursor = tuple[Marks, int, dict[str, Any]]
"""Where a stage stands: upstream's marks, how many records behind them are settled, and its own state."""


class DocumentStage(Stage[PipelineEvent]):
    """What both forms share: the beginning and the end of a run, its failures, its sums."""

    def __init__(self, site: Site, source: Source, settings: Settings) -> None:
        super().__init__(site)
        self.settings = settings
        self.context = Context(source, settings, self.run)
        self.upstream = site.input()
        state = site.state or {}
        self.book = Book(state or {"since": settings.run}, self.run.clock.monotonic())
        self.owed: bool = state.get("owed", False)
        self._until = self._distance()
        self.extras: deque[PipelineEvent] = deque()
        self.over = False
        self._failure: Failure | None = None
        self._series = Series(settings.retry)  # of attempts at the source
        self._deadline: float | None = None
        self.gate = Gate(self.run)
        self.errand = Errand(self.run)
        self._cursors: list[Cursor] = []  # before the last chunk, and behind each of its events
        self._announce_start()

    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield the source."""
        yield self.upstream

    # -- running ---------------------------------------------------------------------------------

    async def _request(self, n: int) -> list[PipelineEvent]:
        return cast("list[PipelineEvent]", await self.next_events(n, self.advance))

    async def next_events(
        self, n: int, advance: Callable[[int], Awaitable[Iterable[PipelineEvent]]]
    ) -> Iterable[PipelineEvent]:
        """Return what is due at the beginning or the end of a run, or what ``advance`` gives in between."""
        if self.run.strained():
            await self.run.breathe()
        self._cursors = [self.cursor()] if self.site.tracked else []
        while True:
            if self.extras:
                return self._take_extras(n)
            if self.over:
                if self._failure is not None:
                    self._failure.throw()
                return []
            try:
                if self._deadline is not None:
                    await self._start_again()
                    continue
                events = await advance(n)
            except Exception as error:
                if self.run.over(error):
                    raise
                self._upstream_failed(error)
                continue
            if events:
                return events
            if not self.extras and not self.over:
                self._upstream_ended()

    @abstractmethod
    async def advance(self, n: int) -> list[PipelineEvent]:
        """Return up to ``n`` events of documents; the empty list when upstream has ended."""

    def _take_extras(self, n: int) -> list[PipelineEvent]:
        out: list[PipelineEvent] = []
        while self.extras and len(out) < n:
            event = self.extras.popleft()
            if isinstance(event, AdapterStateChange):
                self.book.state, self.book.tail = event.new_state, False
            else:
                self.book.tail = True
            out.append(event)
            self.note()
        return out

    # -- the beginning and the end ---------------------------------------------------------------

    def _announce_start(self) -> None:
        if self.book.state == "new":
            self._change("new", "running")
        elif self.book.state not in ("running", "completed", "incomplete"):
            self._change(self.book.state, "running", "resumed")

    def wake_if_completed(self) -> None:
        """When a completed run finds new records, say so; unless a limit ended it, the sums begin anew."""
        if self.book.state == "incomplete":
            self._change("incomplete", "running", "there is more")
        if self.book.state != "completed":
            return
        if not self.book.limited:
            self.book.reset(self.run.clock.monotonic())
            self._until = self._distance()
        self.book.limited = False
        self._change("completed", "running", "there is more")

    def reached_limit(self) -> bool:
        """Whether as many documents were processed as were asked for."""
        limit = self.settings.limit
        return limit is not None and self.book.processed >= limit

    def _change(self, old: str, new: str, reason: str | None = None) -> None:
        reason = reason and redact(reason)
        now = self.run.clock.time()
        self.extras.append(
            AdapterStateChange(now, self.context.pipeline_id, self.context.source.name, old, new, reason)
        )

    def _finish(self, state: str, reason: str | None = None, *, old: str | None = None) -> None:
        """Queue the two events with which every run ends."""
        self.over = True
        if old is None and self.book.state == state == "completed" and not self.book.tail:
            return  # it had ended before, and nothing has come since
        if not self.book.tail:
            self.extras.append(self.progress(checkpoint=True))
        self._change(old or self.book.state, state, reason)

    def _upstream_ended(self) -> None:
        if self.run.draining:
            self._finish("cancelled", "stopped by request")
            return
        book, promised = self.book, self._promised()
        lifted, book.limited = book.limited, False  # the limit, where just as many documents came
        if (book.state == "completed" and not lifted) or not book.whole:
            self._finish(
                "completed"
            )  # nothing new, or only what is new: the source speaks of all that it has
        elif promised is not None and promised != book.settled:
            reason = f"the source promised {promised:,} documents, but {book.settled:,} were settled"
            if book.state != "incomplete":
                self._change(book.state, "incomplete", reason)
            self._finish("completed", reason, old="incomplete")
        else:
            none = not book.settled and promised is None  # silent zero is an error
            self._finish("completed", "the source gave no documents at all" if none else None)

    def _promised(self) -> int | None:
        """Return how many documents the source promised, in this run or in the one that this one resumes."""
        promised: int | None = getattr(self.upstream, "promised", None)
        return self.book.promised if promised is None else promised

    def end_by_limit(self) -> None:
        """End the run because enough documents were processed."""
        self.book.limited = True
        self.run.release(self.upstream)
        self._finish("completed", f"limited to {self.settings.limit} documents")

    def _end_by_failure(self, event: DocumentFailed) -> None:
        """End the run because of one document (``fail_fast``)."""
        msg = f"document {event.doc_id} failed, and fail_fast was asked for: {event.error}"
        self._failure = Failure(DocumentError(msg))
        self._finish("failed", event.error)

    def _upstream_failed(self, error: Exception) -> None:
        """Try again, if the policy says so; otherwise end with the events, then the exception."""
        now = asyncio.get_running_loop().time()
        reason = f"{type(error).__name__}: {error}"
        delay = None if self.run.draining else self._series.failed(error, now)
        if delay is None:
            annotate(error, self.site.vertex.node.describe())
            self._failure = Failure(error)
            self._finish("failed", reason)
            return
        again = f"{self._series} in {delay:.3g} s"
        self._deadline = now + delay
        self._change("running", "failed", reason)
        self._change("failed", "retrying", again)
        self.errand.begin(self.upstream.aclose(), "retry")

    async def _start_again(self) -> None:
        if self._deadline is not None:
            await self.pause(self._deadline, self.gate)
        await self.errand.result()
        self.upstream = self.site.input(states={**self.site.states, **self.upstream.marks()(0)})
        self.rebase()
        self._deadline = None
        self._change("retrying", "running")

    @abstractmethod
    def rebase(self) -> None:
        """Take positions from the upstream that was just started again."""

    def got_records(self) -> None:
        """Upstream works: its attempts start again, and a progress event already given was not the last."""
        self._series.worked()
        self.book.tail, self.book.promised = False, self._promised()

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
        book = self.book
        if isinstance(event, DocumentCompleted):
            book.completed += 1
            book.deleted += event.document.deleted
            book.changed += changed and not event.document.deleted
        elif isinstance(event, DocumentFailed):
            book.failed += 1
        else:
            book.skipped += 1
            book.unchanged += unchanged
        self._until -= 1
        if not self._until:
            self.owe()
        if self.settings.fail_fast and isinstance(event, DocumentFailed):
            self._end_by_failure(event)

    def owe(self) -> None:
        """A progress event is due."""
        self.owed = True
        self._until = self._distance()

    def _distance(self) -> int:
        """Return how many documents there are until the next progress event; -1 if there is none."""
        settled = self.book.settled
        every = [n for n in (self.settings.progress_every, self.settings.checkpoint_every) if n]
        return min((n - settled % n for n in every), default=-1)

    def progress(self, *, checkpoint: bool = False) -> BatchProgress:
        """Make a progress event."""
        book, every = self.book, self.settings.checkpoint_every
        done = book.settled - book.so_far
        seconds = self.run.clock.monotonic() - book.began
        rate = done / seconds if seconds > 0 else 0.0
        total = self._promised() or getattr(self.upstream, "estimated_total", None)
        eta = (
            (total - book.settled) / rate
            if total is not None and rate > 0 and total >= book.settled
            else None
        )
        marked = checkpoint or bool(every and book.settled and not book.settled % every)
        return BatchProgress(
            self.run.clock.time(), self.context.pipeline_id, book.completed, book.failed, book.skipped,
            self.in_flight(), total, rate, eta, marked,
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

    def state(self, open_events: dict[int, int], acked: list[int]) -> dict[str, Any]:
        """Return the state for a position."""
        book = self.book
        return {
            **({} if book.since is None else {"since": book.since}),
            **({} if book.promised is None else {"promised": book.promised}),
            "state": book.state, "counts": book.counts(), "open": {str(k): v for k, v in open_events.items()},
            "owed": self.owed, "tail": book.tail, "acked": acked, "limited": book.limited,
            "whole": book.whole,
        }  # fmt: skip

    async def _stop(self) -> None:
        await self.errand.finish()
