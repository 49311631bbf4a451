"""The files of a journal: lines of JSON, appended to the last file, read anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

BLOCK: Final = 1 << 16
"""Bytes from which on a block ends: the unit in which a journal is read and sent."""
_PIECE: Final = 1 << 20


class Segment:
    """One file of a journal. Its name is the number of its first line.

    A last line without its end, which a crash can leave, is cut when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first = int(path.stem)
        self.size = 0
        self.lines = 0
        self.starts = [0]
        """How many lines stand before each block."""
        self.offsets = [0]
        """Where each block begins, in bytes."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            self._scan()
        except BaseException:
            os.close(self._fd)
            raise

    @classmethod
    def create(cls, folder: Path, first: int) -> Segment:
        """Return a new, empty segment whose first line will have this number."""
        return cls(folder / f"{first:015d}.ndjson")

    @property
    def last(self) -> int:
        """The number of the last line; one less than ``first`` if there is none."""
        return self.first + self.lines - 1

    def append(self, data: bytes) -> None:
        """Write lines, each with its end. After an error nothing of them is left.

        Raises:
            OSError: the disk is full, for example.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.write(rest) :]
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self._index(data)

    def write(self, data: memoryview) -> int:
        """Write at least a part of some bytes, and return how many."""
        return os.write(self._fd, data)

    def _index(self, data: bytes) -> None:
        """Count the lines of new data, and note where blocks begin."""
        at, lines = self.size, self.lines
        for line in data.split(b"\n")[:-1]:
            if at - self.offsets[-1] >= BLOCK:
                self.starts.append(lines)
                self.offsets.append(at)
            at += len(line) + 1
            lines += 1
        self.size, self.lines = at, lines

    def _scan(self) -> None:
        tail = b""
        at = 0
        while piece := os.pread(self._fd, _PIECE, at):
            at += len(piece)
            whole, end, tail = (tail + piece).rpartition(b"\n")
            self._index(whole + end)
        if tail:
            os.ftruncate(self._fd, self.size)

    def read(self, block: int) -> bytes:
        """Return the bytes of a block."""
        begin = self.offsets[block]
        end = self.offsets[block + 1] if block + 1 < len(self.offsets) else self.size
        parts: list[bytes] = []
        while begin < end and (part := os.pread(self._fd, end - begin, begin)):
            parts.append(part)
            begin += len(part)
        return b"".join(parts)

    def sync(self) -> None:
        """Make everything durable."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def remove(self) -> None:
        """Close and delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)
