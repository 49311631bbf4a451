"""Records that the parse stage of an adapter has parsed, before the event stage takes them."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.abc import Source
from penstock.abc.delivery import DEADLY
from penstock.document import Document, RawRecord
from penstock.errors import DocumentError


@dataclass(slots=True)
class ParsedRecord(RawRecord):
    """A record with the outcome of its first attempt, which ran in another process.

    Args:
        doc_id: What ``identify`` returned; ``None`` if it raised ``outcome``.
        outcome: The document, parsed and validated, or the error. ``None`` if another attempt is needed: the
            outcome could not be sent from one process to another.
        began: When the record was sent to be parsed (Unix time).
    """

    doc_id: str | None = None
    outcome: Document | Exception | None = None
    began: float = 0.0

    def known_id(self) -> str:
        """Return the ``doc_id`` if the record became a document; otherwise raise."""
        if self.doc_id is None or not isinstance(self.outcome, Document):
            raise LookupError(self.key)
        return self.doc_id

    def document(self) -> Document:
        """Return the document of a record whose id is known."""
        if not isinstance(self.outcome, Document):
            raise LookupError(self.key)  # noqa: TRY004  no such document
        return self.outcome


def has_checked_documents(source: Source) -> bool:
    """Whether the class of ``source`` says so itself: a class that inherits it may parse in another way."""
    return bool(vars(type(source)).get("checked", False))


def has_validate(source: Source) -> bool:
    """Whether ``source`` has a ``validate`` of its own."""
    return type(source).validate is not Source.validate


def refusal(raw: RawRecord) -> DocumentError | None:
    """Return why this process must not parse a record: it has killed processes that did."""
    if DEADLY not in raw.context:
        return None
    return DocumentError(f"the record {raw.key} has killed processes that parsed it: this one does not try")


def parse_with(source: Source, raw: RawRecord, *, validates: bool) -> Document | Exception:
    """Parse and validate a record; return the document, or the error that the source returned."""
    result = source.parse(raw)
    if validates and result.tag == "ok":
        result = source.validate(result.ok)
    return result.error if result.tag == "error" else result.ok
