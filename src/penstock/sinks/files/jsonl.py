"""JSON Lines: one document, one line; the file sink that most runs use."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkError
from penstock.sinks.files.appended import AppendedFile
from penstock.sinks.files.codecs import CODECS
from penstock.sinks.files.lines import encode_lines
from penstock.system import DiskStorage, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document
    from penstock.system import Storage

__all__ = ["JsonLinesSink"]

_BUFFERED = 1 << 20


class JsonLinesSink(Sink):
    """Appends documents to ``path``, one JSON object per line (see ``penstock.sinks.files.lines``).

    A path that ends in ``.gz`` or ``.zst`` is compressed; each commit ends a gzip member or a Zstandard
    frame, so that a file is whole whenever it was committed; few documents a commit compress badly.

    ``commit`` fsyncs and returns the length of the file; ``open`` cuts the file back to that length.
    ``aclose`` cuts off what was not committed, so that the file always ends with a whole line. Encoding runs
    where ``write`` is called, everything that touches the disk on a thread of its own. A cancelled
    ``write`` has taken its documents, a cancelled ``commit`` goes on behind.

    A driver that keeps records should ``commit`` once right after a fresh ``open``, before the first
    ``write``, and store that record: it is what lets a later ``open`` know the lines of a run that was
    killed before its first commit from a file that somebody else put there.

    A lock on ``<path>.lock`` keeps a second process out.

    Args:
        path: The file; created if it is absent, its folder must exist.
        include_raw: Whether to write the raw bytes too, in base64.
        storage: Where files live; the real disk by default.

    Raises:
        GraphError: a library for this ending is not installed; the message says how to install it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        include_raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        self._path = Path(path)
        self._include_raw = include_raw
        codec = CODECS.get(self._path.suffix.lower(), CODECS[""])
        codec.new()  # says now if something is not installed
        self._file = AppendedFile(self._path, storage or DiskStorage(), codec)
        self._worker = Worker("penstock-sink")
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._lines = 0
        self._is_open = False

    @property
    def path(self) -> Path:
        """Where the output is."""
        return self._path

    def describe(self) -> str:
        """Return the path."""
        return os.fspath(self._path)

    def __repr__(self) -> str:
        return f"JsonLinesSink({os.fspath(self._path)!r})"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; ``restart`` empties the file, whatever it holds. Returns ``None``."""
        self._is_open, self._buffer, self._buffered = False, [], 0
        await self._worker.run(partial(self._file.open, None if restart else record, restart=restart))
        self._lines, self._is_open = self._file.lines, True
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; reaches the file when a megabyte has come together.

        Raises:
            SinkError: the file cannot be written, or could not be before: then close, and open again at
                the last record; or a document is not JSON, and then none of ``documents`` was taken.
        """
        self._check_open()
        if not documents:
            return
        data = encode_lines(documents, include_raw=self._include_raw)
        self._buffer.append(data)
        self._buffered += len(data)
        self._lines += len(documents)
        if self._buffered >= _BUFFERED:
            await self._worker.run(partial(self._file.append, self._taken()))

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002 - a file sink leaves it to the ledger
        """See ``Sink.commit``; the record is ``{offset, lines, …}``. Raises as ``write``."""
        self._check_open()
        return await self._worker.run(partial(self._file.commit, self._taken(), self._lines))

    async def aclose(self) -> None:
        """See ``Sink.aclose``; cuts off what was not committed."""
        self._is_open, self._buffer, self._buffered = False, [], 0
        await self._worker.aclose(self._file.close)

    def _taken(self) -> list[bytes]:
        data, self._buffer, self._buffered = self._buffer, [], 0
        return data

    def _check_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"the output {self._path} is not open; await open(record) first")
