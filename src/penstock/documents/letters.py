"""What the ledger stores of a document: its state, and its dead letter if it failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.abc import DeadLetter, DocumentState
from penstock.document import content_hash

if TYPE_CHECKING:
    from penstock.events import DocumentCompleted, DocumentFailed

KEPT_BYTES = 16 << 20
"""Raw bytes that a letter keeps at most: ledgers limit the size of a row (SQLite's limit is 1 GB)."""
CUT = "penstock_cut_from_bytes"
"""In the context of a letter that keeps only the beginning of its record: the size of the record in bytes."""


def state_of(event: DocumentCompleted) -> DocumentState:
    """Return the state of a document that completed."""
    document = event.document
    status = "deleted" if document.deleted else "completed"
    return DocumentState(document.doc_id, status, document.content_hash, 1 + event.retry_count)


def letter_of(event: DocumentFailed) -> tuple[DocumentState, DeadLetter]:
    """Return the state and the dead letter of a document that failed for good; a huge record is cut."""
    raw, tries, doc_id = event.raw or b"", 1 + event.retry_count, event.doc_id or "?"
    state = DocumentState(doc_id, "failed", content_hash(raw), tries, event.error, event.error_type)
    context = event.context if len(raw) <= KEPT_BYTES else {**event.context, CUT: len(raw)}
    letter = DeadLetter(
        event.doc_id, event.key or doc_id, event.adapter, event.error, event.error_type, raw[:KEPT_BYTES],
        context, traceback=event.traceback, attempts=tries, timestamp=event.timestamp,
    )  # fmt: skip
    return state, letter
