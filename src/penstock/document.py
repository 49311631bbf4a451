"""What moves: raw records in, documents out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Document", "RawRecord", "content_hash", "trusted_document"]


def content_hash(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class RawRecord:
    """One record as its source holds it, before anybody tried to understand it.

    Args:
        key: Where it came from, unique within the source and the same on every run, for people and
            for messages: ``"pubmed24n0001.xml.gz#17"``.
        data: The bytes of the record, whole and untouched.
        context: What ``identify`` and ``parse`` need besides the bytes (the request that fetched it,
            the kind of element); small, and JSON.
    """

    key: str
    data: bytes
    context: dict[str, Any] = field(default_factory=dict)


class Document(BaseModel):
    """One version of one record, parsed.

    ``doc_id`` is stable and unique per version of a record; ``record_id`` is the same for all versions of a
    record, and empty where a source knows none. ``version`` orders them: numbers in it by value, all else
    as text. ``content_hash`` is the SHA-256 of the raw bytes. ``metadata`` holds everything a source knows
    beyond title and content, as JSON values; its keys are the adapter's to document. ``deleted`` marks a
    tombstone: the source says that this record is gone. ``raw`` is left out of sinks and of ``repr`` unless
    asked for.
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
    """Return a document of all ``fields``, in the order of the class, unchecked: 1 µs where checking takes 7.

    For parsers that make every field themselves, and have checked what they must. ``metadata`` is not copied.
    """
    document = Document.__new__(Document)
    keep = object.__setattr__
    keep(document, "__dict__", fields)
    keep(document, "__pydantic_fields_set__", set(fields))
    keep(document, "__pydantic_extra__", None)
    keep(document, "__pydantic_private__", None)
    return document
