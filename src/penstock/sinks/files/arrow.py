"""Documents as Arrow tables. Every part of an output has the same schema.

The columns are the fields of ``Document``, in its order. ``metadata`` is one column of JSON text, because
types inferred from one part could differ from those of the next. Chosen values of ``metadata`` get typed
columns, ``metadata.<path>``; the path consists of the keys of nested objects. A value of another type is null
in its column, and stays in ``metadata``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError, install_command
from penstock.sinks.files.lines import encode_metadata, map_texts, replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from penstock.document import Document

_PYTHON_TYPES = {"string": str, "int64": int, "double": float, "bool": bool}
_TEXT = ("doc_id", "source", "record_id", "version", "title", "content")


class DocumentTable:
    """Builds Arrow tables of documents.

    Args:
        flatten: Typed columns, from paths into ``metadata`` to ``string``, ``int64``, ``double``, ``bool`` or
            ``list<string>``.
        include_raw: Whether there is a column of the raw bytes.

    Raises:
        GraphError: a type is unknown, or pyarrow is not installed.
    """

    def __init__(self, flatten: Mapping[str, str], *, include_raw: bool) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise GraphError(f"writing Parquet needs pyarrow: {install_command('parquet')}") from None
        self._pa = pa
        self._flatten = {path: (path.split("."), kind) for path, kind in flatten.items()}
        self._include_raw = include_raw
        types = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_(),
                 "list<string>": pa.list_(pa.string())}  # fmt: skip
        for path, kind in flatten.items():
            if kind not in types:
                raise GraphError(
                    f"flatten={{{path!r}: {kind!r}}}: the types of columns are {', '.join(types)}"
                )
        columns = [(name, pa.string(), False) for name in (*_TEXT, "metadata", "content_hash")]
        columns += [("deleted", pa.bool_(), False)]
        columns += [("raw", pa.binary(), True)] if include_raw else []
        columns += [(f"metadata.{path}", types[kind], True) for path, kind in flatten.items()]
        self.schema = pa.schema([pa.field(name, kind, nullable=null) for name, kind, null in columns])

    def table(self, documents: Sequence[Document]) -> pa.Table:
        """Return ``documents`` as a table.

        Raises:
            SinkError: the metadata of a document are not JSON; the message names the document.
        """
        columns: list[list[Any]] = [[getattr(document, name) for document in documents] for name in _TEXT]
        columns.append([encode_metadata(document) for document in documents])
        columns.append([document.content_hash for document in documents])
        columns.append([document.deleted for document in documents])
        if self._include_raw:
            columns.append([document.raw for document in documents])
        for keys, kind in self._flatten.values():
            columns.append([_typed(_value_at(document.metadata, keys), kind) for document in documents])
        try:
            return self._table(columns)
        except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
            return self._table(map_texts(replace_surrogates, columns))

    def _table(self, columns: list[list[Any]]) -> pa.Table:
        arrays = [
            self._pa.array(column, type=field.type)
            for column, field in zip(columns, self.schema, strict=True)
        ]
        return self._pa.Table.from_arrays(arrays, schema=self.schema)


def _value_at(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _typed(value: Any, kind: str) -> Any:
    """Return ``value`` if it fits the type, ``None`` otherwise."""
    if kind == "list<string>":
        return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
    if kind == "double" and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    if kind == "int64" and isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value if type(value) is _PYTHON_TYPES[kind] else None
