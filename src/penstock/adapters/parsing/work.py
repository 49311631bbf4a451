"""What the parse stage gives to its workers, and how it takes their answers."""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.abc.delivery import DEADLY
from penstock.adapters.parsing.worker import DOCUMENT, ENCODED, UNSENT, WHOLE
from penstock.document import Document, trusted_document
from penstock.documents.encoded import encoded_document
from penstock.documents.parsed import ParsedRecord, parse_with
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Source
    from penstock.adapters.parsing.worker import Answer
    from penstock.document import RawRecord

DEATHS = 3
"""So many processes may die of one record; then it is a dead letter."""


class Chunk:
    """Records that were fetched together, in order; ``missing`` is how many are still being parsed."""

    __slots__ = ("at", "missing", "records", "size", "source")

    def __init__(self, records: list[RawRecord], source: Source) -> None:
        self.records: list[RawRecord] = records
        self.source = source
        self.missing = 0
        self.size = sum(len(record.data) for record in records)
        self.at = 0

    def take(self, n: int) -> list[RawRecord]:
        """Return the next ``n`` records at most."""
        if not self.at and n >= len(self.records):
            self.at = len(self.records)
            return self.records
        taken = self.records[self.at : self.at + n]
        self.at += len(taken)
        return taken

    def condemn(self, place: int, why: str, began: float) -> None:
        """Let a record fail without parsing it in this process, and mark it as one that kills."""
        raw = self.records[place]
        context = {DEADLY: DEATHS, **raw.context}
        try:
            doc_id = self.source.glance(raw)
        except Exception:  # noqa: BLE001  a record without a name is known by its key
            doc_id = None
        error = DocumentError(f"the record {raw.key} was given up: {why}")
        self.records[place] = ParsedRecord(raw.key, raw.data, context, doc_id, error, began)

    def spare(self, began: float) -> None:
        """Condemn the records that have killed before: this process must not parse them."""
        for place, raw in enumerate(self.records):
            if DEADLY in raw.context and type(raw) is not ParsedRecord:
                self.condemn(place, "it has killed processes before, and now none could be started", began)


@dataclass(slots=True, eq=False)
class Job:
    """Some records of a chunk, by their places in it, for one process. ``deaths`` processes died of them."""

    chunk: Chunk
    places: list[int]
    deaths: int = 0
    began: float = 0.0

    def question(self, now: float) -> bytes:
        """Return the frame for a worker; it is sent at ``now``."""
        self.began = now
        records = [self.chunk.records[place] for place in self.places]
        return pickle.dumps([(one.key, one.data, one.context) for one in records], pickle.HIGHEST_PROTOCOL)

    def after_a_death(self, how: str) -> list[Job]:
        """Count a process that died of this job. Return what must be parsed again.

        It may be an accident, or one of the records: then the next process dies of that record alone.
        """
        self.deaths += 1
        if len(self.places) > 1:
            return [Job(self.chunk, [place], self.deaths) for place in self.places]
        if self.deaths < DEATHS:
            return [self]
        self.chunk.condemn(self.places[0], f"each of {DEATHS} processes that parsed it {how}", self.began)
        self.chunk.missing -= 1
        return []

    def leave(self, now: float) -> None:
        """Leave the records as they are: the event stage parses them."""
        self.chunk.missing -= len(self.places)
        self.chunk.spare(now)


class Answers:
    """Turns the answers of workers into parsed records."""

    def __init__(
        self, source: Source, encode: Callable[[Document], bytes] | None, *, validates: bool
    ) -> None:
        self._source = source
        self._encode = encode
        self._validates = validates

    def settle(self, job: Job, answer: bytes) -> None:
        """Put the outcomes into the chunk."""
        found: list[Answer] = pickle.loads(answer)  # noqa: S301  from our own process
        records, began = job.chunk.records, job.began
        for place, (kind, doc_id, what) in zip(job.places, found, strict=True):
            raw = records[place]
            outcome = self._outcome(raw, kind, what)
            if kind == UNSENT and DEADLY in raw.context:
                job.chunk.condemn(place, "what it became cannot be sent from one process to another", began)
            elif kind != UNSENT:
                records[place] = ParsedRecord(raw.key, raw.data, raw.context, doc_id, outcome, began)
        job.chunk.missing -= len(found)

    def _outcome(self, raw: RawRecord, kind: int, what: Any) -> Document | Exception | None:
        if kind == ENCODED and self._encode is not None:
            digest, deleted, line, doc_id = what
            restore = partial(self._parse, raw)
            return encoded_document(doc_id, digest, deleted, line, self._encode, restore)
        if kind == DOCUMENT:
            return trusted_document(what)
        if kind == WHOLE:
            document: Document = what
            return document
        return None if kind == UNSENT else _as_raised(*what)

    def _parse(self, raw: RawRecord) -> Document:
        document = parse_with(self._source, raw, validates=self._validates)
        if not isinstance(document, Document):
            raise document
        return document


def _as_raised(data: bytes, trace: str) -> Exception:
    """Return the exception of another process, with its traceback as a note."""
    error: Exception = pickle.loads(data)  # noqa: S301  from our own process
    if trace:
        error.add_note(f"in the process that parsed the record:\n{trace.rstrip()}")
    return error


class _Modules(pickle.Pickler):
    """Collects the modules that are imported when what it pickles is read."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), pickle.HIGHEST_PROTOCOL)
        self.found: set[str] = set()

    def persistent_id(self, value: Any) -> None:
        """Note the module of a class or function, or of the class of another value."""
        name = getattr(value, "__module__", None) or type(value).__module__
        if isinstance(name, str) and name != "__main__":
            self.found.add(name)


def modules_of(*values: Any) -> list[str]:
    """Return the modules that a worker imports to have ``values``."""
    modules = _Modules()
    with suppress(Exception):  # whoever pickles them says so
        modules.dump(values)
    return sorted(modules.found)
