"""A sink that keeps documents in a list, for notebooks and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkMismatch
from penstock.sinks.output import START_OVER, not_open, read_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document


class MemorySink(Sink):
    """Keeps all documents in ``documents``. Rolls back as a file sink does.

    The same object may be opened again at an earlier record.
    """

    def __init__(self) -> None:
        self.documents: list[Document] = []
        """All documents written, in order; after ``aclose`` only the committed ones."""
        self._committed = 0
        self._is_open = False

    def describe(self) -> str:
        """Return ``memory``."""
        return "memory"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``. Returns ``None``."""
        offset = 0
        if record is not None and not restart:
            offset = self._offset(record)
        elif self._committed and not restart:
            raise SinkMismatch(
                f"this memory sink already holds {self._committed} documents that this ledger does not know; "
                "use a new sink, or empty this one with restart=True"
            )
        del self.documents[offset:]
        self._committed = offset
        self._is_open = True
        return None

    def _offset(self, record: JSON) -> int:
        known = read_record(record, "memory", "a memory sink", count=int, last=lambda doc_id: doc_id)
        count: int = known["count"]
        held = min(self._committed, len(self.documents))  # its list may have been emptied
        if count > held:
            raise SinkMismatch(
                f"this memory sink holds {held} documents, but {count} were committed; "
                f"use the sink of the earlier runs, {START_OVER}"
            )
        if self._last(count) != known["last"]:
            raise SinkMismatch(
                f"this memory sink is not the one that {count} documents were committed to; "
                f"use the sink of the earlier runs, {START_OVER}"
            )
        return count

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; raises ``SinkError`` if the sink is not open."""
        self._check_open()
        self.documents.extend(documents)

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002  the ledger keeps it
        """See ``Sink.commit``; raises ``SinkError`` if the sink is not open."""
        self._check_open()
        self._committed = len(self.documents)
        return {"format": "memory", "count": self._committed, "last": self._last(self._committed)}

    async def aclose(self) -> None:
        """See ``Sink.aclose``; drops documents that were not committed."""
        self._is_open = False
        del self.documents[self._committed :]

    def _last(self, offset: int) -> str | None:
        return self.documents[offset - 1].doc_id if offset else None

    def _check_open(self) -> None:
        if not self._is_open:
            raise not_open(self.describe())
