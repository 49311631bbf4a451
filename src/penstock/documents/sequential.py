"""The event stage with one document after the other."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NoReturn, cast

from penstock.documents.fate import Fate, unwritable
from penstock.documents.parsed import ParsedRecord
from penstock.documents.stage import Cursor, DocumentStage
from penstock.events import DocumentCompleted, DocumentStarted, PipelineEvent
from penstock.runtime.run import STRETCH, Pace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from types import GeneratorType

    from expression import Result

    from penstock.abc import Source
    from penstock.document import Document, RawRecord
    from penstock.documents.settings import Settings
    from penstock.errors import DocumentError
    from penstock.runtime.node import Site


class SequentialDocumentStage(DocumentStage):
    """Runs a generator over the records of each page, which yields their events.

    Where records are only parsed and counted, the generator is ``_plainly``; otherwise it is ``_work``.
    """

    def __init__(self, site: Site, source: Source, settings: Settings) -> None:
        super().__init__(site, source, settings)
        self._delivered_later = dict(self.state.open)
        self._delivered = self._delivered_later.pop(0, 0)  # events of the current record that were delivered
        self._settled_later: set[int] = set(self.state.acked)
        self._fate: Fate | None = None  # of the current record, once its first attempt has begun
        self._page: list[RawRecord] = []
        self._page_marks = self.upstream.marks()
        self._at = 0
        self._to_compare = False  # whether the page must still be compared with earlier runs
        self._to_skip: set[int] = set()  # unchanged records, and settled ones
        self._changed: set[int] = set()
        self._retry_at: float | None = None
        self._generator: GeneratorType[PipelineEvent, None, None] | None = None
        self._plain = False  # whether the generator counts in variables of its own
        self._difficult = False  # whether the rest of the page is for ``_work``
        self._pace = Pace()

    def rebase(self) -> None:
        """See the base."""
        self._page, self._at, self._page_marks, self._fate = [], 0, self.upstream.marks(), None

    def in_flight(self) -> int:
        """Return how many were announced and not settled; a concurrent run may have left several."""
        self._catch_up()
        return bool(self._delivered) + len(self._delivered_later)

    async def lazily(self, n: int) -> Iterable[PipelineEvent]:
        """See the base: events are created one by one, as the driver reads them."""
        return await self.next_events(n, self._advance_lazily)

    async def _advance_lazily(self, n: int) -> Iterable[PipelineEvent]:
        return await self._prepare(n) or []

    async def advance(self, n: int) -> list[PipelineEvent]:
        """Run the generator in slices until it has yielded events or upstream has ended."""
        run = self.run
        out: list[PipelineEvent] = []
        while not (out and self._retry_at is not None) and (events := await self._prepare(n)):
            began = run.clock.monotonic()
            wanted = min(n - len(out), self._pace.size)
            before = len(out)
            self._pull(events, out, wanted)
            whole = len(out) - before == wanted
            now = run.clock.monotonic()
            self._pace.took(now - began)
            if len(out) >= n or (out and (not whole or now - run.stretch > STRETCH)) or self.over:
                break
            if now - run.stretch > STRETCH:
                await run.breathe()
        return out

    async def _prepare(self, n: int) -> Iterable[PipelineEvent] | None:
        """Return the generator of a page; ``None`` at the end, and if other events are due first."""
        if self._generator is not None and self._generator.gi_frame is None:
            self._generator = None
        if self._retry_at is not None:
            await self.pause(self._retry_at, self.gate)
            if self.run.draining:
                return None  # the run that resumes this one tries the record again
            self._retry_at = self._generator = None
        if self._generator is None:
            if self._at >= len(self._page) and not self.state.progress_due and not await self._turn_page(n):
                return None
            if self.announcements:
                return None
            await self._compare()
            self._plain = self._is_plain()
            work = self._plainly() if self._plain else self._work()
            self._generator = cast("GeneratorType[PipelineEvent, None, None]", work)
        return self._generator

    def _pull(self, events: Iterable[PipelineEvent], out: list[PipelineEvent], wanted: int) -> None:
        if not self.site.tracked:
            out.extend(islice(events, wanted))
            return
        for event in islice(events, wanted):
            out.append(event)
            self.note()

    async def _turn_page(self, n: int) -> bool:
        if self.reached_limit():
            self.end_by_limit()
            return False
        limit = self.settings.limit
        if limit is not None:
            n = min(n, limit - self.state.processed)
        page = await self.upstream.request(n)
        gone = len(self._page)
        self._settled_later = {i - gone for i in self._settled_later if i >= gone}
        self._delivered_later = {i - gone: count for i, count in self._delivered_later.items() if i >= gone}
        self._delivered = self._delivered_later.pop(0, self._delivered)
        self._page_marks, self._page, self._at = self.upstream.marks(), page, 0
        self._to_compare = bool(page)
        self._to_skip, self._changed = set(), set()
        self._difficult = False
        if page:
            self.got_records()
        return bool(page)

    async def _compare(self) -> None:
        """Find out which records of the page are unchanged; a cancelled request does not cancel this."""
        if not self._to_compare:
            return
        if self.settings.compare is not None:
            if not self.errand.running:
                self.errand.begin(self.context.compare(self._page), "skip")
            self._to_skip, self._changed = await self.errand.result()
        started = {0 if self._delivered else -1, *self._delivered_later}  # by the run that this one resumes
        self._to_skip -= started
        self._to_skip |= {i for i in self._settled_later if i < len(self._page)}
        self._to_compare = False

    def _is_plain(self) -> bool:
        """Whether the records of this page are only parsed and counted."""
        settings = self.settings
        return not (
            self._difficult
            or settings.where
            or settings.keep_raw
            or settings.process
            or settings.limit is not None
            or self.context.validates
            or self._to_skip
            or self._changed
            or self._delivered_later
            or self._delivered
            or self.state.progress_due
        )

    def _plainly(self) -> Generator[PipelineEvent, None, None]:
        """Do what ``_work`` does, in one flat loop that takes half the time for each document.

        It counts in local variables, which ``_catch_up`` reads when they are needed.
        """
        context, source = self.context, self.context.source
        name, parameters, pipeline_id = source.name, context.parameters, context.pipeline_id
        now, identify, parse, checks = self.run.clock.time, context.name_of, source.parse, context.checks
        at, delivered = self._at, 0
        due = at + self._until_progress
        try:
            for raw in islice(self._page, at, None):
                parsed = raw if type(raw) is ParsedRecord else None
                began = now() if parsed is None else parsed.began
                try:
                    doc_id = identify(raw) if parsed is None else parsed.known_id()
                except Exception:  # noqa: BLE001  _work handles it
                    self._no_longer_plainly(at)
                    return
                delivered = 1
                yield DocumentStarted(began, pipeline_id, doc_id, name, parameters)
                try:
                    document = _document_in(parse(raw)) if parsed is None else parsed.document()
                    if checks and (fault := unwritable(document, json=self.settings.writable)):
                        _raise(fault)
                except Exception as error:  # noqa: BLE001  a bad record is data
                    self._count(at, delivered)
                    self._fate = fate = Fate(context, raw, began, 1)
                    fate.fail(error)
                    event = self._finish_attempt(fate)
                    at, delivered = self._at, self._delivered
                    due = at if self.state.progress_due else at + self._until_progress
                    if event is not None:
                        yield event
                    if self._retry_at is not None or self.over:
                        return
                else:
                    ended = now()
                    at += 1
                    delivered = 0
                    if document.deleted:
                        self.state.counts.deleted += 1
                    yield DocumentCompleted(ended, pipeline_id, doc_id, name, document, ended - began)
                if at == due:
                    self._count(at, 0)
                    due = at + self._until_progress
                    yield self.take_progress()
        finally:
            if self._plain:
                self._count(at, delivered)

    def _no_longer_plainly(self, at: int) -> None:
        """Leave record ``at`` and the rest of the page to ``_work``.

        A generator that went on with ``_work`` itself would be kept by the error that it handles. It would be
        closed by the garbage collector, in the middle of what follows, and take records along.
        """
        self._count(at, 0)
        self._plain = False
        self._difficult = True

    def _catch_up(self) -> None:
        """Bring counts and position up to date with the local variables of ``_plainly``."""
        generator = self._generator
        if self._plain and generator is not None and not generator.gi_running and generator.gi_frame:
            counted = generator.gi_frame.f_locals
            if "due" in counted:
                self._count(counted["at"], counted["delivered"])

    def _count(self, at: int, delivered: int) -> None:
        """Count the records before ``at`` as completed; ``delivered`` events of that one were delivered."""
        done = at - self._at
        self._at, self._delivered = at, delivered
        self.state.counts.completed += done
        self.count_down(done)

    def _work(self) -> Generator[PipelineEvent, None, None]:
        """Yield events from where the stage stands; before each one, move counts and position behind it."""
        limited, page, same = self.settings.limit is not None, self._page, self._to_skip
        if self.state.progress_due:
            yield self.take_progress()
        while self._at < len(page):
            if limited and self.reached_limit():
                self.end_by_limit()
                return
            if same and self._at in same and not self._outdated():
                self._skip()
            else:
                fate = self._fate
                if fate is None:
                    raw, began, changed = page[self._at], self.run.clock.time(), self._at in self._changed
                    self._fate = fate = Fate(self.context, raw, began, self._delivered, changed=changed)
                for event in fate.read():
                    self._delivered = 1
                    yield event
                fate.process()
                last = self._finish_attempt(fate)
                if last is not None:
                    yield last
                if self._retry_at is not None or self.over:
                    return
            if self.state.progress_due:
                yield self.take_progress()

    def _outdated(self) -> bool:
        """Whether the current record must be taken although earlier runs completed it with this content."""
        at = self._at
        if at in self._settled_later or not self.context.outdated(self._page[at]):
            return False
        self._to_skip.discard(at)
        self._changed.add(at)
        return True

    def _finish_attempt(self, fate: Fate) -> PipelineEvent | None:
        """Return the event that ends an attempt, with counts and position behind it."""
        event = fate.finish()
        self._retry_at = fate.retry_at
        if fate.retry_at is not None:
            self._delivered += 1
            self.state.counts.retried += 1
        else:
            self._next_record()
            self.count_settled(event, changed=fate.changed)
        return event

    def _skip(self) -> None:
        """Pass over a record that is unchanged, or that was settled by the run that this one resumes."""
        settled, unchanged = self._at in self._settled_later, self._at in self._to_skip
        self._settled_later.discard(self._at)
        self._next_record()
        if not settled:
            self.count_settled(None, unchanged=unchanged)

    def _next_record(self) -> None:
        self._at += 1
        self._delivered = self._delivered_later.pop(self._at, 0) if self._delivered_later else 0
        self._fate = None

    # -- positions -------------------------------------------------------------------------------

    def cursor(self) -> Cursor:
        """See the base."""
        self._catch_up()
        self.state.acked = sorted(i - self._at for i in self._settled_later if i >= self._at)
        later = self._delivered_later.items()
        self.state.open = {i - self._at: count for i, count in later if i > self._at}
        if self._delivered:
            self.state.open[0] = self._delivered
        return self._page_marks, self._at, self.state.to_json()


def _document_in(result: Result[Document, DocumentError]) -> Document:
    return result.ok if result.tag == "ok" else _raise(result.error)


def _raise(error: Exception) -> NoReturn:
    raise error
