"""A sink that keeps its documents in a list: for notebooks and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkError, SinkMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document

__all__ = ["MemorySink"]


class MemorySink(Sink):
    """Keeps all documents in ``documents``, with the promises of a file sink and the memory of a list.

    ``aclose`` drops what was not committed. The same object may be opened again at an earlier record.
    """

    def __init__(self) -> None:
        self.documents: list[Document] = []
        """What was written, in order; after ``aclose`` just what was committed."""
        self._committed = 0
        self._is_open = False

    def describe(self) -> str:
        """Return ``memory``."""
        return "memory"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``. Returns ``None``."""
        if record is None or restart:
            if self._committed and not restart:
                raise SinkMismatch(
                    f"this memory sink already holds {self._committed} documents "
                    "that the ledger knows nothing of; use a new one, or restart to empty it"
                )
            offset = 0
        else:
            offset = self._offset(record)
        del self.documents[offset:]
        self._committed = offset
        self._is_open = True
        return None

    def _offset(self, record: JSON) -> int:
        try:
            offset, last = int(record["count"]), record["last"]
        except (TypeError, KeyError, ValueError):
            raise SinkMismatch(
                "the ledger's record is of another kind of output than a memory sink; "
                "name the output of the earlier runs, or restart to begin anew"
            ) from None
        if offset > self._committed:
            raise SinkMismatch(
                f"this memory sink holds {self._committed} documents, but {offset} were committed; "
                "use the sink of the earlier runs, or restart to begin anew"
            )
        if self._last(offset) != last:
            raise SinkMismatch(
                f"this memory sink is not the one that {offset} documents were committed to; "
                "use the sink of the earlier runs, or restart to begin anew"
            )
        return offset

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; raises ``SinkError`` if it is not open."""
        self._check_open()
        self.documents.extend(documents)

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002 - the ledger keeps it
        """See ``Sink.commit``; raises ``SinkError`` if it is not open."""
        self._check_open()
        self._committed = len(self.documents)
        return {"format": "memory", "count": self._committed, "last": self._last(self._committed)}

    async def aclose(self) -> None:
        """See ``Sink.aclose``; drops what was not committed."""
        self._is_open = False
        del self.documents[self._committed :]

    def _last(self, offset: int) -> str | None:
        return self.documents[offset - 1].doc_id if offset else None

    def _check_open(self) -> None:
        if not self._is_open:
            raise SinkError("this memory sink is not open; await open(record) first")
