"""A file that only grows, and that rolls back to a commit by cutting off its end."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.errors import SinkMismatch
from penstock.sinks.files.sink import TAIL, FileOutput, checksum, read_tail
from penstock.sinks.output import START_OVER, read_record
from penstock.system import Sight, copy, harm, whereabouts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.abc import JSON
    from penstock.sinks.files.codecs import Codec, Compressor
    from penstock.system import Storage, StoredFile


class AppendedFile(FileOutput):
    """One file, compressed by ``codec``.

    A record holds the committed length and a checksum of the last 4 KB before it. These recognise the file
    even after it was moved. They do not show a change further up that keeps the length.
    """

    def __init__(self, path: Path, storage: Storage, codec: Codec) -> None:
        super().__init__(path, storage)
        self._codec = codec
        self._compressor: Compressor | None = None
        self._file: Any = None  # a StoredFile while open
        self._size = 0
        self._committed = 0
        self._tail = b""
        self._created: str | None = None
        """The identity of the file, if this ``open`` has created it."""
        self.shape = ""
        """What the file holds of each document; it stands in the records, unless it is empty."""

    def _claim(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._opened(create=False):
            pass

    def _begin(self, *, restart: bool) -> None:
        with self._opened(create=True) as file:
            if file.size():
                if not restart:
                    raise SinkMismatch(
                        f"the output {self.path} already holds data that this ledger does not know; "
                        "choose another file, or overwrite this one with restart=True (--restart)"
                    )
                file.truncate(0)
                file.fsync()
            self._keep(file, 0, b"", 0)

    def _resume(self, record: JSON) -> None:
        known = read_record(record, self._codec.format, self.name, name=str, offset=int, lines=int, tail=str)
        offset, lines = known["offset"], known["lines"]
        if record.get("shape", "") != self.shape:
            raise SinkMismatch(
                f"the output {self.path} was written with other columns; choose the same columns again "
                f"(--columns, --raw), or another file, {START_OVER}"
            )
        try:
            with self._opened(create=offset == 0) as file:
                size = file.size()
                if size < offset:
                    raise SinkMismatch(
                        f"the output {self.path} has {size} bytes, but {offset} were committed to "
                        f"{known['name']}; put the whole file back, {START_OVER}"
                    )
                tail = read_tail(file, offset)
                is_ours = offset > 0 or size == 0 or self._is_first_run(file, record.get("file"))
                if checksum(tail) != known["tail"] or not is_ours:
                    raise SinkMismatch(
                        f"the output {self.path} is not the one that {lines} documents were committed to, "
                        f"or it was changed since; put that file back, {START_OVER}"
                    )
                if size > offset:
                    file.truncate(offset)
                self._keep(file, offset, tail, lines)
        except FileNotFoundError:
            if offset == 0:
                raise
            raise self._missing(known["name"], lines) from None

    def _is_first_run(self, file: StoredFile, identity: str | None) -> bool:
        """Return whether ``file`` holds only what a run wrote before its first commit of documents."""
        beginning = self._codec.beginning
        head = file.read(0, len(beginning))
        return file.identity == identity and (beginning.startswith(head) or not head.strip(b"\0"))

    def _missing(self, name: str, lines: int) -> SinkMismatch:
        advice = f"{lines} documents were committed to {name}; put it back, {START_OVER}"
        if self.path.name == name:
            return SinkMismatch(f"the output {self.path} is gone, but {advice}")
        return SinkMismatch(
            f"the output {self.path} does not exist, and by this ledger {advice}; "
            "to write a second output, use another key= or ledger"
        )

    @contextlib.contextmanager
    def _opened(self, *, create: bool) -> Iterator[StoredFile]:
        """Open the file, and close it again unless the block keeps it."""
        is_new = create and not self.path.is_symlink() and self._storage.look(self.path) is None
        file = self._storage.open(self.path, create=create)
        self._created = file.identity if is_new else None
        try:
            if create:
                self._storage.fsync_folder(self.path.parent)
            yield file
        finally:
            if self._file is not file:
                file.close()

    def _keep(self, file: StoredFile, size: int, tail: bytes, count: int) -> None:
        self._file = file
        self._compressor = None
        self._size = self._committed = size
        self._tail = tail
        self.count = count

    def _append(self, items: list[bytes]) -> None:
        data = b"".join(items)
        if self._compressor is None:
            self._compressor = self._codec.new()
        self._write(data if self._compressor is None else self._compressor.compress(data))

    def _write(self, data: bytes) -> None:
        self._file.append(data)
        self._size += len(data)
        self._tail = data[-TAIL:] if len(data) >= TAIL else (self._tail + data)[-TAIL:]

    def _commit(self) -> JSON:
        if self._compressor is not None:
            compressor, self._compressor = self._compressor, None
            self._write(compressor.flush())
        self._file.fsync()
        self._committed = self._size
        record = {
            "format": self._codec.format, "name": self.path.name, "offset": self._size,
            "lines": self.count, "tail": checksum(self._tail),
        }  # fmt: skip
        if self.shape:
            record["shape"] = self.shape
        return record if self._size else {**record, "file": self._file.identity}

    def _harm(self, *, thorough: bool) -> str | None:  # noqa: ARG002  every look sees all there is to see
        file = self._file
        happened = harm(Sight(file.identity, self._size), self._storage.look(self.path))
        if happened is None:
            return None
        if not happened.gone:
            return happened.what
        keep = partial(copy, self._storage, file, self._committed)
        return f"{happened.what}; {whereabouts(self.path, file.identity, keep)}"

    def _undo_open(self) -> None:
        created = self._created
        self._discard()
        if created is not None and self._storage.look(self.path) == Sight(created, 0):
            self._storage.remove(self.path)
            self._storage.fsync_folder(self.path.parent)

    def _discard(self) -> None:
        self._created = None
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # the next open tries again
                if self._is_ours and file.size() > self._committed:
                    file.truncate(self._committed)
            with contextlib.suppress(OSError):
                file.close()
