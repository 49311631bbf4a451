"""A folder of files, one a commit: what a Parquet output stands on.

A part is written under a temporary name, fsynced, renamed, and the folder is fsynced; then the ledger may
count it. The marker ``_penstock.json`` says whose folder it is; readers of datasets pass over names that
begin with ``_`` or ``.``. Synchronous; all calls come from one thread.
"""

from __future__ import annotations

import contextlib
import json
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.errors import SinkError, SinkMismatch
from penstock.system import reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.abc import JSON
    from penstock.system import Storage, StoredFile

__all__ = ["PartsFolder"]

_FORMAT = "parts"
_MARKER = "_penstock.json"
_PART = re.compile(r"part-(\d{8})(\.\w+)")
_TAIL = _LARGEST_MARKER = 4096


class PartsFolder:
    """The open folder, or nothing yet; ``suffix`` is that of its parts.

    A record holds how many parts were committed, a checksum of their names, their sizes and the last 4 KB of
    the last one, and the marker. A change further up that keeps a size is not noticed.
    """

    def __init__(self, path: Path, storage: Storage, suffix: str) -> None:
        self.path = path
        self._storage = storage
        self._suffix = suffix
        self._lock = storage.lock(path)
        self._open = False
        self._failed: SinkError | None = None
        self._marker = ""
        self._parts: list[tuple[str, int]] = []
        self._tail = b""  # of the last part
        self._file: StoredFile | None = None
        self.rows = 0

    # -- opening

    def open(self, record: JSON, *, restart: bool) -> None:
        """See ``Sink.open``."""
        self._release()
        try:
            with self._speaking("open"):
                self._acquire()
                if record is None:
                    self._begin(restart=restart)
                else:
                    self._resume(record)
        except BaseException:
            self._lock.release()
            raise
        self._open = True

    def _acquire(self) -> None:
        if (holder := self._lock.acquire()) is not None:
            raise SinkError(
                f"the output {self.path} is being written by {holder}; wait for it or stop it, then run again"
            )

    def _begin(self, *, restart: bool) -> None:
        self._storage.make_folder(self.path)
        names = self._storage.names(self.path)
        if not restart and (others := [n for n in names if n != _MARKER and not _is_temporary(n)]):
            raise SinkMismatch(
                f"the folder {self.path} already holds {others[0]!r}, which this ledger knows nothing of; "
                "choose another folder, or restart to remove its parts"
            )
        self._remove([name for name in names if self._number(name) or _is_temporary(name)])
        self._marker = uuid4().hex
        self._put(_MARKER, json.dumps({"penstock": self._marker}).encode())
        self._parts, self._tail, self.rows = [], b"", 0

    def _resume(self, record: JSON) -> None:
        try:
            known, count = record["format"] == _FORMAT + self._suffix, int(record["parts"])
            digest, rows, marker = str(record["digest"]), int(record["rows"]), str(record["marker"])
        except (TypeError, KeyError, ValueError):
            known, count, digest, rows, marker = False, 0, "", 0, ""
        if not known:
            raise SinkMismatch(
                f"the ledger's record is of another kind of output than the folder {self.path}; "
                "name the output of the earlier runs, or restart to begin anew"
            )
        try:
            names = self._storage.names(self.path)
        except FileNotFoundError:
            raise SinkMismatch(self._unlike(rows, "is gone")) from None
        if self._read_marker() != marker:
            raise SinkMismatch(self._unlike(rows, "is not the one"))
        parts = [self._name(n) for n in range(1, count + 1)]
        if missing := next((name for name in parts if name not in names), None):
            raise SinkMismatch(self._unlike(rows, f"lacks {missing}"))
        looked = [self._look(name) for name in parts]
        sizes = [(name, size) for name, (size, _) in zip(parts, looked, strict=True)]
        tail = looked[-1][1] if looked else b""
        if _digest(sizes, tail) != digest:
            raise SinkMismatch(self._unlike(rows, "is not the one that was written, or was changed since"))
        later = [name for name in names if self._number(name) > count or _is_temporary(name)]
        self._remove(later)
        self._parts, self._tail, self.rows, self._marker = sizes, tail, rows, marker

    def _unlike(self, rows: int, how: str) -> str:
        return (
            f"the folder {self.path} {how}, but {rows} documents were committed to it; "
            "put back what was there, or restart to begin anew"
        )

    def _remove(self, names: list[str]) -> None:
        for name in names:
            self._storage.remove(self.path / name)
        if names:
            self._storage.fsync_folder(self.path)

    def _name(self, number: int) -> str:
        return f"part-{number:08}{self._suffix}"

    def _number(self, name: str) -> int:
        """Return the number of a part by its name, 0 for any other file."""
        found = _PART.fullmatch(name)
        return int(found[1]) if found and found[2] == self._suffix else 0

    def _look(self, name: str) -> tuple[int, bytes]:
        """Return the size and the last bytes of a part."""
        file = self._storage.open(self.path / name, create=False)
        try:
            return file.size(), _tail(file)
        finally:
            file.close()

    def _read_marker(self) -> str:
        try:
            file = self._storage.open(self.path / _MARKER, create=False)
        except FileNotFoundError:
            return ""
        try:
            return str(json.loads(file.read(0, _LARGEST_MARKER))["penstock"])
        except (ValueError, TypeError, KeyError):
            return ""
        finally:
            file.close()

    def _put(self, name: str, data: bytes) -> None:
        """Write a small file whole, under its name only when it is durable."""
        temporary = self.path / f".part-{name}.tmp"
        file = self._storage.open(temporary, create=True)
        try:
            file.truncate(0)
            file.append(data)
            file.fsync()
        finally:
            file.close()
        self._storage.rename(temporary, self.path / name)
        self._storage.fsync_folder(self.path)

    # -- writing

    def part(self) -> StoredFile:
        """Return the file of the part being written, begun now if there is none."""
        with self._writing():
            if self._file is None:
                self._file = self._storage.open(self._temporary(), create=True)
                self._file.truncate(0)
            return self._file

    def _temporary(self) -> Path:
        return self.path / f".{self._name(len(self._parts) + 1)}.tmp"

    def commit(self, rows: int) -> dict[str, Any]:
        """Make the part that was begun, if any, durable under its name; return the record."""
        with self._writing():
            if self._file is not None:
                name = self._name(len(self._parts) + 1)
                self._file.fsync()
                size, self._tail = self._file.size(), _tail(self._file)
                self._file.close()
                self._file = None
                self._storage.rename(self.path / f".{name}.tmp", self.path / name)
                self._storage.fsync_folder(self.path)
                self._parts.append((name, size))
        self.rows = rows
        return {
            "format": _FORMAT + self._suffix, "parts": len(self._parts), "rows": rows,
            "digest": _digest(self._parts, self._tail), "marker": self._marker,
        }  # fmt: skip

    @contextlib.contextmanager
    def speaking(self, *others: type[Exception]) -> Iterator[None]:
        """Turn errors of the disk, and ``others``, into errors that say what to do.

        After one, nothing more is written.
        """
        with self._writing():
            try:
                yield
            except others as error:
                raise SinkError(
                    f"cannot write the output {self.path}: {error}; what was committed is intact; correct "
                    "what it names and run again, or choose another kind of output"
                ) from error

    def close(self) -> None:
        """Remove the part that was not committed, as far as that works, and let go. Idempotent."""
        self._release()
        self._lock.release()

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # the next open does it again
                file.close()
                self._storage.remove(self._temporary())
        self._open, self._failed = False, None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._failed is not None:
            raise SinkError(str(self._failed)) from self._failed
        if not self._open:
            raise SinkError(f"the output {self.path} is not open; await open(record) first")
        try:
            with self._speaking("write"):
                yield
        except SinkError as error:
            self._failed = error
            raise

    @contextlib.contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            intact = "; what was committed is intact" if doing == "write" else ""
            raise SinkError(f"cannot {doing} the output {self.path}: {reason(error)}{intact}") from error


def _tail(file: StoredFile) -> bytes:
    size = file.size()
    return file.read(max(0, size - _TAIL), min(_TAIL, size))


def _is_temporary(name: str) -> bool:
    return name.startswith(".part-") and name.endswith(".tmp")


def _digest(parts: list[tuple[str, int]], tail: bytes) -> str:
    return blake2b(json.dumps(parts).encode() + tail, digest_size=16).hexdigest()
