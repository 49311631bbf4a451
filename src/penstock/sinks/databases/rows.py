"""Documents as rows of a database table, and which of several versions of a record stays.

The columns are documented in ``docs/ingestion.md``. What decides is ``version_order``: the version with its
numbers padded, so that ``10`` is newer than ``9`` for a comparison of text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from penstock.errors import GraphError
from penstock.sinks.files.lines import encode_value, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.document import Document

__all__ = ["COLUMNS", "Deleted", "Fold", "Row", "RowMaker", "Shape", "Versions", "clean", "version_order"]

Versions = Literal["replace", "keep"]
Deleted = Literal["mark", "delete"]
Row = tuple[Any, ...]

COLUMNS = (
    "record_id", "doc_id", "source", "version", "version_order", "title", "content", "metadata",
    "content_hash", "deleted",
)  # fmt: skip
"""All columns but ``raw``."""
RECORD_ID, DOC_ID, ORDER, TITLE, CONTENT, METADATA, DELETED, RAW = 0, 1, 4, 5, 6, 7, 9, 10

_DIGITS = re.compile("[0-9]+")
_NUMBER_LENGTH = 20
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table of documents is like; it stays the same for as long as there is the table.

    Raises:
        GraphError: a choice is none of those there are.
    """

    versions: Versions = "replace"
    deleted: Deleted = "mark"
    include_raw: bool = False

    def __post_init__(self) -> None:
        for name, kinds in (("versions", get_args(Versions)), ("deleted", get_args(Deleted))):
            if getattr(self, name) not in kinds:
                known = " or ".join(map(repr, kinds))
                raise GraphError(f"{name} is {known}, not {getattr(self, name)!r}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return (*COLUMNS, "raw") if self.include_raw else COLUMNS

    @property
    def key(self) -> int:
        """Which of the columns there is one row for."""
        return RECORD_ID if self.versions == "replace" else DOC_ID

    def as_json(self) -> dict[str, Any]:
        """Return what is stored beside the table."""
        raw = self.include_raw
        return {"format": _FORMAT, "versions": self.versions, "deleted": self.deleted, "raw": raw}


@lru_cache(1024)
def version_order(version: str) -> str:
    """Return text that sorts as ``version`` does with its numbers taken by value."""
    return _DIGITS.sub(lambda found: found[0].lstrip("0").rjust(_NUMBER_LENGTH, "0"), version)


def clean(text: str) -> str:
    """Return ``text`` with each lone surrogate, which UTF-8 cannot hold, replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return without_surrogates(text)  # type: ignore[no-any-return]
    return text


class RowMaker:
    """Makes rows of documents; ``clean`` and ``clean_json`` are what a database does to any text and JSON."""

    def __init__(
        self, shape: Shape, clean: Callable[[str], str], clean_json: Callable[[str], str] = str
    ) -> None:
        self._raw = shape.include_raw
        self._clean = clean
        self._clean_json = clean_json

    def rows(self, documents: Sequence[Document]) -> list[Row]:
        """Return ``documents`` as rows.

        Raises:
            SinkError: the metadata of one are not JSON; the message names it.
        """
        return [self._row(document) for document in documents]

    def _row(self, document: Document) -> Row:
        clean = self._clean
        doc_id, version = clean(document.doc_id), clean(document.version)
        row = (
            clean(document.record_id) or doc_id,
            doc_id,
            clean(document.source),
            version,
            version_order(version),
            clean(document.title),
            clean(document.content),
            self._clean_json(encode_value(document.metadata, doc_id)),
            clean(document.content_hash),
            document.deleted,
        )
        return (*row, document.raw) if self._raw else row


@dataclass(slots=True)
class Fold:
    """Rows on their way into the table, in groups of bounded size, no two of one key in a group.

    The result is that of taking every row on its own, in order: a row replaces one that is not newer.

    Args:
        shape: Of the table.
        group: Rows in a group, at most.
        size: Characters and bytes after which a group is closed, whatever it holds.
    """

    shape: Shape
    group: int
    size: int = 8 << 20
    _rows: dict[str, Row] = field(default_factory=dict)
    _held: int = 0

    def add(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Take ``rows``, and return the groups that are ready."""
        ready: list[list[Row]] = []
        key_at, deleting, raw = self.shape.key, self.shape.deleted == "delete", self.shape.include_raw
        for row in rows:
            key = row[key_at]
            before = self._rows.get(key)
            if before is not None and deleting and (before[DELETED] or row[DELETED]):
                ready += self.take()
                before = None
            if before is not None and row[ORDER] < before[ORDER]:
                continue
            self._rows[key] = row
            self._held += len(row[TITLE]) + len(row[CONTENT]) + len(row[METADATA])
            self._held += len(row[RAW] or b"") if raw else 0
            if len(self._rows) >= self.group or self._held >= self.size:
                ready += self.take()
        return ready

    def take(self) -> list[list[Row]]:
        """Return the last group, if there is one."""
        group = list(self._rows.values())
        self.clear()
        return [group] if group else []

    def clear(self) -> None:
        """Forget everything: it was given up."""
        self._rows, self._held = {}, 0
