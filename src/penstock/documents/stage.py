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
import traceback
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from penstock.abc import Source
from penstock.core.notes import Failure, annotate
from penstock.core.policy import Series, is_retryable
from penstock.core.resuming import Errand
from penstock.core.run import Gate
from penstock.core.stage import Stage
from penstock.document import Document, RawRecord, content_hash
from penstock.documents.counts import Book
from penstock.documents.revised_ids import Revised
from penstock.errors import DocumentError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentFailed,
    PipelineEvent,
)
from penstock.redact import redact, redact_json

if TYPE_CHECKING:
    from penstock.core.graph import Site
    from penstock.documents.settings import Settings

__all__ = ["DocumentStage"]


class DocumentStage(Stage[PipelineEvent]):
    """What both forms share: the beginning and the end of a run, its failures, its sums."""

    def __init__(self, site: Site, source: Source, settings: Settings) -> None:
        super().__init__(site)
        self.source = source
        self.settings = settings
        self.pipeline_id = settings.pipeline_id or uuid4().hex
        self.parameters = redact_json(source.parameters)
        self.validates = type(source).validate is not Source.validate
        self.upstream = site.input()
        self.revised = Revised() if settings.revised is None else settings.revised
        state = site.state or {}
        self.book = Book(state or {"since": settings.run}, self.run.clock.monotonic())
        self.owed: bool = state.get("owed", False)
        self._until = self._distance()
        self.extras: deque[PipelineEvent] = deque()
        self._over = False
        self._failure: Failure | None = None
        self._series = Series(settings.retry)  # of attempts at the source
        self._deadline: float | None = None
        self._gate = Gate(self.run)
        self._errand = Errand(self.run)
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
        self.begin_chunk()
        while True:
            if self.extras:
                return self._take_extras(n)
            if self._over:
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
            if not self.extras and not self._over:
                self._upstream_ended()

    @abstractmethod
    def begin_chunk(self) -> None:
        """Forget the marks of the last chunk."""

    @abstractmethod
    async def advance(self, n: int) -> list[PipelineEvent]:
        """Return up to ``n`` events of documents; the empty list when upstream has ended."""

    def note(self) -> None:
        """Remember where the stage stands behind the event just delivered, if anybody will ask."""

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
        self.extras.append(AdapterStateChange(now, self.pipeline_id, self.source.name, old, new, reason))

    def _finish(self, state: str, reason: str | None = None, *, old: str | None = None) -> None:
        """Queue the two events with which every run ends."""
        self._over = True
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

    def end_by_failure(self, doc_id: str, error: str) -> None:
        """End the run because of one document (``fail_fast``)."""
        self._failure = Failure(
            DocumentError(f"document {doc_id} failed, and fail_fast was asked for: {error}")
        )
        self._finish("failed", error)

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
        self._errand.begin(self.upstream.aclose(), "retry")

    async def _start_again(self) -> None:
        loop = asyncio.get_running_loop()
        while self._deadline is not None and loop.time() < self._deadline and not self.run.draining:
            await self._gate.wait(self._deadline)
        await self._errand.result()
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

    async def pause(self, deadline: float) -> None:
        """Wait for a backoff, however often that is interrupted."""
        loop = asyncio.get_running_loop()
        while loop.time() < deadline and not self.run.draining:
            await self._gate.wait(deadline)

    # -- one document ----------------------------------------------------------------------------

    def name_of(self, raw: RawRecord) -> tuple[str, Exception | None]:
        """Return the document's id, or where it came from and why it has none."""
        try:
            return self.source.identify(raw), None
        except Exception as error:  # noqa: BLE001  a bad record is data
            return raw.key, error

    def understand(self, raw: RawRecord) -> tuple[Document | None, Exception | None]:
        """Parse and validate a record."""
        try:
            result = self.source.parse(raw)
            if result.tag == "error":
                return None, result.error
            document = result.ok
            if self.validates:
                result = self.source.validate(document)
                if result.tag == "error":
                    return None, result.error
                document = result.ok
        except Exception as error:  # noqa: BLE001  a bad record is data
            return None, error
        return document, None

    def failed(
        self, raw: RawRecord, doc_id: str, error: Exception, retries: int, *, will_retry: bool
    ) -> DocumentFailed:
        """Make the event of one failed attempt."""
        known = isinstance(error, DocumentError)
        trace = None if known else redact("".join(traceback.format_exception(error)))
        retryable = self.settings.retry.retry_on(error) if self.settings.retry else is_retryable(error)
        return DocumentFailed(
            self.run.clock.time(), self.pipeline_id, doc_id, self.source.name, redact(str(error)),
            type(error).__name__, retries, retryable, will_retry, trace, raw.data, raw.key,
            redact_json(raw.context),
        )  # fmt: skip

    def settle_completed(self, document: Document, *, changed: bool = False) -> None:
        """Count a document that passed every step; one that an earlier run knew otherwise is ``changed``."""
        self.book.completed += 1
        if document.deleted:
            self.book.deleted += 1
        elif changed:
            self.book.changed += 1
        self._until -= 1
        if not self._until:
            self.owe()

    def settle_failed(self) -> None:
        """Count a document that failed for good."""
        self.book.failed += 1
        self._until -= 1
        if not self._until:
            self.owe()

    def settle_skipped(self, *, unchanged: bool = False) -> None:
        """Count a document that was left out, by ``where`` or because it is unchanged."""
        self.book.skipped += 1
        self.book.unchanged += unchanged
        self._until -= 1
        if not self._until:
            self.owe()

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
            self.run.clock.time(), self.pipeline_id, book.completed, book.failed, book.skipped,
            self.in_flight(), total, rate, eta, marked,
        )  # fmt: skip

    @abstractmethod
    def in_flight(self) -> int:
        """Return how many documents were started and have no terminal event yet."""

    # -- skipping what is unchanged --------------------------------------------------------------

    async def compare(self, records: list[RawRecord]) -> tuple[set[int], set[int]]:
        """Return which of the records an earlier run completed just so, and which with another content."""
        known = self.settings.compare
        if known is None or not records:
            return set(), set()
        named = [(self.name_of(raw), raw) for raw in records]
        asked = [(doc_id, content_hash(raw.data)) for (doc_id, error), raw in named if error is None]
        places = [i for i, ((_, error), _) in enumerate(named) if error is None]
        answers = await known(asked)
        same, changed = set[int](), set[int]()
        for i, standing in zip(places, answers, strict=True):
            if standing != "new":
                (same if standing == "unchanged" else changed).add(i)
        return same, changed

    def outdated(self, raw: RawRecord) -> bool:
        """Say whether an unchanged record comes behind another content that this run took of its document."""
        return bool(self.revised) and self.name_of(raw)[0] in self.revised

    # -- positions -------------------------------------------------------------------------------

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
        await self._errand.finish()
