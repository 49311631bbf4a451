"""Where the bytes of an input come from: a regular file, or a stream that can be read only once."""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from penstock.errors import SourceError

if TYPE_CHECKING:
    from io import FileIO

_PATIENCE_MS = 20  # a cancelled run waits this long for a thread at most


class NotReady(Exception):
    """A stream has no bytes at the moment. Read again later."""


class RawInput(Protocol):
    """The bytes of one input, as they are stored.

    ``size`` is their number, or ``None`` for a stream.
    """

    size: int | None

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; ``b""`` at the end. Raises ``OSError`` or ``NotReady``."""
        ...

    def unchanged(self) -> bool:
        """Return whether the input is still what it was when it was opened."""
        ...

    def close(self) -> None:
        """Close it. Idempotent."""
        ...


class FileInput:
    """A regular file.

    Raises:
        SourceError: it cannot be opened; see `open_file`.
    """

    def __init__(self, path: str) -> None:
        self._file = open_file(path)
        status = os.fstat(self._file.fileno())
        self.size: int | None = status.st_size
        self._mtime = status.st_mtime_ns

    def read(self, size: int) -> bytes:
        """See `RawInput`."""
        return self._file.read(size)

    def unchanged(self) -> bool:
        """See `RawInput`; compares size and time of modification."""
        status = os.fstat(self._file.fileno())
        return (status.st_size, status.st_mtime_ns) == (self.size, self._mtime)

    def close(self) -> None:
        """See `RawInput`."""
        self._file.close()


class StreamInput:
    """Standard input (``-``) or a named pipe.

    `read` waits for 20 ms at most, so that a run that is stopped does not hang. On Windows it waits for data.

    Raises:
        SourceError: it cannot be opened, or standard input is closed.
    """

    size: int | None = None

    def __init__(self, path: str) -> None:
        try:
            if path == "-":
                self._fd = os.dup(0)
            else:  # without O_NONBLOCK, opening a pipe waits until a program writes to it
                self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            message = f"{stream_name(path)} cannot be opened: {error.strerror or error}"
            raise SourceError(message) from error
        self._poll = select.poll() if sys.platform != "win32" else None
        if self._poll is not None:
            self._poll.register(self._fd, select.POLLIN)

    def read(self, size: int) -> bytes:
        """See `RawInput`."""
        if self._poll is not None and not self._poll.poll(_PATIENCE_MS):
            raise NotReady
        try:
            return os.read(self._fd, size)
        except BlockingIOError:
            raise NotReady from None

    def unchanged(self) -> bool:
        """Return true: a stream has no other content."""
        return True

    def close(self) -> None:
        """See `RawInput`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def stream_name(path: str) -> str:
    """Return the name of a stream for messages."""
    return "standard input" if path == "-" else path


def open_file(path: str) -> FileIO:
    """Open a regular file for reading, unbuffered.

    Raises:
        SourceError: it is missing, a directory, a pipe or a device, or reading it is not permitted.
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode):
            return file.open("rb", buffering=0)
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror or error}"
        raise SourceError(message) from error
    if stat.S_ISDIR(mode):
        message = f"{path} is a directory: name its files, for example {str(file / '*.xml.gz')!r}"
    else:
        message = f"{path} is not a regular file and cannot be read twice: save it to a file first"
    raise SourceError(message)
