"""Parquet: a folder of files, one a commit, that every reader of datasets takes as one table."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkError
from penstock.sinks.files.arrow import DocumentTable
from penstock.sinks.files.parts import PartsFolder
from penstock.system import DiskStorage, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.document import Document
    from penstock.system import Storage, StoredFile

__all__ = ["ParquetSink"]

_GROUP = 10_000
"""Documents in a row group, at most."""
_GROUP_BYTES = 32 << 20
"""Characters of content and bytes of records after which a row group is written, whatever it holds."""


class ParquetSink(Sink):
    """Writes documents into ``path``, a folder, as ``part-00000001.parquet`` and so on, one a commit.

    A part gets its name when it is durable, so readers never see one that is not whole; a commit without
    documents makes none. ``open`` removes parts that no commit counts, and refuses a folder that lacks one
    that was committed. The columns are those of ``penstock.sinks.files.arrow``: ``metadata`` as JSON text,
    and what ``flatten`` names as ``metadata.<path>``. Many small commits make many small parts: commit less
    often (``checkpoint_every``) for large data.

    Args:
        path: The folder; created if it is absent, the one above it must exist.
        flatten: From paths into ``metadata`` (``"journal.title"``) to the type of their column: ``string``,
            ``int64``, ``double``, ``bool``, ``list<string>``.
        compression: As pyarrow calls it.
        include_raw: Whether to write the raw bytes too.
        storage: Where files live; the real disk by default.

    Raises:
        GraphError: pyarrow is not installed (the message says how), or a type is unknown.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        flatten: Mapping[str, str] | None = None,
        compression: str = "zstd",
        include_raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        self._path = Path(path)
        self._table = DocumentTable(flatten or {}, include_raw=include_raw)
        self._compression = compression
        self._folder = PartsFolder(self._path, storage or DiskStorage(), ".parquet")
        self._worker = Worker("penstock-sink")
        self._writer: Any = None
        self._buffer: list[Document] = []
        self._buffered = 0
        self._rows = 0
        self._is_open = False

    @property
    def path(self) -> Path:
        """Where the output is."""
        return self._path

    def describe(self) -> str:
        """Return the path."""
        return os.fspath(self._path)

    def __repr__(self) -> str:
        return f"ParquetSink({os.fspath(self._path)!r})"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; ``restart`` removes the parts that are there. Returns ``None``."""
        self._forget()
        await self._worker.run(partial(self._folder.open, None if restart else record, restart=restart))
        self._rows, self._is_open = self._folder.rows, True
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; reaches the file in row groups.

        Raises:
            SinkError: the folder cannot be written, or could not be before: then close, and open again at
                the last record; or the metadata of a document are not JSON.
        """
        self._check_open()
        self._buffer += documents
        self._buffered += sum(len(document.content) + len(document.raw or b"") for document in documents)
        self._rows += len(documents)
        if len(self._buffer) >= _GROUP or self._buffered >= _GROUP_BYTES:
            await self._worker.run(partial(self._group, self._taken()))

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002 - a file sink leaves it to the ledger
        """See ``Sink.commit``; the record is ``{parts, rows, …}``. Raises as ``write``."""
        self._check_open()
        return await self._worker.run(partial(self._finish, self._taken(), self._rows))

    async def aclose(self) -> None:
        """See ``Sink.aclose``; removes what was not committed."""
        self._forget()
        await self._worker.aclose(self._folder.close)

    def _forget(self) -> None:
        self._is_open, self._writer, self._buffer, self._buffered = False, None, [], 0

    def _taken(self) -> list[Document]:
        documents, self._buffer, self._buffered = self._buffer, [], 0
        return documents

    def _group(self, documents: list[Document]) -> None:
        """Write one row group; on the worker's thread, like all below."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._folder.speaking(pa.ArrowException):
            if self._writer is None:
                file = _Appending(self._folder.part())
                self._writer = pq.ParquetWriter(file, self._table.schema, compression=self._compression)
            self._writer.write_table(self._table.table(documents), row_group_size=_GROUP)

    def _finish(self, documents: list[Document], rows: int) -> JSON:
        if documents:
            self._group(documents)
        writer, self._writer = self._writer, None
        if writer is not None:
            import pyarrow as pa

            with self._folder.speaking(pa.ArrowException):
                writer.close()
        return self._folder.commit(rows)

    def _check_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"the output {self._path} is not open; await open(record) first")


class _Appending:
    """A stored file as pyarrow wants one."""

    closed = False

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._size = 0

    def write(self, data: Any) -> int:
        """Append."""
        data = bytes(data)
        self._file.append(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how much was written."""
        return self._size

    def flush(self) -> None:
        """Leave it to the commit."""

    def close(self) -> None:
        """Leave it to the commit."""
