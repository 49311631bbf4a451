"""Raw records, as sources yield them, and the documents that are parsed from them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from penstock.errors import DocumentError

__all__ = [
    "Document",
    "RawRecord",
    "checked_id",
    "content_hash",
    "fault_of_id",
    "id_number",
    "trusted_document",
]

MAX_ID_BYTES = 1000
"""Of an id in UTF-8. PostgreSQL takes keys of up to 2,704 bytes."""

_MAX_DIGITS = 18  # then the number fits into 64 bits
# Controls, separators of lines, halves of surrogate pairs, and characters that are none.
_NOT_IN_IDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_NUMBER = re.compile(rf"0*([1-9][0-9]{{0,{_MAX_DIGITS - 1}}})")


def is_ordinary_id(doc_id: str) -> bool:
    """Whether ``doc_id`` is valid at first sight: a short text of visible ASCII, as nearly all ids are."""
    return 0 < len(doc_id) <= MAX_ID_BYTES and doc_id.isascii() and doc_id.isprintable() and " " not in doc_id


def fault_of_id(doc_id: object) -> str:
    """Return why ``doc_id`` cannot be the id of a document, as half a sentence; ``""`` if it can."""
    if not isinstance(doc_id, str):
        return f"its doc_id is {type(doc_id).__name__}, not text"
    if not doc_id:
        return "its doc_id is empty"
    if doc_id != doc_id.strip():
        return f"its doc_id {doc_id[:60]!r} begins or ends with a blank"
    if _NOT_IN_IDS.search(doc_id):
        return f"its doc_id {doc_id[:60]!r} contains a character that no id may have"
    size = len(doc_id) if doc_id.isascii() else len(doc_id.encode())
    if size > MAX_ID_BYTES:
        return f"its doc_id has {size} bytes, more than {MAX_ID_BYTES}"
    return ""


def checked_id(doc_id: str) -> str:
    """Return ``doc_id`` if it can be the id of a document, of any adapter.

    An id is text of 1 to 1,000 bytes in UTF-8. It neither begins nor ends with a blank, and contains no
    control character, no separator of lines, and no half of a surrogate pair.

    Raises:
        DocumentError: it cannot be an id.
    """
    fault = fault_of_id(doc_id)
    if fault:
        message = f"the record cannot be identified: {fault}"
        raise DocumentError(message)
    return doc_id


def id_number(text: str, what: str) -> str:
    """Return a number in an id in its only form: no blanks around it, no leading zeros.

    A number is 1 to 18 ASCII digits, and at least 1.

    Args:
        text: As the source has it.
        what: How the message calls it.

    Raises:
        DocumentError: it is not such a number.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        message = f"{what} is not a number of 1 to {_MAX_DIGITS} digits: {text[:40]!r}"
        raise DocumentError(message)
    return match[1]


def content_hash(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class RawRecord:
    """One record of a source, not parsed yet.

    Args:
        key: Where the record is, for messages: ``"pubmed24n0001.xml.gz#17"``. Unique within the source, and
            the same in every run.
        data: The bytes of the record, unchanged.
        context: Small JSON that ``identify`` and ``parse`` need besides the bytes, such as the request that
            fetched the record.
    """

    key: str
    data: bytes
    context: dict[str, Any] = field(default_factory=dict)


class Document(BaseModel):
    """One version of one record, parsed.

    ``doc_id`` is stable and unique per version of a record. ``record_id`` is the same for all versions, and
    empty if the source has no versions. ``version`` orders them: numbers in it by value, the other parts as
    text. ``content_hash`` is the SHA-256 of the raw bytes. ``metadata`` holds all other values of the source,
    as JSON; each adapter documents its keys. ``deleted`` marks a tombstone: the source has removed the
    record. Sinks write ``raw`` only on request, and ``repr`` leaves it out.
    """

    model_config = ConfigDict(extra="forbid")

    doc_id: str = Field(min_length=1)
    source: str
    record_id: str = ""
    version: str = ""
    title: str = ""
    content: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    content_hash: str = ""
    deleted: bool = False
    raw: bytes | None = Field(default=None, repr=False, exclude=True)


def trusted_document(fields: dict[str, Any]) -> Document:
    """Return a document without checking ``fields``: this takes 1 µs instead of 7.

    Pass every field, in the order of the class. ``metadata`` is not copied. Only for parsers that build
    and check all fields themselves.
    """
    document = Document.__new__(Document)
    keep = object.__setattr__
    keep(document, "__dict__", fields)
    keep(document, "__pydantic_fields_set__", set(fields))
    keep(document, "__pydantic_extra__", None)
    keep(document, "__pydantic_private__", None)
    return document
