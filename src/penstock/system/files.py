"""Durable files: what each operation promises, and the real disk."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Protocol

from penstock.system.folders import fsync_folder
from penstock.system.lock import FileLock, lock_path
from penstock.system.presence import Sight, identity_of, look

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.system.lock import Lock


class StoredFile(Protocol):
    """One open regular file, which is written only at its end.

    Data is durable after ``fsync``. After a power cut, later data may be missing, cut short, zeroed or out of
    order. Every method may raise ``OSError``.
    """

    @property
    def identity(self) -> str:
        """Tells this file from a later one of the same name, as far as the system can."""
        ...

    def size(self) -> int:
        """Return the length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only where the file ends."""
        ...

    def append(self, data: bytes) -> None:
        """Write all of ``data`` at the end; after an error, any part of it may have been written."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes."""
        ...

    def fsync(self) -> None:
        """Make everything written durable. Do not try again after an error: the data may be lost."""
        ...

    def close(self) -> None:
        """Close the file. Idempotent."""
        ...


class Storage(Protocol):
    """A place for durable files. Every method may raise ``OSError``."""

    def open(self, path: Path, *, create: bool) -> StoredFile:
        """Open ``path`` for reading and appending.

        The name of a new file is durable only after ``fsync_folder``.

        Raises:
            FileNotFoundError: the file does not exist, and ``create`` is false.
            IsADirectoryError: ``path`` is a directory.
            OSError: with ``errno.EINVAL``: ``path`` is not a regular file (a pipe, a device).
        """
        ...

    def fsync_folder(self, folder: Path) -> None:
        """Make the creations, renames and removals in ``folder`` durable."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Rename ``source`` to ``target``, atomically replacing it; both must be in one file system."""
        ...

    def remove(self, path: Path) -> None:
        """Remove the file; raises ``FileNotFoundError`` if it does not exist."""
        ...

    def make_folder(self, path: Path) -> bool:
        """Create the folder ``path`` durably if it does not exist, and return whether it did not.

        Its parent must exist.
        """
        ...

    def remove_folder(self, path: Path) -> None:
        """Remove the folder ``path``; raises ``OSError`` if it is not empty."""
        ...

    def look(self, path: Path) -> Sight | None:
        """Return what the name ``path`` leads to now; ``None`` if to nothing. It costs one call."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Return the names in ``folder``, sorted; raises ``FileNotFoundError`` if it does not exist."""
        ...

    def lock(self, path: Path) -> Lock:
        """Return a lock that lets one process at a time write ``path``; it is not taken yet."""
        ...


class _DiskFile:
    """A file descriptor, with loops that continue short reads and writes."""

    def __init__(self, path: Path, *, create: bool) -> None:
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        # O_NONBLOCK: do not wait for the other end of a named pipe; the pipe is refused below.
        flags |= getattr(os, "O_NONBLOCK", 0) | (os.O_CREAT if create else 0)
        self._fd = os.open(path, flags, 0o666)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        self._identity = identity_of(status)

    @property
    def identity(self) -> str:
        return self._identity

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        os.lseek(self._fd, offset, os.SEEK_SET)
        parts: list[bytes] = []
        while length > 0 and (part := os.read(self._fd, length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            # On a nearly full disk, or at a file-size limit, a write is first short; the next one fails.
            rest = rest[os.write(self._fd, rest) :]

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def fsync(self) -> None:
        _fsync(self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()


if sys.platform == "darwin":
    import fcntl

    def _fsync(fd: int) -> None:
        # On macOS, fsync hands the data to the drive, which may keep it in its cache.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

else:

    def _fsync(fd: int) -> None:
        os.fsync(fd)


class DiskStorage:
    """The real disk."""

    def open(self, path: Path, *, create: bool) -> StoredFile:
        """See ``Storage.open``."""
        return _DiskFile(path, create=create)

    def fsync_folder(self, folder: Path) -> None:
        """See ``Storage.fsync_folder``; does nothing on Windows, where folders cannot be opened."""
        fsync_folder(folder)

    def rename(self, source: Path, target: Path) -> None:
        """See ``Storage.rename``."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """See ``Storage.remove``."""
        path.unlink()

    def make_folder(self, path: Path) -> bool:
        """See ``Storage.make_folder``."""
        is_new = not path.is_dir()
        if is_new:
            path.mkdir()
            self.fsync_folder(path.parent)
        return is_new

    def remove_folder(self, path: Path) -> None:
        """See ``Storage.remove_folder``."""
        path.rmdir()

    def look(self, path: Path) -> Sight | None:
        """See ``Storage.look``."""
        return look(path)

    def names(self, folder: Path) -> list[str]:
        """See ``Storage.names``."""
        return sorted(path.name for path in folder.iterdir())

    def lock(self, path: Path) -> Lock:
        """See ``Storage.lock``: an operating-system lock on ``<path>.lock``."""
        return FileLock(lock_path(path))
