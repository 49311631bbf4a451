"""A file that only grows, and rolls back to what was committed: what line-by-line sinks stand on.

Synchronous; all calls come from one thread.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from penstock.errors import SinkError, SinkMismatch
from penstock.system import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.abc import JSON
    from penstock.sinks.files.codecs import Codec, Compressor
    from penstock.system import Storage, StoredFile

__all__ = ["AppendedFile"]

_TAIL = 4096


class AppendedFile:
    """The open output, or nothing yet; what is appended is compressed as ``codec`` says.

    A record holds the committed length and a checksum of the last 4 KB before it, by which the file is
    known again, wherever it was moved. A change further up that keeps the length is not noticed.
    """

    def __init__(self, path: Path, storage: Storage, codec: Codec) -> None:
        self._path = path
        self._codec = codec
        self._compressor: Compressor | None = None
        self._storage = storage
        self._lock = storage.lock(path)
        self._file: StoredFile | None = None
        self._failed: SinkError | None = None
        self._offset = 0
        self._committed = 0
        self._tail = b""
        self.lines = 0

    def open(self, record: JSON, *, restart: bool) -> None:
        """See ``Sink.open``."""
        self._release()
        try:
            with self._speaking("open"):
                self._acquire()
                if record is None:
                    self._begin(restart=restart)
                else:
                    self._resume(_Record.parse(record, self._path, self._codec))
        except BaseException:
            self._lock.release()
            raise

    def _acquire(self) -> None:
        if (holder := self._lock.acquire()) is not None:
            raise SinkError(
                f"the output {self._path} is being written by {holder}; "
                "wait for it or stop it, then run again"
            )

    def _begin(self, *, restart: bool) -> None:
        with self._opened(create=True) as file:
            if file.size():
                if not restart:
                    raise SinkMismatch(
                        f"the output {self._path} already holds data that this ledger knows nothing of; "
                        "choose another file, or restart to overwrite it"
                    )
                file.truncate(0)
                file.fsync()
            self._accept(file, 0, 0, b"")

    def _resume(self, record: _Record) -> None:
        try:
            with self._opened(create=record.offset == 0) as file:
                tail = record.check(file, self._path)
                if file.size() > record.offset:
                    file.truncate(record.offset)
                self._accept(file, record.offset, record.lines, tail)
        except FileNotFoundError:
            if record.offset == 0:
                raise
            raise SinkMismatch(_gone(self._path, record.name, record.lines)) from None

    @contextlib.contextmanager
    def _opened(self, *, create: bool) -> Iterator[StoredFile]:
        """Open the file, and close it again, untouched, unless the block accepts it."""
        file = self._storage.open(self._path, create=create)
        try:
            if create:
                self._storage.fsync_folder(self._path.parent)
            yield file
        finally:
            if self._file is not file:
                file.close()

    def _accept(self, file: StoredFile, offset: int, lines: int, tail: bytes) -> None:
        self._file = file
        self._compressor = None
        self._offset = self._committed = offset
        self._tail = tail
        self.lines = lines

    def append(self, parts: Sequence[bytes]) -> None:
        """Write ``parts`` at the end; after an error everything fails until the file is opened again."""
        data = b"".join(parts)
        with self._writing() as file:
            if self._compressor is None:
                self._compressor = self._codec.new()
            self._put(file, data if self._compressor is None else self._compressor.compress(data))

    def _put(self, file: StoredFile, data: bytes) -> None:
        file.append(data)
        self._offset += len(data)
        self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]

    def commit(self, parts: Sequence[bytes], lines: int) -> dict[str, Any]:
        """Write ``parts``, make everything durable, and return the record; ``lines`` are in the file then."""
        if parts:
            self.append(parts)
        with self._writing() as file:
            if self._compressor is not None:
                rest, self._compressor = self._compressor.flush(), None
                self._put(file, rest)
            file.fsync()
        self._committed, self.lines = self._offset, lines
        record: dict[str, Any] = {
            "format": self._codec.format,
            "name": self._path.name,
            "offset": self._offset,
            "lines": lines,
            "tail": _digest(self._tail),
        }
        if self._offset == 0:
            record["file"] = file.identity
        return record

    def close(self) -> None:
        """Cut off what was not committed, as far as that works, and let go of the file. Idempotent."""
        self._release()
        self._lock.release()

    def _release(self) -> None:
        file, self._file = self._file, None
        self._failed = None
        if file is not None:
            with contextlib.suppress(OSError):  # the next open does it again
                if file.size() > self._committed:
                    file.truncate(self._committed)
            with contextlib.suppress(OSError):
                file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[StoredFile]:
        if self._failed is not None:
            raise SinkError(str(self._failed)) from self._failed
        if self._file is None:
            raise SinkError(f"the output {self._path} is not open; await open(record) first")
        try:
            with self._speaking("write"):
                yield self._file
        except SinkError as error:
            self._failed = error
            raise

    @contextlib.contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            intact = "; what was committed is intact" if doing == "write" else ""
            raise SinkError(f"cannot {doing} the output {self._path}: {reason(error)}{intact}") from error


@dataclass(frozen=True, slots=True)
class _Record:
    """What ``commit`` returned once; ``file`` is an identity, while nothing has been committed yet."""

    name: str
    offset: int
    lines: int
    tail: str
    file: str | None
    beginning: bytes

    @classmethod
    def parse(cls, record: JSON, path: Path, codec: Codec) -> _Record:
        try:
            if record["format"] == codec.format:
                return cls(
                    str(record["name"]),
                    int(record["offset"]),
                    int(record["lines"]),
                    str(record["tail"]),
                    record.get("file"),
                    codec.beginning,
                )
        except (TypeError, KeyError, ValueError):
            pass
        raise SinkMismatch(
            f"the ledger's record is of another kind of output than the {codec.format} file {path}; "
            "name the output of the earlier runs, or restart to begin anew"
        )

    def check(self, file: StoredFile, path: Path) -> bytes:
        """Return the committed tail of ``file``; raise ``SinkMismatch`` if this is not the file."""
        size = file.size()
        if size < self.offset:
            raise SinkMismatch(
                f"the output {path} has {size} bytes, but {self.offset} were committed to {self.name}; "
                "put the whole file back, or restart to begin anew"
            )
        tail = file.read(max(0, self.offset - _TAIL), min(_TAIL, self.offset))
        if _digest(tail) != self.tail or (self.offset == 0 and size and not self._began(file)):
            raise SinkMismatch(
                f"the output {path} is not the one that {self.lines} documents were committed to, "
                "or was changed since; put that back, or restart to begin anew"
            )
        return tail

    def _began(self, file: StoredFile) -> bool:
        """Whether ``file`` holds nothing but what a run wrote that did not get to its first commit."""
        head = file.read(0, len(self.beginning))
        return file.identity == self.file and (self.beginning.startswith(head) or not head.strip(b"\0"))


def _digest(tail: bytes) -> str:
    return blake2b(tail, digest_size=16).hexdigest()


def _gone(path: Path, name: str, lines: int) -> str:
    told = f"{lines} documents were committed to {name}; put it back, or restart to begin anew"
    if path.name == name:
        return f"the output {path} is gone, but {told}"
    return (
        f"the output {path} is not there, and by this ledger {told}; "
        "an output of its own takes another key= or ledger"
    )
