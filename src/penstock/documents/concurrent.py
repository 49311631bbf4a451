"""The event stage with several documents in work at a time; processing steps may be async."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.documents.fate import Fate
from penstock.documents.settings import window_of
from penstock.documents.stage import Cursor, DocumentStage
from penstock.errors import DocumentError
from penstock.events import DocumentFailed, DocumentStarted, PipelineEvent
from penstock.runtime.numbered import NumberedInputs
from penstock.runtime.run import Gate

if TYPE_CHECKING:
    from penstock.abc import Source
    from penstock.document import RawRecord
    from penstock.documents.settings import Settings
    from penstock.runtime.node import Site


@dataclass(slots=True, eq=False)
class _Record:
    """A record in work. Numbers count from the first unsettled record of the position the run began with."""

    number: int
    raw: RawRecord
    unchanged: bool
    changed: bool


class ConcurrentDocumentStage(DocumentStage):
    """Workers put events into one queue. Counts and position move when an event is delivered from it.

    An event of ``None`` settles its record without an event.
    """

    def __init__(self, site: Site, source: Source, settings: Settings) -> None:
        super().__init__(site, source, settings)
        self._inputs = NumberedInputs(self.upstream.marks(), self.state.acked)
        self._open = dict(self.state.open)
        self._records: deque[_Record] = deque()  # no worker has taken these yet
        self._queue: deque[tuple[_Record, PipelineEvent | None]] = deque()
        self._unsettled = 0
        self._left = 0  # of these, how many a drained run leaves to the run that continues it
        self._left_ids: set[str] = set()
        self._lines: dict[
            str, deque[Gate]
        ] = {}  # by document id: the worker on a record of it, then those waiting
        self._fetching = False
        self._exhausted = False
        self._upstream_error: Exception | None = None
        self._fault: Exception | None = None
        self._ready = Gate(self.run)
        self._idle: deque[Gate] = deque()
        self._workers: list[asyncio.Task[None]] = []

    def in_flight(self) -> int:
        """Return how many documents were announced and are not settled."""
        return len(self._open)

    def rebase(self) -> None:
        """Number the records of the new upstream behind those already taken, which stay."""
        self._exhausted = False
        self._upstream_error = None
        self._inputs.fetch(0, self.upstream.marks())

    # -- downstream's side -----------------------------------------------------------------------

    async def advance(self, n: int) -> list[PipelineEvent]:
        """Deliver events of the workers; wait for them if there are none."""
        if not self._workers:
            count = self.settings.concurrency
            self._workers = [self.run.spawn(self._work(), f"documents {k}") for k in range(count)]
        while True:
            if self._fault is not None:
                raise self._fault
            out = [] if self.announcements else self._deliver(n)  # those of a page come before its documents
            if out or self.announcements or self.over:
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
        while len(out) < n and not self.over:
            if self.state.progress_due:
                out.append(self.take_progress())
            elif self._queue:
                record, event = self._queue.popleft()
                self._move_behind(record, event)
                if event is None:
                    continue
                out.append(event)
            else:
                break
            self.note()
        return out

    def _move_behind(self, record: _Record, event: PipelineEvent | None) -> None:
        """Move counts and position behind an event that is about to be delivered."""
        number = record.number
        if isinstance(event, DocumentStarted):
            self._open[number] = 1
            return
        if isinstance(event, DocumentFailed) and event.will_retry:
            self._open[number] = self._open.get(number, 1) + 1
            self.state.counts.retried += 1
            return
        self._open.pop(number, None)
        self._unsettled -= 1
        self._inputs.settle((number,))
        self.count_settled(event, changed=record.changed, unchanged=record.unchanged)
        self._call_for_records()

    def _room(self) -> int:
        """Return how many more records may be taken from upstream."""
        room = window_of(self.settings) - self._inputs.span
        limit = self.settings.limit
        if limit is not None:
            room = min(room, limit - self.state.processed - self._unsettled)
        return 0 if self.over or self.announcements else room

    def _call_for_records(self) -> None:
        """Wake a worker to fetch records, if there is room for some."""
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
                    record = self._records.popleft()
                    if self._idle and self._records:
                        self._idle.popleft().open()
                    await self._in_turn(record)
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
            unchanged, changed = await self.context.compare(page)
        except Exception as error:
            if self.run.over(error):
                raise
            self._upstream_error, self._exhausted = error, True
            self._inputs.fetch(0, self.upstream.marks())
            self._ready.open()
            return
        finally:
            self._fetching = False
        first = self._inputs.fetched
        numbers = self._inputs.fetch(len(page), marks)
        self._ready.open()
        if not page:
            self._exhausted = True
            return
        self.got_records()
        self._unsettled += len(numbers)
        for number in numbers:
            i = number - first
            same = i in unchanged and number not in self._open
            self._records.append(_Record(number, page[i], same, i in changed))

    def _put(self, record: _Record, event: PipelineEvent | None) -> None:
        self._queue.append((record, event))
        self._ready.open()

    async def _in_turn(self, record: _Record) -> None:
        """Work on a record after all earlier records of its document: the last content counts."""
        raw = record.raw
        if record.unchanged and not self._lines and not self._left and not self.context.outdated(raw):
            self._put(record, None)
            return
        doc_id, gate = self.context.identify(raw)[0], Gate(self.run, for_task=True)
        line = self._lines.setdefault(doc_id, deque())
        line.append(gate)
        try:
            while line[0] is not gate:
                await gate.wait()
            if doc_id in self._left_ids:
                self._leave(doc_id)
            else:
                await self._one(record)
        finally:
            line.remove(gate)
            if line:
                line[0].open()
            else:
                del self._lines[doc_id]

    def _leave(self, doc_id: str) -> None:
        """Leave a record unsettled: the run is drained, and the run that continues it takes the record."""
        self._left += 1
        self._left_ids.add(doc_id)
        self._ready.open()

    async def _one(self, record: _Record) -> None:
        """Take one record through all its attempts."""
        if record.unchanged and not self.context.outdated(record.raw):
            self._put(record, None)
            return
        if record.unchanged:
            record.unchanged, record.changed = False, True
        began, delivered = self.run.clock.time(), self._open.get(record.number, 0)
        fate = Fate(self.context, record.raw, began, delivered, changed=record.changed)
        while True:
            await self._attempt(record, fate)
            if fate.retry_at is None:
                return
            await self.pause(fate.retry_at, Gate(self.run))
            if self.run.draining:
                self._leave(fate.doc_id)
                return

    async def _attempt(self, record: _Record, fate: Fate) -> None:
        try:
            for event in fate.read():
                self._put(record, event)
            await fate.process_async()
        except asyncio.CancelledError:
            if self.run.closed or self._closed:
                raise
            fate.fail(
                DocumentError("a processing step was cancelled by code outside Penstock", retryable=True)
            )
        self._put(record, fate.finish())

    async def _stop(self) -> None:
        workers, self._workers = self._workers, []
        for task in workers:
            self.run.cancel(task)
        await asyncio.gather(*workers, return_exceptions=True)  # _work has stored any fault
        await super()._stop()

    # -- positions -------------------------------------------------------------------------------

    def cursor(self) -> Cursor:
        """See the base."""
        low = self._inputs.low
        self.state.open = {number - low: count for number, count in self._open.items()}
        self.state.acked = self._inputs.beyond()
        return *self._inputs.place(), self.state.to_json()
