"""Parquet: a folder of files, one a commit, which readers of datasets take as one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import SinkMismatch
from penstock.sinks.files.arrow import DocumentTable
from penstock.sinks.files.parts import PartsFolder
from penstock.sinks.files.sink import FileSink, checksum
from penstock.sinks.layout import Layout
from penstock.sinks.output import START_OVER
from penstock.system import DiskStorage
from penstock.system.places import file_path

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from penstock.abc import JSON
    from penstock.document import Document
    from penstock.sinks.files.arrow import Page
    from penstock.system import Storage, StoredFile

_GROUP_ROWS = 10_000
"""Documents in a row group, at most."""
_GROUP_SIZE = 32 << 20
"""Characters of text and bytes of raw records after which a row group is written."""
_SIZED = (str, bytes)


_BUFFER_BYTES = 1 << 20


class ParquetSink(FileSink):
    """Writes documents into the folder ``path`` as ``part-00000001.parquet`` and so on, one file a commit.

    A part gets its name when it is durable, so readers see only complete parts. A commit without documents
    writes no part. ``open`` removes parts that no commit counts, and refuses a folder that lacks a committed
    part, or has other columns. Each commit writes a part, so commit less often (``checkpoint_every``) for
    large data. Lists and structs have nested types. Texts that repeat are dictionary-encoded.

    Args:
        path: The folder; it and the folders above are created if absent.
        schema: A class that declares columns; see `penstock.columns`. By default the schema of the adapter.
        columns: The names of the columns to write; all by default.
        compression: A name that pyarrow knows.
        include_raw: Whether to write the raw bytes too.
        storage: Where files live; the real disk by default.

    Raises:
        GraphError: pyarrow is not installed (the message says how to install it), or the schema is invalid.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: type | None = None,
        columns: Sequence[str] | None = None,
        compression: str = "zstd",
        include_raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        path = file_path(path)
        layout = Layout.of(schema, columns, include_raw=include_raw)
        self._folder = _ParquetFolder(path, storage or DiskStorage(), layout, compression)
        super().__init__(path, self._folder)

    def _collect(self, documents: Sequence[Document]) -> bool:
        page = self._folder.page(documents)
        self._items.append(page)
        self._size += sum([len(value) for values in page for value in values if isinstance(value, _SIZED)])
        return self._count + len(documents) >= _GROUP_ROWS or self._size >= _GROUP_SIZE


class _ParquetFolder(PartsFolder):
    def __init__(self, path: Path, storage: Storage, layout: Layout, compression: str) -> None:
        super().__init__(path, storage, ".parquet")
        self._compression = compression
        self._writer: Any = None
        self._file_of_arrow: Any = None
        self.use_layout(layout)
        import pyarrow as pa

        self.errors = (OSError, pa.ArrowException)

    def use_layout(self, layout: Layout) -> None:
        super().use_layout(layout)
        self._table = DocumentTable(layout)

    def _resume(self, record: JSON) -> None:
        super()._resume(record)
        if record.get("columns") != self._columns():
            raise SinkMismatch(
                f"the folder {self.path} was written with other columns; "
                f"choose the same columns again, or another folder, {START_OVER}"
            )

    def page(self, documents: Sequence[Document]) -> Page:
        """Return documents as they wait for their row group; raises ``SinkError``."""
        return self._table.page(documents)

    def _append(self, items: list[Page]) -> None:
        """Write one row group."""
        from pyarrow.parquet import ParquetWriter

        if self._writer is None:
            self._file_of_arrow = file = _ArrowFile(self._part())
            repeating: Any = self._table.repeating()
            self._writer = ParquetWriter(
                file, self._table.schema, compression=self._compression, use_dictionary=repeating or False
            )
        self._writer.write_table(self._table.table(items), row_group_size=_GROUP_ROWS)

    def _commit(self) -> JSON:
        if self._writer is not None:
            self._writer.close()
            self._file_of_arrow.send()
            self._writer = None
        return {**super()._commit(), "columns": self._columns()}

    def _columns(self) -> str:
        return checksum(str(self._table.schema).encode())

    def _discard(self) -> None:
        self._writer = None
        super()._discard()

    def reason(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return super().reason(error)
        return f"{error}; correct this and run again, or choose another kind of output"


class _ArrowFile:
    """A stored file as pyarrow needs it; the many small writes of pyarrow are joined."""

    closed = False

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._size = 0
        self._held = bytearray()

    def write(self, data: Any) -> int:
        """Append ``data``."""
        self._held += data
        if len(self._held) >= _BUFFER_BYTES:
            self.send()
        size = len(data)
        self._size += size
        return size

    def send(self) -> None:
        """Append what was held back to the file."""
        if self._held:
            self._file.append(bytes(self._held))
            self._held.clear()

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def flush(self) -> None:
        """Do nothing; the commit makes the file durable."""

    def close(self) -> None:
        """Do nothing; the commit closes the file."""
