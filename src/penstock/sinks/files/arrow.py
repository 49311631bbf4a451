"""Documents as Arrow tables: one schema for every part of an output, whatever its documents hold.

The columns are the fields of ``Document``, in its order. ``metadata`` is one column of JSON text: it holds
anything, and a type inferred from one part could differ from that of the next. What is wanted as columns of
their own is named, with a type, and becomes ``metadata.<path>``; the path goes through objects by their keys.
A value that is not of the type is null there, and still in ``metadata``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.sinks.files.lines import encode_value, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from penstock.document import Document

__all__ = ["DocumentTable"]

_PLAIN = {"string": str, "int64": int, "double": float, "bool": bool}
_PREFIX = "metadata."
_TEXT = ("doc_id", "source", "record_id", "version", "title", "content")


class DocumentTable:
    """How documents become a table.

    Args:
        flatten: Columns of their own, from paths into ``metadata`` to ``string``, ``int64``, ``double``,
            ``bool`` or ``list<string>``.
        include_raw: Whether there is a column of the raw bytes.

    Raises:
        GraphError: a type is another one, or pyarrow is not installed.
    """

    def __init__(self, flatten: Mapping[str, str], *, include_raw: bool) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise GraphError("writing Parquet needs pyarrow: pip install 'penstock[parquet]'") from None
        self._pa = pa
        self._flatten = dict(flatten)
        self._include_raw = include_raw
        types = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_(),
                 "list<string>": pa.list_(pa.string())}  # fmt: skip
        for path, kind in self._flatten.items():
            if kind not in types:
                raise GraphError(
                    f"flatten={{{path!r}: {kind!r}}}: the types of columns are {', '.join(types)}"
                )
        columns = [(name, pa.string(), False) for name in _TEXT]
        columns += [("metadata", pa.string(), False), ("content_hash", pa.string(), False)]
        columns += [("deleted", pa.bool_(), False)]
        columns += [("raw", pa.binary(), True)] if include_raw else []
        columns += [(_PREFIX + path, types[kind], True) for path, kind in self._flatten.items()]
        self.schema = pa.schema([pa.field(name, kind, nullable=null) for name, kind, null in columns])

    def table(self, documents: Sequence[Document]) -> pa.Table:
        """Return ``documents`` as a table.

        Raises:
            SinkError: the metadata of a document are not JSON; the message names it.
        """
        columns: list[Sequence[Any]] = [[getattr(document, name) for document in documents] for name in _TEXT]
        columns.append([encode_value(document.metadata, document.doc_id) for document in documents])
        columns.append([document.content_hash for document in documents])
        columns.append([document.deleted for document in documents])
        if self._include_raw:
            columns.append([document.raw for document in documents])
        for path, kind in self._flatten.items():
            keys = path.split(".")
            columns.append([_fitting(_at(document.metadata, keys), kind) for document in documents])
        try:
            return self._made(columns)
        except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
            return self._made([without_surrogates(column) for column in columns])

    def _made(self, columns: list[Sequence[Any]]) -> pa.Table:
        arrays = [
            self._pa.array(column, type=field.type)
            for column, field in zip(columns, self.schema, strict=True)
        ]
        return self._pa.Table.from_arrays(arrays, schema=self.schema)


def _at(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _fitting(value: Any, kind: str) -> Any:
    """Return the value if it is of the type, otherwise ``None``."""
    if kind == "list<string>":
        return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
    if kind == "double" and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    if kind == "int64" and isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value if type(value) is _PLAIN[kind] else None
