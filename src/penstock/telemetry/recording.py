"""Recordings of runs: events as lines of JSON in a file that rotates."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.events import PipelineEvent, decode, encode_all
from penstock.runtime.arguments import positive
from penstock.system import DiskStorage
from penstock.system.folders import make_folders
from penstock.telemetry.isolation import QUEUE, SECONDS, Events, InThread

if TYPE_CHECKING:
    from penstock.system import StoredFile

_DISK = DiskStorage()
_PIECE = 1 << 16


class Recorder(InThread):
    """A hook that writes every event to a file, as a line of JSON (see `penstock.events`).

    It encodes and writes in a thread of its own, as `isolated` describes it, with the same bound. At the end
    of each run, on ``close()``, and after a second without events, it makes the file durable and closes it.
    The next event opens it again, and appends. A write that fails leaves no half of a line behind: its events
    are missing, and the failure is counted.

    Values that JSON does not have are replaced: see ``encode_all(exact=False)``. ``DocumentCompleted`` holds
    the whole document, so a recording is as large as the output. Only one ``Recorder`` may write to a file.

    Args:
        path: The file; its folder is made if it is missing.
        rotate_bytes: From this size on, ``path`` is renamed to ``path.1``, ``path.1`` to ``path.2`` and so
            on. A list of events stays in one file, so files become a little larger. ``None`` never rotates.
        keep: How many rotated files to keep. Older ones are deleted.
        queue: See `isolated`.
        seconds: See `isolated`.

    Raises:
        GraphError: an argument is invalid.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rotate_bytes: int | None = None,
        keep: int = 5,
        queue: int = QUEUE,
        seconds: float = SECONDS,
    ) -> None:
        super().__init__(self._write, queue=queue, seconds=seconds, name=f"Recorder({os.fspath(path)})")
        if rotate_bytes is not None:
            positive("Recorder", "rotate_bytes", rotate_bytes)
        positive("Recorder", "keep", keep)
        self._path = Path(path)
        self._rotate = rotate_bytes
        self._keep = keep
        self._file: StoredFile | None = None
        self._size = 0

    def _write(self, events: Events) -> None:
        data = encode_all(events, exact=False)
        if self._file is None:
            self._open()
        if self._rotate is not None and self._size >= self._rotate:
            self._finish()
            self._shift()
            self._open()
        self._append(data)

    def _open(self) -> None:
        make_folders(self._path.parent)
        file = _DISK.open(self._path, create=True)
        try:
            self._size = _cut_last_line(file)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _append(self, data: bytes) -> None:
        file = self._file
        assert file is not None  # noqa: S101  _write has opened it
        try:
            file.append(data)
        except OSError:
            file.truncate(self._size)
            raise
        self._size += len(data)

    def _shift(self) -> None:
        names = [self._path, *(_rotated(self._path, n) for n in range(1, self._keep + 1))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            if newer.exists():
                _DISK.rename(newer, older)

    def _finish(self) -> None:
        """Make the file durable and close it. Runs in the thread, behind all writes."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.fsync()
            finally:
                file.close()
            _DISK.fsync_folder(self._path.parent)


def _rotated(path: Path, n: int) -> Path:
    return path.with_name(f"{path.name}.{n}")


def _cut_last_line(file: StoredFile) -> int:
    """Cut off a last line without its end, as a crash may leave it; return the size of the file."""
    size = at = file.size()
    while at:
        begin = max(0, at - _PIECE)
        found = file.read(begin, at - begin).rfind(b"\n")
        if found >= 0:
            at = begin + found + 1
            break
        at = begin
    if at < size:
        file.truncate(at)
    return at


def read_recording(path: str | os.PathLike[str]) -> Iterator[PipelineEvent]:
    """Yield the events of a recording: those of the rotated files first, oldest first.

    A last line without its end is left out: a crash can leave one.

    Raises:
        FileNotFoundError: there is no such file, and no rotated one.
        WireError: a line is no event that this version can read.
    """
    for file in files_of(Path(path)):
        with file.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield decode(line)


def files_of(path: Path) -> list[Path]:
    """Return the files of a recording, oldest first."""
    pattern = f"{path.name}."
    numbers = [
        int(other.name.removeprefix(pattern))
        for other in path.parent.glob("*")
        if other.name.startswith(pattern) and other.name.removeprefix(pattern).isdecimal()
    ]
    found = [_rotated(path, n) for n in sorted(numbers, reverse=True)]
    if path.exists() or not found:
        found.append(path)
    return found
