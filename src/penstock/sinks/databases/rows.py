"""Documents as rows of a database table, and which of several versions of a record stays.

The columns are documented in ``docs/ingestion.md``. ``version_order`` decides: it is the version with its
numbers padded, so that a comparison of text finds ``10`` newer than ``9``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from penstock.columns import Column, ListOf, Scalar
from penstock.errors import GraphError
from penstock.sinks.files.lines import json_texts, replace_surrogates
from penstock.sinks.layout import ENVELOPE, METADATA, RAW, Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document

Versions = Literal["replace", "keep"]
Deleted = Literal["mark", "delete"]
Tables = Literal["nested", "normalized"]
Row = tuple[Any, ...]

_KEYS = ("record_id", "doc_id", "source", "version", "version_order", "content_hash", "deleted")
"""Columns that every table has, first and in this order."""
_TEXTS = ("record_id", "doc_id", "source", "version", "content_hash")
RECORD_ID, DOC_ID, ORDER, DELETED = 0, 1, 4, 6

_DIGITS = re.compile("[0-9]+")
_NUMBER_LENGTH = 20
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The options that a table is created with. They cannot change later; see ``DatabaseSink``.

    Raises:
        GraphError: an option is unknown.
    """

    versions: Versions = "replace"
    deleted: Deleted = "mark"
    layout: Layout = Layout()  # noqa: RUF009  it is frozen
    tables: Tables = "nested"
    columns: tuple[Column, ...] = field(init=False)
    """The values of a row, in order: `_KEYS`, ``texts``, ``metadata``, ``raw``, ``typed``."""
    stored: tuple[Column, ...] = field(init=False)
    """Those that the table itself has: all, or all but ``children``, which come last."""
    children: tuple[Column, ...] = field(init=False)
    """Those that have a table of their own."""
    texts: tuple[str, ...] = field(init=False)
    has_metadata: bool = field(init=False)
    has_raw: bool = field(init=False)
    typed: tuple[Column, ...] = field(init=False)

    def __post_init__(self) -> None:
        kinds_of = {"versions": Versions, "deleted": Deleted, "tables": Tables}
        for name, kind in kinds_of.items():
            kinds = get_args(kind)
            if getattr(self, name) not in kinds:
                known = " or ".join(map(repr, kinds))
                raise GraphError(f"{name} is {known}, not {getattr(self, name)!r}")
        envelope = {column.name: column for column in ENVELOPE}
        envelope["version_order"] = Column("version_order", Scalar("text"))
        layout = self.layout
        texts = tuple(column for column in layout.columns if column.name in ("title", "content"))
        columns = [envelope[name] for name in _KEYS]
        columns += [*texts, *([METADATA] if METADATA in layout.columns else [])]
        is_child = [self.tables == "normalized" and isinstance(c.type, ListOf) for c in layout.typed]
        children = tuple(column for column, apart in zip(layout.typed, is_child, strict=True) if apart)
        within = [column for column, apart in zip(layout.typed, is_child, strict=True) if not apart]
        columns += [*([RAW] if RAW in layout.columns else []), *within]
        keep = object.__setattr__  # it is frozen
        keep(self, "columns", (*columns, *children))
        keep(self, "stored", tuple(columns))
        keep(self, "children", children)
        keep(self, "texts", tuple(column.name for column in texts))
        keep(self, "has_metadata", METADATA in layout.columns)
        keep(self, "has_raw", RAW in layout.columns)
        keep(self, "typed", (*within, *children))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of the table itself, in order."""
        return tuple(column.name for column in self.stored)

    @property
    def key(self) -> int:
        """The index of the primary key among the columns."""
        return RECORD_ID if self.versions == "replace" else DOC_ID

    def as_json(self) -> dict[str, Any]:
        """Return the options as they are stored beside the table."""
        columns = {column.name: str(column.type) for column in self.columns[len(_KEYS) :]}
        return {
            "format": _FORMAT, "versions": self.versions, "deleted": self.deleted, "tables": self.tables,
            "columns": columns,
        }  # fmt: skip


@lru_cache(1024)
def version_order(version: str) -> str:
    """Return text that sorts as ``version`` does when its numbers count by value."""
    return _DIGITS.sub(lambda found: found[0].lstrip("0").rjust(_NUMBER_LENGTH, "0"), version)


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes the rows of a table. Lists and structs become JSON text.

    Args:
        options: Of the table.
        clean: Makes any text fit the database.
        clean_json: Makes any JSON text fit the database.
    """

    options: TableOptions
    clean: Callable[[str], str] = replace_surrogates
    clean_json: Callable[[str], str] = str

    def rows(self, documents: Sequence[Document]) -> list[Row]:
        """Return ``documents`` as rows.

        Raises:
            SinkError: a value of a document is not JSON, or a column of it cannot be read; the message names
                the document.
        """
        options, fields = self.options, [document.__dict__ for document in documents]
        lists, rests = options.layout.read(documents)
        if options.children:  # their columns have types, which the database enforces
            lists, rests = options.layout.exact(lists, rests)
        of = {name: self._cleaned([each[name] for each in fields]) for name in (*_TEXTS, *options.texts)}
        records = [record or doc_id for record, doc_id in zip(of["record_id"], of["doc_id"], strict=True)]
        return list(
            zip(
                records,
                of["doc_id"],
                of["source"],
                of["version"],
                map(version_order, of["version"]),
                of["content_hash"],
                [each["deleted"] for each in fields],
                *[of[name] for name in options.texts],
                *([self._as_json(rests, documents)] if options.has_metadata else []),
                *([[each["raw"] for each in fields]] if options.has_raw else []),
                *[self._stored(column, lists[column.name], documents) for column in options.typed],
                strict=True,
            )
        )

    def _stored(self, column: Column, values: list[Any], documents: Sequence[Document]) -> list[Any]:
        """Return the values of a column as the rows hold them."""
        if isinstance(column.type, Scalar):
            return self._cleaned(values) if column.type.kind == "text" else values
        if not any(values):
            return [value if value is None else _EMPTY[type(value)] for value in values]
        if None not in values:
            return self._as_json(values, documents)
        present = [at for at, value in enumerate(values) if value is not None]
        texts = self._as_json([values[at] for at in present], [documents[at] for at in present])
        found: list[Any] = [None] * len(values)
        for at, text in zip(present, texts, strict=True):
            found[at] = text
        return found

    def _cleaned(self, texts: list[Any]) -> list[Any]:
        """Return texts, or ``None``, as the database can hold them. All are looked at together first."""
        joined = "".join(filter(None, texts))
        if self.clean(joined) == joined:
            return texts
        return [text and self.clean(text) for text in texts]

    def _as_json(self, values: list[Any], documents: Sequence[Document]) -> list[str]:
        return list(map(self.clean_json, json_texts(values, documents)))


_SIZED = (str, bytes)
_EMPTY: dict[type, str] = {list: "[]", dict: "{}"}


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
        key_at, deleting = options.key, options.deleted == "delete"
        for row in rows:
            key = row[key_at]
            before = self._rows.get(key)
            if before is not None and deleting and (before[DELETED] or row[DELETED]):
                complete += self.take()
                before = None
            if before is not None and row[ORDER] < before[ORDER]:
                continue
            self._rows[key] = row
            self._size += sum([len(value) for value in row if isinstance(value, _SIZED)])
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
