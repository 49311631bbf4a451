"""JSON Lines: one document, one line; the sink that most runs use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from penstock.documents.encoded import encoded_as
from penstock.sinks.files.appended import AppendedFile
from penstock.sinks.files.codecs import CODECS
from penstock.sinks.files.lines import encode_line, encode_lines
from penstock.sinks.files.sink import FileSink
from penstock.system import DiskStorage
from penstock.system.places import file_path

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from penstock.document import Document
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
        path: The file; created if absent. Its folder must exist.
        include_raw: Whether to write the raw bytes too, in base64.
        storage: Where files live; the real disk by default.

    Raises:
        GraphError: the library for this ending is not installed; the message says how to install it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        include_raw: bool = False,
        storage: Storage | None = None,
    ) -> None:
        path = file_path(path)
        codec = CODECS.get(path.suffix.lower(), CODECS[""])
        codec.new()  # raises now if a library is not installed
        super().__init__(path, AppendedFile(path, storage or DiskStorage(), codec))
        self._include_raw = include_raw
        self._encoder = partial(encode_line, include_raw=include_raw)

    @property
    def encoder(self) -> Callable[[Document], bytes]:
        """See ``Sink.encoder``."""
        return self._encoder

    def _collect(self, documents: Sequence[Document]) -> bool:
        lines = self._lines(documents)
        self._items.append(lines)
        self._size += len(lines)
        return self._size >= _BUFFER_BYTES

    def _lines(self, documents: Sequence[Document]) -> bytes:
        """Return the lines; other processes may have encoded some of them."""
        form = self._encoder
        found = [encoded_as(document, form) for document in documents]
        if None not in found:
            return b"".join(cast("list[bytes]", found))
        if not any(found):
            return encode_lines(documents, include_raw=self._include_raw)
        return b"".join(
            form(document) if line is None else line for document, line in zip(documents, found, strict=True)
        )
