"""JSON Lines: one document, one line; the sink that most runs use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.sinks.files.appended import AppendedFile
from penstock.sinks.files.codecs import CODECS
from penstock.sinks.files.lines import LineForm
from penstock.sinks.files.sink import FileSink
from penstock.sinks.layout import Layout
from penstock.system import DiskStorage
from penstock.system.places import file_path

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from penstock.document import Document
    from penstock.sinks.files.codecs import Codec
    from penstock.system import Storage

_BUFFER_BYTES = 1 << 20


class JsonLinesSink(FileSink):
    """Appends documents to ``path``, one JSON object a line (see ``penstock.sinks.files.lines``).

    ``commit`` calls fsync and returns the length of the file; ``open`` cuts the file back to that length.
    ``aclose`` cuts off what was not committed, so the file always ends with a whole line. ``write`` encodes
    documents and buffers up to 1 MiB; a thread does the disk work.

    A path that ends in ``.gz`` or ``.zst`` is compressed. Each commit ends a gzip member or Zstandard frame,
    so the committed file is always complete. Commits of few documents compress badly.

    Code that calls this sink itself should ``commit`` right after a fresh ``open``, before the first
    ``write``, and store that record. If the process is killed before the next commit, ``open`` can then tell
    the lines of that run from a stranger's file.

    A lock on ``<path>.lock`` keeps other processes out.

    Args:
        path: The file; it and its folders are created if absent.
        schema: A class that declares columns; see `penstock.columns`. By default the schema of the adapter.
        columns: The names of the columns to write: a line is then one flat object with these keys. By default
            a line is the whole document.
        include_raw: Whether to write the raw bytes too, in base64.
        storage: Where files live; the real disk by default.

    Raises:
        GraphError: the library for this ending is not installed; the message says how to install it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: type | None = None,
        columns: Sequence[str] | None = None,
        include_raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        path = file_path(path)
        codec = CODECS.get(path.suffix.lower(), CODECS[""])
        codec.new()  # raises now if a library is not installed
        layout = Layout.of(schema, columns, include_raw=include_raw)
        self._lines = _LinesFile(path, storage or DiskStorage(), codec, layout)
        super().__init__(path, self._lines)

    @property
    def encoder(self) -> Callable[[Document], bytes] | None:
        """See ``Sink.encoder``."""
        return self._lines.form.encoder

    def _collect(self, documents: Sequence[Document]) -> bool:
        lines = self._lines.form.lines(documents)
        self._items.append(lines)
        self._size += len(lines)
        return self._size >= _BUFFER_BYTES


class _LinesFile(AppendedFile):
    def __init__(self, path: Path, storage: Storage, codec: Codec, layout: Layout) -> None:
        super().__init__(path, storage, codec)
        self.use_layout(layout)

    def use_layout(self, layout: Layout) -> None:
        super().use_layout(layout)
        self.form = LineForm(layout)
        self.shape = self.form.shape
        if self._codec.is_plain:
            self._codec = replace(self._codec, beginning=self.form.beginning)
