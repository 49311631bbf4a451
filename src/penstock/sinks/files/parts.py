"""A folder of files, one a commit, that rolls back to a commit by removing later files.

A part is written under a temporary name, fsynced and renamed; then the folder is fsynced, and the ledger may
count the part. Nothing else lies in the folder when no run is writing to it: some readers of datasets take
every file of a folder.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING
from uuid import uuid4

from penstock.errors import SinkMismatch
from penstock.sinks.files.sink import FileOutput, checksum, read_tail
from penstock.sinks.output import START_OVER, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.abc import JSON
    from penstock.system import Storage, StoredFile

_PART = re.compile(r"part-(\d{8})(\.\w+)")
_TEMPORARY = re.compile(r"\.part-\d{8}\.\w+\.[0-9a-f]{8}\.tmp")


class PartsFolder(FileOutput):
    """One folder; the names of its parts end in ``suffix``. A subclass writes the documents.

    A record holds the number of committed parts, and a checksum of their names, their sizes and the last 4 KB
    of the last one. It does not show a change further up that keeps a size. Without parts it holds the
    identity of the folder.
    """

    def __init__(self, path: Path, storage: Storage, suffix: str) -> None:
        super().__init__(path, storage)
        self._suffix = suffix
        self._format = f"parts{suffix}"
        self._run = uuid4().hex[:8]
        """Makes temporary names unique: a run that lost its lock must not publish the part of another."""
        self._parts: list[tuple[str, int]] = []
        self._tail = b""  # of the last part
        self._file: StoredFile | None = None
        self._is_new = False
        """Whether this ``open`` has created the folder."""

    # -- opening

    def _claim(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._storage.names(self.path)

    def _begin(self, *, restart: bool) -> None:
        self._is_new = self._storage.make_folder(self.path)
        names = self._storage.names(self.path)
        if not restart:
            self._refuse_others([name for name in names if not _is_temporary(name)])
        self._remove([name for name in names if self._number(name) or _is_temporary(name)])
        self._parts, self._tail, self.count = [], b"", 0

    def _refuse_others(self, names: list[str]) -> None:
        """Refuse a folder that holds files. A restart would remove only what has the name of a part."""
        foreign = [name for name in names if not self._number(name)]
        if foreign:
            raise SinkMismatch(
                f"the folder {self.path} holds {foreign[0]!r}, which is no part of this output, and many "
                "readers take every file of a folder; choose another folder, or move that file away"
            )
        if names:
            raise SinkMismatch(
                f"the folder {self.path} already holds {names[0]!r}, which this ledger does not know; "
                "choose another folder, or remove its parts with restart=True (--restart)"
            )

    def _resume(self, record: JSON) -> None:
        known = read_record(record, self._format, self.name, parts=int, rows=int, digest=str)
        count, rows = known["parts"], known["rows"]
        try:
            names = self._storage.names(self.path)
        except FileNotFoundError:
            raise self._mismatch(rows, "is gone") from None
        parts = [self._name(number) for number in range(1, count + 1)]
        if missing := next((name for name in parts if name not in names), None):
            raise self._mismatch(rows, f"lacks {missing}")
        sizes, tail = [], b""
        for name in parts:
            with self._reading(name) as file:
                sizes.append((name, file.size()))
                tail = read_tail(file, sizes[-1][1])
        if _digest(sizes, tail) != known["digest"]:
            raise self._mismatch(rows, "is not the one that was written, or was changed since")
        later = [name for name in names if self._number(name) > count]
        if later and not count and record.get("folder") != self._folder_identity():
            raise self._mismatch(rows, "is not the one")
        self._remove([*later, *filter(_is_temporary, names)])
        self._parts, self._tail, self.count = sizes, tail, rows

    def _mismatch(self, rows: int, problem: str) -> SinkMismatch:
        return SinkMismatch(
            f"the folder {self.path} {problem}, but {rows} documents were committed to it; "
            f"put the folder back as it was, {START_OVER}"
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

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[StoredFile]:
        file = self._storage.open(self.path / name, create=False)
        try:
            yield file
        finally:
            file.close()

    # -- writing

    def _part(self) -> StoredFile:
        """Return the file of the current part; open it if there is none."""
        if self._file is None:
            self._file = self._storage.open(self._temporary(), create=True)
            self._file.truncate(0)
        return self._file

    def _temporary(self) -> Path:
        return self.path / f".{self._name(len(self._parts) + 1)}.{self._run}.tmp"

    def _commit(self) -> JSON:
        if self._file is not None:
            name = self._name(len(self._parts) + 1)
            self._file.fsync()
            size = self._file.size()
            self._tail = read_tail(self._file, size)
            self._file.close()
            self._file = None
            self._check_lock()  # fsync may take long
            self._storage.rename(self._temporary(), self.path / name)
            self._storage.fsync_folder(self.path)
            self._parts.append((name, size))
        record = {
            "format": self._format, "parts": len(self._parts), "rows": self.count,
            "digest": _digest(self._parts, self._tail),
        }  # fmt: skip
        return record if self._parts else {**record, "folder": self._folder_identity()}

    def _folder_identity(self) -> str:
        sight = self._storage.look(self.path)
        return sight.identity if sight else ""

    def _harm(self, *, thorough: bool) -> str | None:
        for name, size in reversed(self._parts):
            now = self._storage.look(self.path / name)
            if now is None:
                return f"has lost {name}, which another program removed or renamed"
            if now.size != size:
                return f"has {name} with {now.size} bytes, and {size} were written"
            if not thorough:
                break
        return None

    def _undo_open(self) -> None:
        is_new = self._is_new
        self._discard()
        if is_new and not self._storage.names(self.path):
            self._storage.remove_folder(self.path)
            self._storage.fsync_folder(self.path.parent)

    def _discard(self) -> None:
        self._is_new = False
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # the next open tries again
                file.close()
            with contextlib.suppress(OSError):
                if self._is_ours:
                    self._storage.remove(self._temporary())


def _is_temporary(name: str) -> bool:
    return _TEMPORARY.fullmatch(name) is not None


def _digest(parts: list[tuple[str, int]], tail: bytes) -> str:
    return checksum(json.dumps(parts).encode() + tail)
