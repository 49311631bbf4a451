"""Documents as Arrow tables. Every part of an output has the same schema.

The columns are those of `penstock.sinks.layout`: the fields of ``Document`` in its order, then the columns
that the adapter declares. Their values go through JSON: pyarrow reads it thirty times as fast as objects.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from penstock.columns import ListOf, Scalar, Struct, held
from penstock.errors import GraphError, install_command
from penstock.sinks.files.lines import encode_rows, json_of, map_texts, replace_surrogates
from penstock.sinks.layout import ENVELOPE, METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from penstock.columns import Column, ColumnType
    from penstock.document import Document
    from penstock.sinks.layout import Layout, Values

_UNIQUE = frozenset({"doc_id", "record_id", "title", "content", "metadata", "content_hash", "raw"})
_EXACT = 2.0**53
"""From here on, a double may stand for several integers."""


class DocumentTable:
    """Builds Arrow tables of documents.

    Raises:
        GraphError: pyarrow is not installed.
    """

    def __init__(self, layout: Layout) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise GraphError(f"writing Parquet needs pyarrow: {install_command('parquet')}") from None
        self._pa = pa
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

    def table(self, documents: Sequence[Document]) -> pa.Table:
        """Return ``documents`` as a table.

        Raises:
            SinkError: a value of a document is not JSON, or a column of it cannot be read; the message names
                the document.
        """
        found = [self.layout.values(document) for document in documents]
        try:
            typed = self._typed_table(documents, found)
        except self._pa.ArrowInvalid:  # a value deep in a column has another type, or a struct more fields
            found = [self.layout.exact(*values) for values in found]
            typed = self._typed_table(documents, found, are_exact=True)
        columns: list[list[Any]] = [
            [json_of(rest, document) for document, (_, rest) in zip(documents, found, strict=True)]
            if column.name == "metadata"
            else [getattr(document, column.name) for document in documents]
            for column in self._envelope
        ]
        try:
            arrays = self._arrays(columns)
        except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
            arrays = self._arrays(map_texts(replace_surrogates, columns))
        names = [column.name for column in self._envelope]
        by_name = dict(zip(names, arrays, strict=True)) | dict(
            zip(typed.column_names, typed.columns, strict=True)
        )
        return self._pa.table([by_name[name] for name in self.schema.names], schema=self.schema)

    def _typed_table(
        self, documents: Sequence[Document], found: list[tuple[Values, Values]], *, are_exact: bool = False
    ) -> pa.Table:
        rows = [values for values, _ in found]
        empty = _empty_columns(
            [(c, [row.get(c.name) for row in rows]) for c in self.layout.typed if _nests(c)]
        )
        if empty:
            rows = [{name: value for name, value in row.items() if name not in empty} for row in rows]
        others = [column for column in self.layout.typed if column.name not in empty]
        table = _read_json(others, encode_rows(rows, documents), are_exact=are_exact)
        return self._pa.table({**empty, **dict(zip(table.column_names, table.columns, strict=True))})

    def _arrays(self, columns: list[list[Any]]) -> list[Any]:
        return [
            self._pa.array(values, type=self.schema.field(column.name).type)
            for values, column in zip(columns, self._envelope, strict=True)
        ]


def table_of(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return rows of a database (see ``penstock.sinks.databases.rows``) as a table; none may be absent."""
    import pyarrow as pa

    try:
        return _table_of(columns, rows)
    except pa.ArrowInvalid:
        return _table_of(columns, [_exact(columns, row) for row in rows], are_exact=True)


def _table_of(
    columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], *, are_exact: bool = False
) -> pa.Table:
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    nested: list[tuple[Column, Sequence[str | None]]] = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        if isinstance(column.type, Scalar):
            stored = arrow_type(column.type, dates=False)
            arrays[column.name] = pa.array(values, stored).cast(arrow_type(column.type))
        else:
            nested.append((column, values))
    arrays.update(_empty_columns(nested))
    nested = [(column, values) for column, values in nested if column.name not in arrays]
    if nested:
        keys = [f'"{column.name}":' for column, _ in nested]
        lines = [
            "{"
            + ",".join([key + text for key, text in zip(keys, texts, strict=True) if text is not None])
            + "}\n"
            for texts in zip(*[values for _, values in nested], strict=True)
        ]
        typed = _read_json([column for column, _ in nested], "".join(lines).encode(), are_exact=are_exact)
        arrays.update(zip(typed.column_names, typed.columns, strict=True))
    return pa.table([arrays[column.name] for column in columns], schema=_schema(columns))


def _nests(column: Column) -> bool:
    return not isinstance(column.type, Scalar)


def _empty_columns(columns: Sequence[tuple[Column, Sequence[Any]]]) -> dict[str, Any]:
    """Return arrays for the columns without an item; JSON would be read in a third more of the time."""
    import pyarrow as pa

    found = {}
    for column, values in columns:
        if not any(value and value != "[]" for value in values):
            lists: list[list[Any] | None] = [None if value is None else [] for value in values]
            is_list = isinstance(column.type, ListOf)
            if is_list or not any(value is not None for value in values):
                found[column.name] = pa.array(lists, arrow_type(column.type))
    return found


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


def _read_json(columns: Sequence[Column], lines: bytes, *, are_exact: bool = False) -> pa.Table:
    """Return lines of JSON as a table.

    Raises:
        ArrowInvalid: a value does not fit the type of its column. With ``are_exact`` all numbers fit.
    """
    import pyarrow as pa
    from pyarrow import json as arrow_json

    if not columns:
        return pa.table({})
    stored, wanted = _schema(columns, dates=False), _schema(columns)
    table = arrow_json.read_json(
        BytesIO(lines),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=stored, unexpected_field_behavior="error"),
    ).select(stored.names)
    if not are_exact and any(_has_large(table[column.name], column.type) for column in columns):
        raise pa.ArrowInvalid("a number may be an integer that is too large for a double")
    return table if stored.equals(wanted) else table.cast(wanted)


def _has_large(values: Any, kind: ColumnType) -> bool:
    """Return whether a ``float`` within has a value that an integer may have been rounded to."""
    import pyarrow.compute as pc

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
