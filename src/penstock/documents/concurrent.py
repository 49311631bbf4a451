"""The event stage with documents that overlap: async processing steps, several documents at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.core.policy import Series
from penstock.core.run import Gate
from penstock.documents.settings import checked, window_of
from penstock.documents.stage import DocumentStage
from penstock.errors import DocumentError
from penstock.events import DocumentCompleted, DocumentFailed, DocumentStarted, PipelineEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Source
    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States
    from penstock.document import Document, RawRecord
    from penstock.documents.settings import Settings

__all__ = ["OverlappingDocumentStage"]


class OverlappingDocumentStage(DocumentStage):
    """Workers put events into one queue; what is delivered from it moves the sums and the position.

    Records are numbered from the first unsettled one of the position that the run began with. An entry
    of the queue is ``(number, event)``; an event of ``None`` settles its record without one.
    """

    def __init__(self, site: Site, source: Source, settings: Settings) -> None:
        super().__init__(site, source, settings)
        state = site.state or {}
        self._acked: set[int] = set(state.get("acked", ()))
        self._done_before = frozenset(self._acked)
        self._open: dict[int, int] = {int(k): count for k, count in state.get("open", {}).items()}
        self._low = 0
        self._fetched = 0
        self._places: deque[tuple[Marks, int]] = deque()
        self._behind: tuple[Marks, int] = (self.upstream.marks(), 0)
        self._records: deque[tuple[int, RawRecord, bool]] = deque()  # number, record, whether it is unchanged
        self._same: set[int] = set()  # numbers of records not settled that are unchanged
        self._changed: set[int] = set()
        self._queue: deque[tuple[int, PipelineEvent | None]] = deque()
        self._unsettled = 0
        self._left = 0  # of those, how many are for the run that goes on: a drained one leaves them
        self._left_ids: set[str] = set()
        self._lines: dict[str, deque[Gate]] = {}  # by document id: who works on a record of it, who waits
        self._fetching = False
        self._exhausted = False
        self._upstream_error: Exception | None = None
        self._fault: Exception | None = None
        self._ready = Gate(self.run)
        self._idle: deque[Gate] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._log: list[tuple[Marks, int, dict[str, Any]]] = []
        self._start = self._cursor()

    def begin_chunk(self) -> None:
        """See the base."""
        if self.site.tracked:
            self._start = self._cursor()
            self._log.clear()

    def note(self) -> None:
        """See the base."""
        if self.site.tracked:
            self._log.append(self._cursor())

    def in_flight(self) -> int:
        """Return how many were announced and are not settled."""
        return len(self._open)

    def rebase(self) -> None:
        """Records already taken stay; numbering goes on with the new upstream."""
        self._exhausted = False
        self._upstream_error = None
        self._behind = (self.upstream.marks(), 0)

    # -- downstream's side -----------------------------------------------------------------------

    async def advance(self, n: int) -> list[PipelineEvent]:
        """Deliver what the workers have made, and wait for them if that is nothing."""
        if not self._workers:
            count = self.settings.concurrency
            self._workers = [self.run.spawn(self._work(), f"documents {k}") for k in range(count)]
        while True:
            if self._fault is not None:
                raise self._fault
            out = self._deliver(n)
            if out or self.extras or self._over:
                return out
            if self.reached_limit() and not self._unsettled:
                self.end_by_limit()
                return []
            ended = self._exhausted or (self._left and not self._fetching)
            if ended and self._unsettled == self._left:
                if self._upstream_error is not None:
                    raise self._upstream_error
                return []
            self._call_for_records()
            await self._ready.wait()

    def _deliver(self, n: int) -> list[PipelineEvent]:
        out: list[PipelineEvent] = []
        while len(out) < n and not self._over:
            if self.owed:
                self.owed = False
                out.append(self.progress())
            elif self._queue:
                number, event = self._queue.popleft()
                self._settle(number, event)
                if event is None:
                    continue
                out.append(event)
            else:
                break
            self.note()
        return out

    def _settle(self, number: int, event: PipelineEvent | None) -> None:
        """Move sums and position behind an event that is about to be delivered."""
        if isinstance(event, DocumentStarted):
            self._open[number] = 1
            return
        if isinstance(event, DocumentFailed) and event.will_retry:
            self._open[number] = self._open.get(number, 1) + 1
            self.book.retried += 1
            return
        self._open.pop(number, None)
        same, changed = number in self._same, number in self._changed
        self._same.discard(number)
        self._changed.discard(number)
        self._unsettled -= 1
        self._acked.add(number)
        self._pass_settled()
        if isinstance(event, DocumentCompleted):
            self.settle_completed(event.document, changed=changed)
        elif isinstance(event, DocumentFailed):
            self.settle_failed()
            if self.settings.fail_fast:
                self.end_by_failure(event.doc_id or "?", event.error)
        else:
            self.settle_skipped(unchanged=same)
        self._call_for_records()

    def _room(self) -> int:
        """How many more records may be taken."""
        room = window_of(self.settings) - (self._fetched - self._low)
        limit = self.settings.limit
        if limit is not None:
            room = min(room, limit - self.book.processed - self._unsettled)
        return 0 if self._over or self.extras else room

    def _call_for_records(self) -> None:
        if self._idle and not self._records and not self._exhausted and self._room() > 0:
            self._idle.popleft().open()

    # -- the workers' side -----------------------------------------------------------------------

    async def _work(self) -> None:
        gate = Gate(self.run, for_task=True)
        try:
            while True:
                if self.run.strained():
                    await self.run.breathe()
                if self._records:
                    number, raw, same = self._records.popleft()
                    if self._idle and self._records:
                        self._idle.popleft().open()
                    await self._in_turn(number, raw, same=same)
                elif self._fetching or self._exhausted or self._room() <= 0:
                    self._idle.append(gate)
                    await gate.wait()
                else:
                    await self._fetch()
        except Exception as error:  # noqa: BLE001  a fault of ours must end the run, not leave it waiting
            if not self.run.over(error):
                self._fault = error
                self._ready.open()

    async def _fetch(self) -> None:
        self._fetching = True
        try:
            page = await self.upstream.request(self._room())
            marks = self.upstream.marks()
            same, changed = await self.compare(page)
        except Exception as error:
            if self.run.over(error):
                raise
            self._upstream_error, self._exhausted = error, True
            self._behind = (self.upstream.marks(), 0)
            self._ready.open()
            return
        finally:
            self._fetching = False
        first = self._fetched
        self._fetched += len(page)
        self._places.extend((marks, i) for i in range(len(page)))
        self._behind = (marks, len(page))
        if not page:
            self._exhausted = True
            self._ready.open()
            return
        self.got_records()
        self.wake_if_completed()
        for i, raw in enumerate(page):
            number = first + i
            if number in self._done_before:
                continue
            self._unsettled += 1
            skip = i in same and number not in self._open
            if skip:
                self._same.add(number)
            elif i in changed:
                self._changed.add(number)
            self._records.append((number, raw, skip))
        self._pass_settled()
        self._ready.open()

    def _pass_settled(self) -> None:
        """Move the watermark over settled records that were fetched: a resumed run knows of more."""
        while self._low in self._acked and self._places:
            self._acked.discard(self._low)
            self._low += 1
            self._places.popleft()

    def _put(self, number: int, event: PipelineEvent | None) -> None:
        self._queue.append((number, event))
        self._ready.open()

    async def _in_turn(self, number: int, raw: RawRecord, *, same: bool) -> None:
        """Take one record when those of its document before it are done with: the last content counts."""
        if same and not self._lines and not self._left and not self.outdated(raw):
            self._put(number, None)
            return
        doc_id, gate = self.name_of(raw)[0], Gate(self.run, for_task=True)
        line = self._lines.setdefault(doc_id, deque())
        line.append(gate)
        try:
            while line[0] is not gate:
                await gate.wait()
            if doc_id in self._left_ids:
                self._leave(doc_id)
            else:
                await self._one(number, raw, same=same)
        finally:
            line.remove(gate)
            if line:
                line[0].open()
            else:
                del self._lines[doc_id]

    def _leave(self, doc_id: str) -> None:
        """Leave a record unsettled: the run is drained, and another goes on with it."""
        self._left += 1
        self._left_ids.add(doc_id)
        self._ready.open()

    async def _one(self, number: int, raw: RawRecord, *, same: bool) -> None:
        """Take one record through all its attempts."""
        if same and not self.outdated(raw):
            self._put(number, None)
            return
        if same:
            self._same.discard(number)
            self._changed.add(number)
        began = self.run.clock.time()
        doc_id, nameless = self.name_of(raw)
        opened = self._open.get(number, 0)
        retries = max(opened - 1, 0)
        series = Series(self.settings.retry, retries + 1)

        def announce() -> None:
            nonlocal opened
            if number in self._changed:
                self.revised.add(doc_id)
            if not opened:
                opened = 1
                started = DocumentStarted(began, self.pipeline_id, doc_id, self.source.name, self.parameters)
                self._put(number, started)

        if not self.settings.where:
            announce()
        while True:
            document, error = (None, nameless) if nameless is not None else await self._attempt(raw, announce)
            rejected = error is None and document is None
            if rejected and not opened:
                self._put(number, None)
                return
            if rejected:
                error = DocumentError("left out by where, after a failed attempt had been announced")
            announce()
            if document is not None:
                ended = self.run.clock.time()
                took = max(ended - began, 0.0)
                name = self.source.name
                self._put(
                    number, DocumentCompleted(ended, self.pipeline_id, doc_id, name, document, took, retries)
                )
                return
            if not await self._try_again(number, raw, doc_id, error or RuntimeError("failed"), series):
                return
            retries += 1

    async def _try_again(
        self, number: int, raw: RawRecord, doc_id: str, error: Exception, series: Series
    ) -> bool:
        """Tell of a failed attempt; wait and return true if there is another in this run."""
        now, retries = asyncio.get_running_loop().time(), series.attempt - 1
        delay = series.failed(error, now)
        self._put(number, self.failed(raw, doc_id, error, retries, will_retry=delay is not None))
        if delay is None:
            return False
        loop = asyncio.get_running_loop()
        deadline, gate = now + delay, Gate(self.run)
        while loop.time() < deadline and not self.run.draining:
            await gate.wait(deadline)
        if self.run.draining:
            self._leave(doc_id)
        return not self.run.draining

    async def _attempt(
        self, raw: RawRecord, announce: Callable[[], None]
    ) -> tuple[Document | None, Exception | None]:
        """Return the document, or the error, or neither if ``where`` leaves it out.

        ``announce`` is called before the first step, once ``where`` has accepted the document.
        """
        document, error = self.understand(raw)
        if document is None:
            return None, error
        try:
            if not all(accept(document) for accept in self.settings.where):
                return None, None
            announce()
            for step in self.settings.process:
                outcome = step(document)
                document = checked(step, await outcome if asyncio.iscoroutine(outcome) else outcome)
        except asyncio.CancelledError:
            if self.run.closed or self._closed:
                raise
            return None, DocumentError(
                "a processing step was cancelled by somebody else than Penstock", retryable=True
            )
        except Exception as failure:  # noqa: BLE001  a document that fails is data
            return None, failure
        return document, None

    async def _stop(self) -> None:
        workers, self._workers = self._workers, []
        for task in workers:
            task.cancel()
        if workers:
            await asyncio.wait(workers)
        for task in workers:
            if not task.cancelled():
                task.exception()
        await super()._stop()

    # -- positions -------------------------------------------------------------------------------

    def _cursor(self) -> tuple[Marks, int, dict[str, Any]]:
        page, offset = self._places[0] if self._places else self._behind
        opens = {number - self._low: count for number, count in self._open.items()}
        return page, offset, self.state(opens, sorted(number - self._low for number in self._acked))

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        key, here, start, log = self.site.vertex.id, self._cursor(), self._start, tuple(self._log)
        tracked = self.site.tracked

        def at(i: int) -> States:
            page, offset, state = here if not tracked or i >= len(log) else log[i - 1] if i else start
            return {**page(offset), key: state}

        return at
