"""Documents as Arrow tables. Every part of an output has the same schema.

The columns are those of `penstock.sinks.layout`: the fields of ``Document`` in its order, then the columns
that the adapter declares. Lists and structs go through JSON: pyarrow reads it thirty times as fast as
objects, and about as fast as arrays that are built field by field in Python.
"""

from __future__ import annotations

import json
from io import BytesIO
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from penstock.columns import ListOf, Scalar, Struct, held
from penstock.errors import GraphError, install_command
from penstock.sinks.files.lines import json_texts, map_texts, replace_surrogates
from penstock.sinks.layout import ENVELOPE, METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from penstock.columns import Column, ColumnType
    from penstock.document import Document
    from penstock.sinks.layout import Layout

Page = list[list[Any]]
"""Values of some documents, a list for each column."""
_UNIQUE = frozenset({"doc_id", "record_id", "title", "content", "metadata", "content_hash", "raw"})
_NULLS = (None, "null")
_RARE = 2
"""A struct is rare if not even one document of so many has it."""
_EXACT = 2.0**53
"""From here on, a double may stand for several integers."""


class DocumentTable:
    """Builds Arrow tables of documents.

    Raises:
        GraphError: pyarrow is not installed.
    """

    def __init__(self, layout: Layout) -> None:
        try:
            import pyarrow  # noqa: F401, ICN001
        except ImportError:
            raise GraphError(f"writing Parquet needs pyarrow: {install_command('parquet')}") from None
        self.layout = layout
        self._envelope = [column for column in layout.columns if column not in layout.typed]
        self.schema = _schema(layout.columns)

    def repeating(self) -> list[str]:
        """Return the paths, as Parquet writes them, of the texts that are worth a dictionary."""
        return [
            path
            for column in self.layout.columns
            if column.name not in _UNIQUE
            for path in _paths(column.name, column.type)
        ]

    def page(self, documents: Sequence[Document]) -> Page:
        """Return ``documents`` as a list for each column, in which lists and structs are JSON texts.

        This takes less memory than the documents, and looks at them while they are in the cache.

        Raises:
            SinkError: a value of a document is not JSON, or a column of it cannot be read; the message names
                the document.
        """
        lists, rests = self.layout.read(documents)
        page = []
        for column in self.layout.columns:
            if column in self._envelope:
                name = column.name
                is_rest = name == "metadata"
                fields = rests if is_rest else [getattr(document, name) for document in documents]
                page.append(json_texts(rests, documents) if is_rest else fields)
            else:
                values = lists[column.name]
                page.append(_texts(values, documents) if _nests(column) else values)
        return page

    def table(self, pages: Sequence[Page]) -> pa.Table:
        """Return the documents of pages as a table."""
        columns = [list(chain.from_iterable(parts)) for parts in zip(*pages, strict=True)]
        return table_of(self.layout.columns, columns)


def _texts(values: list[Any], documents: Sequence[Document]) -> list[Any]:
    """Return lists or structs as JSON texts, ``None`` without a value."""
    if not any(values):
        return [value if value is None else "[]" if type(value) is list else "{}" for value in values]
    texts = json_texts(values, documents)
    return [None if text == "null" else text for text in texts] if None in values else texts


def table_of(columns: Sequence[Column], lists: Sequence[Sequence[Any]]) -> pa.Table:
    """Return columns, whose lists and structs are JSON texts, as a table."""
    import pyarrow as pa

    try:
        return _table_of(columns, lists)
    except pa.ArrowInvalid:  # a value deep in a column has another type, or a struct more fields
        rows = [_exact(columns, row) for row in zip(*lists, strict=True)]
        return _table_of(columns, list(zip(*rows, strict=True)), are_exact=True)


def _table_of(
    columns: Sequence[Column], lists: Sequence[Sequence[Any]], *, are_exact: bool = False
) -> pa.Table:
    import pyarrow as pa

    flat = [at for at, column in enumerate(columns) if not _nests(column)]
    nested = [at for at, column in enumerate(columns) if _nests(column)]
    found = _flat_arrays([columns[at] for at in flat], [lists[at] for at in flat])
    found |= _empty_columns([columns[at] for at in nested], [lists[at] for at in nested])
    full = [at for at in nested if columns[at].name not in found]
    found |= _nested_arrays([columns[at] for at in full], [lists[at] for at in full], are_exact=are_exact)
    return pa.table([found[column.name] for column in columns], schema=_schema(columns))


def _nests(column: Column) -> bool:
    return not isinstance(column.type, Scalar)


def _flat_arrays(columns: Sequence[Column], lists: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the arrays of columns that are no lists or structs, by name."""
    names = [column.name for column in columns]
    try:
        return dict(zip(names, map(_flat_array, columns, lists), strict=True))
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
        clean = [map_texts(replace_surrogates, list(values)) for values in lists]
        return dict(zip(names, map(_flat_array, columns, clean), strict=True))


def _flat_array(column: Column, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    if column.type == Scalar("float"):
        values = [value if value is not None and isfinite(value) else None for value in values]
    array: Any = pa.array(values, arrow_type(column.type, dates=False))
    return array.cast(arrow_type(column.type))


def _empty_columns(columns: Sequence[Column], lists: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return arrays for the columns without an item; JSON would be read in a third more of the time."""
    import pyarrow as pa

    found = {}
    for column, values in zip(columns, lists, strict=True):
        if not any(value and value != "[]" for value in values):
            items: list[list[Any] | None] = [None if value is None else [] for value in values]
            is_list = isinstance(column.type, ListOf)
            if is_list or not any(value is not None for value in values):
                found[column.name] = pa.array(items, arrow_type(column.type))
    return found


def _nested_arrays(
    columns: Sequence[Column], texts: Sequence[Sequence[str | None]], *, are_exact: bool
) -> dict[str, Any]:
    """Return the arrays of lists and structs, which are JSON texts, by name.

    A struct that few documents have is read apart: for a document without it, pyarrow would add a null to
    each of its fields, which takes longer than to read one that is there.
    """
    import pyarrow as pa

    present = [[at for at, text in enumerate(values) if text not in _NULLS] for values in texts]
    is_rare = [
        isinstance(column.type, Struct) and _RARE * len(there) < len(values)
        for column, values, there in zip(columns, texts, present, strict=True)
    ]
    often = [at for at in range(len(columns)) if not is_rare[at]]
    lines = _lines([columns[at] for at in often], [texts[at] for at in often])
    found = _read_json([columns[at] for at in often], lines, are_exact=are_exact)
    for at, column in enumerate(columns):
        if is_rare[at]:
            lines = _lines([column], [[texts[at][each] for each in present[at]]])
            [array] = _read_json([column], lines, are_exact=are_exact).values()
            places: list[int | None] = [None] * len(texts[at])
            for place, each in enumerate(present[at]):
                places[each] = place
            found[column.name] = array.take(pa.array(places, pa.int32()))
    return found


def _lines(columns: Sequence[Column], texts: Sequence[Sequence[str | None]]) -> bytes:
    """Return JSON texts, a list for each column, as lines with an object each."""
    width, count = 2 * len(columns) + 1, len(texts[0]) if texts else 0
    parts = ["}\n"] * (width * count)
    for at, (column, values) in enumerate(zip(columns, texts, strict=True)):
        parts[2 * at :: width] = [f'{"," if at else "{"}"{column.name}":'] * count
        parts[2 * at + 1 :: width] = [text or "null" for text in values]
    return "".join(parts).encode()


def _exact(columns: Sequence[Column], row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with only what fits the types; what was left out goes to its ``metadata``."""
    values = list(row)
    rest: dict[str, Any] = {}
    for at, column in enumerate(columns):
        if not isinstance(column.type, Scalar) and row[at] is not None:
            value, whole = held(column.type, json.loads(row[at]))
            if not whole:
                values[at] = json.dumps(value)
                rest |= {column.name: json.loads(row[at])} if column.read is None else {}
    if METADATA in columns and rest:
        at = columns.index(METADATA)
        values[at] = json.dumps(json.loads(row[at]) | rest, ensure_ascii=False)
    return tuple(values)


def _read_json(columns: Sequence[Column], lines: bytes, *, are_exact: bool = False) -> dict[str, Any]:
    """Return the columns of lines of JSON by name.

    Raises:
        ArrowInvalid: a value does not fit the type of its column. With ``are_exact`` all numbers fit.
    """
    import pyarrow as pa
    from pyarrow import json as arrow_json

    if not columns:
        return {}
    stored, wanted = _schema(columns, dates=False), _schema(columns)
    table = arrow_json.read_json(
        BytesIO(lines),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=stored, unexpected_field_behavior="error"),
    ).select(stored.names)
    if not are_exact and any(_has_large(table[column.name], column.type) for column in columns):
        raise pa.ArrowInvalid("a number may be an integer that is too large for a double")
    table = table if stored.equals(wanted) else table.cast(wanted)
    return dict(zip(table.column_names, table.columns, strict=True))


def _has_large(values: Any, kind: ColumnType) -> bool:
    """Return whether a ``float`` within has a value that an integer may have been rounded to."""
    from pyarrow import compute

    pc: Any = compute  # its functions are made when it is imported

    if not _holds_float(kind):
        return False
    if isinstance(kind, ListOf):
        return _has_large(pc.list_flatten(values), kind.item)
    if isinstance(kind, Struct):
        return any(_has_large(pc.struct_field(values, name), field) for name, field in kind.fields)
    return bool((pc.max(pc.abs(values)).as_py() or 0.0) >= _EXACT)


def _holds_float(kind: ColumnType) -> bool:
    if isinstance(kind, ListOf):
        return _holds_float(kind.item)
    if isinstance(kind, Struct):
        return any(_holds_float(field) for _, field in kind.fields)
    return kind.kind == "float"


def _schema(columns: Sequence[Column], *, dates: bool = True) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(column.name, arrow_type(column.type, dates=dates), nullable=column not in ENVELOPE)
            for column in columns
        ]
    )


def arrow_type(kind: ColumnType, *, dates: bool = True) -> Any:
    """Return the Arrow type of a column; without ``dates`` a date is text, as in JSON."""
    import pyarrow as pa

    if isinstance(kind, ListOf):
        return pa.list_(arrow_type(kind.item, dates=dates))
    if isinstance(kind, Scalar):
        types = {
            "text": pa.string(), "json": pa.string(), "int": pa.int64(), "float": pa.float64(),
            "bool": pa.bool_(), "bytes": pa.binary(), "date": pa.date32() if dates else pa.string(),
        }  # fmt: skip
        return types[kind.kind]
    return pa.struct([(name, arrow_type(field, dates=dates)) for name, field in kind.fields])


def _paths(path: str, kind: ColumnType) -> list[str]:
    if isinstance(kind, ListOf):
        return _paths(f"{path}.list.element", kind.item)
    if isinstance(kind, Scalar):
        return [path] if kind.kind == "text" else []
    return [inner for name, field in kind.fields for inner in _paths(f"{path}.{name}", field)]
