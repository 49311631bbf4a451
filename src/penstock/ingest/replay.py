"""Replay of dead letters: they are parsed again from the raw bytes in the ledger. Nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from penstock.abc import DeadLetter, Page
from penstock.abc.delivery import DEADLY
from penstock.document import RawRecord, content_hash
from penstock.documents.letters import CUT, letter_of, state_of
from penstock.events import DocumentCompleted, DocumentFailed
from penstock.ingest.delivery import Batch, Delivery
from penstock.ingest.transfer import Transfer
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from penstock.abc import Ledger, Position, Sink, Source
    from penstock.document import Document
    from penstock.events import PipelineEvent
    from penstock.ingest.delivery import Reached
    from penstock.ingest.plan import Plan

PAGE = 64
"""Letters that are read from the ledger at a time; each is as large as its record."""

KEPT_FAILURES = 10


@dataclass(slots=True)
class Replayed:
    """The outcome of a replay: of ``letters`` tried, how many ``completed`` and how many ``failed`` again.

    Letters that ``where`` left out stay, and count as neither. ``failures`` are the last few errors.
    """

    letters: int = 0
    completed: int = 0
    failed: int = 0
    failures: list[DeadLetter] = field(default_factory=list)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle, note, title

        done = f"{self.letters:,} letters: {self.completed:,} completed, {self.failed:,} failed again"
        return bundle(
            repr(self), title("Replayed", done), *(note(one.error, bad=True) for one in self.failures)
        )

    def fail(self, letter: DeadLetter) -> None:
        """Count a letter that failed again."""
        self.failed += 1
        self.failures = [*self.failures, letter][-KEPT_FAILURES:]


@dataclass(slots=True, eq=False)
class _Replay:
    """One pass over the letters that the ledger holds when it begins."""

    source: Source
    ledger: Ledger
    key: str
    wanted: Collection[str] | None
    result: Replayed = field(default_factory=Replayed)
    under_way: dict[str, dict[str, str]] = field(default_factory=dict)
    """By the document id that the source finds today: keys and content hashes of its letters under way."""
    unnamed: dict[str, str] = field(default_factory=dict)
    """By the content hash: the key of a letter under way whose record is not looked at in this process."""
    newest: dict[str, str] = field(default_factory=dict)
    """By the document id in the ledger: the key of its last letter. Holds the ids of all letters."""

    async def fetch(self, _: Any) -> AsyncIterator[Page[RawRecord]]:
        """Yield the letters as records."""
        page: list[RawRecord] = []
        left = await self.ledger.count_dead_letters(self.key)
        if not left:
            return
        async for letter in self.ledger.dead_letters(self.key):
            if letter.doc_id is not None:
                self.newest[letter.doc_id] = letter.key
        async for letter in self.ledger.dead_letters(self.key):
            if self.wanted is None or letter.key in self.wanted:
                if CUT in letter.context:
                    self._refuse(letter)
                else:
                    page.append(self._record(letter))
            if len(page) >= PAGE:
                yield Page(page, position=self.result.letters)
                page = []
            left -= 1
            if not left:  # later letters have failed again in this replay
                break
        yield Page(page, position=self.result.letters)

    async def kills(self) -> bool:
        """Return whether a record has killed processes that parsed it."""
        async for letter in self.ledger.deadly_letters(self.key):
            if self.wanted is None or letter.key in self.wanted:
                return True
        return False

    def _refuse(self, letter: DeadLetter) -> None:
        """Count a letter that holds only a part of its record as failed, and leave it unchanged."""
        error = (
            f"only {len(letter.raw)} of the record's {letter.context[CUT]} bytes were kept, so it cannot be "
            f"replayed; ingest its input again (--refresh). It had failed with: {letter.error}"
        )
        self.result.letters += 1
        self.result.fail(replace(letter, error=error))

    def _record(self, letter: DeadLetter) -> RawRecord:
        raw = RawRecord(letter.key, letter.raw, letter.context)
        self.result.letters += 1
        if DEADLY in raw.context:  # ``identify`` may parse the record
            self.unnamed[content_hash(letter.raw)] = letter.key
            return raw
        try:
            doc_id = self.source.identify(raw)
        except Exception:  # noqa: BLE001  a record without an id is known by its key, as in the event stage
            doc_id = raw.key
        self.under_way.setdefault(doc_id, {})[letter.key] = content_hash(letter.raw)
        return raw

    def read(self, events: list[PipelineEvent]) -> Batch:
        """Return documents, states, letters that failed again, and keys of letters that did not."""
        batch = Batch()
        for event in events:
            if isinstance(event, DocumentCompleted):
                keys = self._letters_of(event.document, event.doc_id)
                batch.documents.append(event.document)
                batch.resolved += keys
                if not self._outdated(event.document.doc_id, *keys):
                    batch.states.append(state_of(event))
                self.result.completed += 1
            elif isinstance(event, DocumentFailed) and not event.will_retry:
                state, letter = letter_of(event)
                self._settled(event.doc_id, letter.key)
                if not self._outdated(event.doc_id, letter.key):
                    batch.states.append(state)
                    batch.dead.append(letter)
                self.result.fail(letter)
        return batch

    def _outdated(self, doc_id: str | None, *keys: str) -> bool:
        """Whether the document has a later letter than those of ``keys``.

        Then the later letter decides, and nothing is stored for this one. A state would settle the later
        letter before it was tried. This letter, stored again, would come behind the later one, and the next
        replay would end with the older content.
        """
        last = None if doc_id is None else self.newest.get(doc_id)
        return last is not None and last not in keys

    def _letters_of(self, document: Document, doc_id: str) -> list[str]:
        """Return the key of the letter that became ``document``; it is no longer under way."""
        under_way = self.under_way.get(doc_id, {})
        same = (key for key, digest in under_way.items() if digest == document.content_hash)
        key = next(same, next(iter(under_way), None))
        if key is None:
            key = self.unnamed.pop(document.content_hash, None)
        return [] if key is None else self._settled(doc_id, key)

    def _settled(self, doc_id: str | None, key: str) -> list[str]:
        under_way = self.under_way.get(doc_id or "", {})
        under_way.pop(key, None)
        if not under_way:
            self.under_way.pop(doc_id or "", None)
        return [key]


async def replay(
    plan: Plan, ledger: Ledger, sink: Sink, *, wanted: Collection[str] | None = None
) -> Replayed:
    """Try the dead letters of a plan again; see ``IngestionPipeline.replay``.

    Every commit repeats the position and the counts of the last ingestion, so that an interrupted ingestion
    can be resumed later as if no replay had run.
    """
    one = _Replay(plan.adapter.source, ledger, plan.key, wanted)
    delivery = Delivery(sink, ledger, plan.key, began=plan.began)

    def reached() -> tuple[Position, dict[str, int]]:
        return position or {}, opened.counts if opened else {}

    def mark() -> Reached:
        return reached

    async def end() -> None:
        interrupted = opened is not None and opened.resumed  # stays open
        await delivery.end(*reached(), completed=not interrupted)

    try:
        opened, position = await delivery.open()
        await delivery.start_over()  # a restart that was interrupted: it has forgotten the letters
        settings = replace(plan.settings, limit=None, writable=True, keep_raw=sink.wants_raw)
        node = plan.adapter.events(settings, fetch=one.fetch, apart=await one.kills())
        async with Running[Any](node) as subscription:
            request, clock = subscription.request, subscription.run.clock
            await Transfer(delivery, request, clock, plan.checkpoint_every, one.read, mark, end).run()
    finally:
        await delivery.aclose()
    return one.result
