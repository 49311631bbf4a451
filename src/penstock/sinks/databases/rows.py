"""Documents as rows of a database table, and which of several versions of a record stays.

The columns are documented in ``docs/ingestion.md``. ``version_order`` decides: it is the version with its
numbers padded, so that a comparison of text finds ``10`` newer than ``9``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from penstock.errors import GraphError
from penstock.sinks.files.lines import encode_metadata, replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.document import Document

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
class TableOptions:
    """The options that a table is created with. They cannot change later; see ``DatabaseSink``.

    Raises:
        GraphError: an option is unknown.
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
        """The names of the columns, in order."""
        return (*COLUMNS, "raw") if self.include_raw else COLUMNS

    @property
    def key(self) -> int:
        """The index of the primary key among the columns."""
        return RECORD_ID if self.versions == "replace" else DOC_ID

    def as_json(self) -> dict[str, Any]:
        """Return the options as they are stored beside the table."""
        raw = self.include_raw
        return {"format": _FORMAT, "versions": self.versions, "deleted": self.deleted, "raw": raw}


@lru_cache(1024)
def version_order(version: str) -> str:
    """Return text that sorts as ``version`` does when its numbers count by value."""
    return _DIGITS.sub(lambda found: found[0].lstrip("0").rjust(_NUMBER_LENGTH, "0"), version)


def make_rows(
    documents: Sequence[Document],
    clean: Callable[[str], str] = replace_surrogates,
    clean_json: Callable[[str], str] = str,
    *,
    include_raw: bool = False,
) -> list[Row]:
    """Return ``documents`` as rows; ``clean`` and ``clean_json`` make any text and JSON fit the database.

    Raises:
        SinkError: the metadata of a document are not JSON; the message names the document.
    """
    rows: list[Row] = []
    for document in documents:
        doc_id, version = clean(document.doc_id), clean(document.version)
        row = (
            clean(document.record_id) or doc_id,
            doc_id,
            clean(document.source),
            version,
            version_order(version),
            clean(document.title),
            clean(document.content),
            clean_json(encode_metadata(document)),
            clean(document.content_hash),
            document.deleted,
        )
        rows.append((*row, document.raw) if include_raw else row)
    return rows


@dataclass(slots=True)
class RowGroups:
    """Collects rows into groups of bounded size. No two rows of a group have the same key.

    To write the groups has the same result as to write every row by itself: a row replaces a row that is not
    newer.

    Args:
        options: Of the table.
        max_rows: Rows in a group, at most.
        max_size: A group is complete when it reaches this many characters and bytes.
    """

    options: TableOptions
    max_rows: int
    max_size: int = 8 << 20
    _rows: dict[str, Row] = field(default_factory=dict)
    _size: int = 0

    def add(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Add ``rows``, and return the groups that are complete."""
        complete: list[list[Row]] = []
        options = self.options
        key_at, deleting, raw = options.key, options.deleted == "delete", options.include_raw
        for row in rows:
            key = row[key_at]
            before = self._rows.get(key)
            if before is not None and deleting and (before[DELETED] or row[DELETED]):
                complete += self.take()
                before = None
            if before is not None and row[ORDER] < before[ORDER]:
                continue
            self._rows[key] = row
            self._size += len(row[TITLE]) + len(row[CONTENT]) + len(row[METADATA])
            self._size += len(row[RAW] or b"") if raw else 0
            if len(self._rows) >= self.max_rows or self._size >= self.max_size:
                complete += self.take()
        return complete

    def take(self) -> list[list[Row]]:
        """Return the last group, if there is one."""
        group = list(self._rows.values())
        self.clear()
        return [group] if group else []

    def clear(self) -> None:
        """Drop all rows."""
        self._rows, self._size = {}, 0
