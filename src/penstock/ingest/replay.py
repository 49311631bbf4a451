"""Dead letters, tried again: parsed from the raw bytes that the ledger kept, without fetching anything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from penstock.abc import DeadLetter, DocumentState, Page
from penstock.document import RawRecord, content_hash
from penstock.documents.letters import CUT, letter_of
from penstock.events import DocumentCompleted, DocumentFailed
from penstock.fusion.drive import SlowStart
from penstock.ingest.delivery import Delivery
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from penstock.abc import Ledger, Opened, Position, Sink, Source
    from penstock.document import Document
    from penstock.events import PipelineEvent
    from penstock.runtime.node import Node

__all__ = ["Replayed", "replay"]

PAGE = 64
"""Letters that are read from the ledger at a time; each is as large as its record."""


@dataclass(slots=True)
class Replayed:
    """What a replay came to: of ``letters`` tried, those that ``completed`` and those that ``failed`` again.

    The others were left out by ``where``, and stay. ``failures`` are the last few errors, for people.
    """

    letters: int = 0
    completed: int = 0
    failed: int = 0
    failures: list[DeadLetter] = field(default_factory=list)


KEPT_FAILURES = 10


@dataclass(slots=True, eq=False)
class _Replay:
    """One pass over the letters that there are at its beginning."""

    source: Source
    ledger: Ledger
    key: str
    wanted: Collection[str] | None
    result: Replayed = field(default_factory=Replayed)
    under_way: dict[str, dict[str, str]] = field(default_factory=dict)
    """By document id, as the source gives it now: the keys and content hashes of its letters under way."""
    newest: dict[str, str] = field(default_factory=dict)
    """By document id, as the letters have it, the key of its last letter; holds the ids of all letters."""

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
            if not left:  # what is behind has failed again, just now
                break
        yield Page(page, position=self.result.letters)

    def _refuse(self, letter: DeadLetter) -> None:
        """Count a letter that is a part of its record only as failed, and leave it as it is."""
        told = (
            f"only {len(letter.raw)} of the record's {letter.context[CUT]} bytes were kept, so it cannot be "
            f"replayed; ingest its input again (--refresh). It had failed with: {letter.error}"
        )
        self.result.letters += 1
        self.result.failed += 1
        self.result.failures = [*self.result.failures, replace(letter, error=told)][-KEPT_FAILURES:]

    def _record(self, letter: DeadLetter) -> RawRecord:
        raw = RawRecord(letter.key, letter.raw, letter.context)
        self.result.letters += 1
        try:
            doc_id = self.source.identify(raw)
        except Exception:  # noqa: BLE001  a record without an id goes by its key, as in the event stage
            doc_id = raw.key
        self.under_way.setdefault(doc_id, {})[letter.key] = content_hash(letter.raw)
        return raw

    def read(
        self, events: list[PipelineEvent]
    ) -> tuple[list[Document], list[DocumentState], list[DeadLetter], list[str]]:
        """Return what the events mean: documents, states, letters of what failed, keys of what did not."""
        documents: list[Document] = []
        states: list[DocumentState] = []
        dead: list[DeadLetter] = []
        resolved: list[str] = []
        for event in events:
            if isinstance(event, DocumentCompleted):
                document, tries = event.document, 1 + event.retry_count
                status = "deleted" if document.deleted else "completed"
                keys = self._letters_of(document, event.doc_id)
                documents.append(document)
                resolved += keys
                if not self._outdated(document.doc_id, *keys):
                    states.append(DocumentState(document.doc_id, status, document.content_hash, tries))
                self.result.completed += 1
            elif isinstance(event, DocumentFailed) and not event.will_retry:
                state, letter = letter_of(event)
                self._settled(event.doc_id, letter.key)
                if not self._outdated(event.doc_id, letter.key):
                    states.append(state)
                    dead.append(letter)
                self.result.failed += 1
                self.result.failures = [*self.result.failures, letter][-KEPT_FAILURES:]
        return documents, states, dead, resolved

    def _outdated(self, doc_id: str | None, *keys: str) -> bool:
        """Whether there is a later letter of the document than those of ``keys``.

        That one says what became of it, so nothing is said of this one: a state would settle the later letter
        untried, and a letter committed again would come behind it, so that the next replay would end with the
        older content.
        """
        last = None if doc_id is None else self.newest.get(doc_id)
        return last is not None and last not in keys

    def _letters_of(self, document: Document, doc_id: str) -> list[str]:
        """Return the key of the letter that became ``document``, and forget that it is under way."""
        under_way = self.under_way.get(doc_id, {})
        same = (key for key, digest in under_way.items() if digest == document.content_hash)
        key = next(same, next(iter(under_way), None))
        return [] if key is None else self._settled(doc_id, key)

    def _settled(self, doc_id: str | None, key: str) -> list[str]:
        under_way = self.under_way.get(doc_id or "", {})
        under_way.pop(key, None)
        if not under_way:
            self.under_way.pop(doc_id or "", None)
        return [key]


async def replay(
    source: Source,
    events: Callable[..., Node],
    ledger: Ledger,
    sink: Sink,
    *,
    key: str,
    commit_every: int,
    wanted: Collection[str] | None = None,
) -> Replayed:
    """Try the dead letters of ``key`` again; see ``IngestionPipeline.replay``.

    ``events(fetch=...)`` returns the event stage that reads from ``fetch``. Every commit repeats the position
    and the sums of the last one: an interrupted run goes on from there later, as if nothing had been between.
    """
    delivery, one, demand = Delivery(sink, ledger, key), _Replay(source, ledger, key, wanted), SlowStart()
    try:
        opened, position = await delivery.open()

        def reached() -> tuple[Position, dict[str, int]]:
            return position or {}, opened.counts if opened else {}

        async with Running[Any](events(fetch=one.fetch)) as subscription:
            try:
                while chunk := await subscription.request(demand.n):
                    began = subscription.run.clock.monotonic()
                    await delivery.take(*one.read(chunk))
                    if delivery.uncommitted >= commit_every:
                        await delivery.commit(*reached())
                    demand.took(subscription.run.clock.monotonic() - began)
                await delivery.commit(*reached())
                await _finish(delivery, opened)
            except BaseException as error:
                await delivery.keep(error, reached)
                raise
    finally:
        await delivery.aclose()
    return one.result


async def _finish(delivery: Delivery, opened: Opened | None) -> None:
    """End the logical run that opening has begun; one that was interrupted goes on later."""
    if opened is not None and opened.resumed:
        await delivery.settled()
    else:
        await delivery.finish()
