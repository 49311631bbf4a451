"""``Fields``: which fields of a record are its id, version, title and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.adapters.places import Place, name_of, text_at
from penstock.document import checked_id, content_hash, trusted_document
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from penstock.document import Document, RawRecord

_USUAL_ID = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The places of what every document has, in the records of one source.

    Args:
        id: Where a record has its id. Without it the field ``id`` is taken, and a record that has none gets
            its key as the id: ``file#index``.
        version: Where it has its version, which is added to the id: ``<id>.<version>``.
        title: Where it has its title.
        content: Where it has its text.
    """

    id: Place | None = None
    version: Place | None = None
    title: Place | None = None
    content: Place | None = None

    def record_id(self, record: dict[str, Any], key: str) -> str:
        """Return the id of a record without its version.

        Raises:
            DocumentError: ``id`` was given, and the record has none.
        """
        found = text_at(record, _USUAL_ID if self.id is None else self.id)
        if found:
            return found
        if self.id is None:
            return key
        raise DocumentError(f"record {key} has no {name_of(self.id)}, where its id should be")

    def doc_id(self, record: dict[str, Any], key: str) -> str:
        """Return the ``doc_id`` of a record."""
        version, record_id = self._text(record, self.version), self.record_id(record, key)
        return checked_id(f"{record_id}.{version}" if version else record_id)

    def document(self, record: dict[str, Any], raw: RawRecord, source: str) -> Document:
        """Return the document of a record, whose fields are the metadata."""
        version, record_id = self._text(record, self.version), self.record_id(record, raw.key)
        return trusted_document(
            {
                "doc_id": checked_id(f"{record_id}.{version}" if version else record_id),
                "source": source,
                "record_id": record_id if version else "",
                "version": version,
                "title": self._text(record, self.title),
                "content": self._text(record, self.content),
                "metadata": record,
                "content_hash": content_hash(raw.data),
                "deleted": False,
                "raw": None,
            }
        )

    @staticmethod
    def _text(record: dict[str, Any], place: Place | None) -> str:
        return "" if place is None else text_at(record, place)
