"""CSV and TSV: one row a document, for spreadsheets and for tools that read nothing else."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.columns import ListOf, Scalar
from penstock.errors import GraphError
from penstock.runtime.arguments import at
from penstock.sinks.files.appended import AppendedFile
from penstock.sinks.files.codecs import CODECS, Codec
from penstock.sinks.files.lines import json_of, replace_surrogates
from penstock.sinks.files.sink import FileSink
from penstock.sinks.layout import Layout
from penstock.system import DiskStorage
from penstock.system.places import file_path

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.columns import Column
    from penstock.document import Document
    from penstock.system import Storage

_BUFFER_BYTES = 1 << 20
_LIST_OF_TEXTS = ListOf(Scalar("text"))


class CsvSink(FileSink):
    """Appends documents to ``path``, one row each, below a header with the names of the columns.

    The columns are those of every document, then the adapter's columns of one value or of a list of texts.
    Name ``columns`` to have others. Everything without a column of its own is JSON in ``metadata``.

    A list of texts is joined by ``separator``. Other lists and structs, if chosen, are JSON. Dates are
    ``YYYY-MM-DD``, ``deleted`` is ``true`` or ``false``, raw bytes are base64. A missing value and an empty
    text are both an empty cell. Cells are quoted where needed, as Python's ``csv`` module does, in TSV too;
    rows end in a line feed, the text is UTF-8. An output without documents is an empty file.

    As in JSON Lines, each version of a record, and each tombstone, is a row of its own, in the order of the
    source. Commits, compression (``.gz``, ``.zst``) and the lock are those of ``JsonLinesSink``.

    Args:
        path: The file; it and its folders are created if absent. ``.tsv`` has tabs instead of commas.
        schema: A class that declares columns; by default the schema of the adapter.
        columns: The names of the columns to write, in order.
        separator: What joins the texts of a list. It is not escaped where a text contains it.
        include_raw: Whether to write the raw bytes too.
        storage: Where files live; the real disk by default.

    Raises:
        GraphError: ``separator`` is empty, or the library for this ending is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: type | None = None,
        columns: Sequence[str] | None = None,
        separator: str = "; ",
        include_raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        if not isinstance(separator, str) or not separator:
            raise GraphError(
                f"separator= is the text between the texts of a list, not {separator!r}{at()}: separator='; '"
            )
        path = file_path(path)
        packed = path.suffix.lower() if path.suffix.lower() in CODECS else ""
        kind = (path.with_suffix("") if packed else path).suffix.lower()
        codec = CODECS[packed]
        codec.new()  # raises now if a library is not installed
        codec = replace(codec, format=f"csv{packed}")
        layout = Layout.of(schema, columns, include_raw=include_raw)
        delimiter = "\t" if kind == ".tsv" else ","
        self._rows = _CsvFile(path, storage or DiskStorage(), codec, layout, delimiter, separator)
        super().__init__(path, self._rows)

    def _collect(self, documents: Sequence[Document]) -> bool:
        rows = self._rows.rows(documents)
        self._items.append(rows)
        self._size += len(rows)
        return self._size >= _BUFFER_BYTES


class _CsvFile(AppendedFile):
    def __init__(
        self, path: Path, storage: Storage, codec: Codec, layout: Layout, delimiter: str, separator: str
    ) -> None:
        super().__init__(path, storage, codec)
        self._delimiter = delimiter
        self._separator = separator
        self.use_layout(layout)

    def use_layout(self, layout: Layout) -> None:
        super().use_layout(layout)
        self._written = layout if layout.chosen is not None else _flat(layout)
        columns = self._written.columns
        self._header = self._encoded([[column.name for column in columns]])
        self._cells = [(column.name, self._cell_of(column)) for column in columns]
        types = ",".join(f"{column.name} {column.type}" for column in columns)
        self.shape = f"{self._delimiter}{self._separator}{types}"
        if self._codec.is_plain:
            self._codec = replace(self._codec, beginning=self._header)

    def rows(self, documents: Sequence[Document]) -> bytes:
        """Return the rows of ``documents``.

        Raises:
            SinkError: a value is not JSON; the message names the document.
        """
        found = []
        for document, row in zip(documents, self._written.exact_rows(documents), strict=True):
            cells = ((row.get(name), cell) for name, cell in self._cells)
            found.append(["" if value is None else cell(value, document) for value, cell in cells])
        return self._encoded(found)

    def _encoded(self, rows: list[list[str]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(rows)
        return replace_surrogates(text.getvalue()).encode()

    def _cell_of(self, column: Column) -> Any:
        """Return the function that makes a cell of a value and its document."""
        kind = column.type
        if kind == _LIST_OF_TEXTS:
            return lambda value, _: self._separator.join(text for text in value if text is not None)
        if not isinstance(kind, Scalar) or kind.kind == "json":
            return json_of
        if kind.kind == "bool":
            return lambda value, _: "true" if value else "false"
        if kind.kind == "bytes":
            return lambda value, _: base64.b64encode(value).decode()
        return lambda value, _: str(value)

    def _append(self, items: list[bytes]) -> None:
        is_new = self._size == 0 and self._compressor is None
        super()._append([self._header, *items] if is_new else items)


def _flat(layout: Layout) -> Layout:
    """Return the layout of the columns that a cell can hold."""
    names = [
        column.name
        for column in layout.columns
        if isinstance(column.type, Scalar) or column.type == _LIST_OF_TEXTS
    ]
    return replace(layout, chosen=tuple(names))
