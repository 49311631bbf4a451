"""What the sinks of files share."""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from penstock.sinks.layout import Layout
from penstock.sinks.output import Output, OutputSink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.abc import JSON, Commit
    from penstock.document import Document
    from penstock.system import Lock, Storage, StoredFile

TAIL = 4096
"""Bytes at the end of a file by which a record recognises the file."""


class FileOutput(Output):
    """A file or folder that rolls back to the record of a commit; ``count`` is the documents in it."""

    def __init__(self, path: Path, storage: Storage) -> None:
        super().__init__(os.fspath(path))
        self.path = path
        self._storage = storage
        self.count = 0
        self.layout = Layout()

    def use_layout(self, layout: Layout) -> None:
        """Write these columns from the next ``open`` on."""
        self.layout = layout

    def _make_lock(self) -> Lock:
        self.path = self.path.absolute()  # from now on, whatever the working directory is
        return self._storage.lock(self.path)

    def _open(self, record: JSON, *, restart: bool) -> None:
        self.layout.check()
        if record is None:
            self._begin(restart=restart)
        else:
            self._resume(record)

    @abstractmethod
    def _begin(self, *, restart: bool) -> None:
        """Begin an empty output."""

    @abstractmethod
    def _resume(self, record: JSON) -> None:
        """Roll back to ``record``."""

    @abstractmethod
    def _append(self, items: list[Any]) -> None:
        """Write ``items``."""

    @abstractmethod
    def _commit(self) -> JSON:
        """Make everything durable, and return the record."""

    def append(self, items: list[Any], count: int) -> None:
        """Write ``items``, which are ``count`` documents."""
        with self.writing():
            self._has_documents = True
            self._append(items)
            self.count += count

    def commit(self, items: list[Any], count: int) -> JSON:
        """Write ``items``, make everything durable, and return the record."""
        with self.writing():
            if items:
                self._has_documents = True
                self._append(items)
                self.count += count
            self.check_presence()  # before the output is changed
            record = self._commit()
            self.check_presence()  # before the ledger counts on it
        return record


class FileSink(OutputSink):
    """A sink that buffers documents in the form in which it writes them, and writes many at once."""

    def __init__(self, path: Path, file: FileOutput) -> None:
        super().__init__(file)
        self._path = path
        self._file = file
        self._items: list[Any] = []
        self._size = 0
        self._count = 0

    @property
    def path(self) -> Path:
        """Where the output is."""
        return self._path

    @property
    def wants_raw(self) -> bool:
        """See ``Sink.wants_raw``."""
        return self._file.layout.wants_raw

    def use_schema(self, schema: type | None) -> None:
        """See ``Sink.use_schema``."""
        layout = self._file.layout
        if not layout.declared:
            self._file.use_layout(layout.with_schema(schema))

    @abstractmethod
    def _collect(self, documents: Sequence[Document]) -> bool:
        """Add ``documents`` to ``_items`` and ``_size``, and return whether to write the items now."""

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; documents reach the file once enough are collected.

        Raises:
            SinkError: a write failed, now or earlier: close, and open again at the last record. Or a document
                is not JSON.
        """
        self._check_open()
        if not documents:
            return
        is_full = self._collect(documents)
        self._count += len(documents)
        if is_full:
            await self._worker.run(partial(self._file.append, *self._take_items()))

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002  the ledger keeps it
        """See ``Sink.commit``. Raises as ``write``."""
        self._check_open()
        return await self._worker.run(partial(self._file.commit, *self._take_items()))

    def _take_items(self) -> tuple[list[Any], int]:
        items, count = self._items, self._count
        self._clear_buffer()
        return items, count

    def _clear_buffer(self) -> None:
        self._items, self._size, self._count = [], 0, 0


def read_tail(file: StoredFile, size: int) -> bytes:
    """Return the last 4 KB of the first ``size`` bytes."""
    return file.read(max(0, size - TAIL), min(TAIL, size))


def checksum(data: bytes) -> str:
    """Return the BLAKE2b checksum of ``data`` as 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()
