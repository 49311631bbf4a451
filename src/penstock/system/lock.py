"""A lock that lets one process at a time write a file; a small side file names the holder.

It is a POSIX record lock (``fcntl.lockf``), or ``msvcrt.locking`` where fcntl does not exist. The system
releases both when the process ends, even by SIGKILL. ``flock`` is unsuitable: a forked child process shares
it, and would keep it after its parent was killed.

A record lock has two weaknesses. It does not keep out its own process, so this module has a table of the
locks of this process. And closing *any* descriptor of the file releases it, so the lock is on a side file
that only this module opens, never on the data.

The lock has two bytes. The holder locks the first byte, then the second. To find out whether there is a
holder, ``holder_of`` tries to lock the second byte for a moment, so it never takes the first one from a run.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from penstock.system.folders import make_folders, remove_empty

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_BEYOND_CONTENT = 1 << 30
_HOLDING, _SHOWING = 0, 1
_SHOWING_TRIES = 100
"""One per millisecond; ``holder_of`` keeps the second byte for much less, unless its process is stopped."""
_mutex = threading.RLock()  # reentrant: the collector may drop a lock while this thread takes another
_ours: dict[Path, Holder] = {}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: ``since`` is Unix time; ``pid`` is 0 if the holder has not written its name yet."""

    pid: int
    host: str
    since: float

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        who = "this process" if self.is_this_process else "process"
        return f"{who} {self.pid} on {self.host} since {when}"

    @property
    def is_this_process(self) -> bool:
        """Whether this process is the holder."""
        return self.pid == os.getpid() and self.host == socket.gethostname()


class Lock(Protocol):
    """Keeps a second writer out."""

    def acquire(self) -> Holder | None:
        """Take the lock and return ``None``, or return its other holder; never waits."""
        ...

    def lost(self) -> str | None:
        """Return how the lock was lost since ``acquire``, as the end of a sentence, or ``None``.

        Who lost the lock must not change what it guards: another process may have taken it.
        """
        ...

    def release(self) -> None:
        """Release the lock. Idempotent."""
        ...


def lock_path(path: Path) -> Path:
    """Return the side file that guards ``path``, after following symbolic links."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ".lock")


class FileLock:
    """A lock on the side file ``path``, which ``acquire`` creates and ``release`` removes.

    ``release`` also removes the folders that ``acquire`` has made, if nothing is in them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._made: list[Path] = []
        self._me: Holder | None = None

    def acquire(self) -> Holder | None:
        """Take the lock and return ``None``, or return its other holder; never waits.

        Creates the folders above the side file if they are missing. Also returns ``None`` if this object
        holds the lock already.

        Raises:
            OSError: the side file cannot be created, or its file system has no locks.
        """
        with _mutex:
            if (holder := _ours.get(self._path)) is not None:
                return holder if self._fd is None else None
            made: list[Path] = []
            try:
                fd = _open_locked(self._path, made)
            except BaseException:
                remove_empty(made)
                raise
            if fd is None:
                return _read(self._path)
            try:
                _show(fd)
                me = Holder(os.getpid(), socket.gethostname(), time.time())
                os.ftruncate(fd, 0)
                os.write(fd, json.dumps(asdict(me)).encode())
            except BaseException:
                os.close(fd)
                raise
            self._fd, self._made = fd, made
            self._me = _ours[self._path] = me
            return None

    def lost(self) -> str | None:
        """See ``Lock.lost``: the side file is gone or is another one. Costs two calls of the system."""
        fd, me = self._fd, self._me
        if fd is None or me is None:
            return "it was released"
        if me.pid != os.getpid():
            return f"it belongs to the process {me.pid}, which has forked this one"
        if _is_same(fd, self._path):
            return None
        if not self._path.exists():
            return f"its lock file {self._path} was removed"
        return f"its lock file {self._path} was removed, and {_read(self._path)} has taken the lock"

    def release(self) -> None:
        """Release the lock, and remove the side file if it is still ours. Idempotent."""
        with _mutex:
            fd, self._fd = self._fd, None
            if fd is None:
                return
            # A fork inherits the descriptor, but the parent holds the lock. And if someone has removed the
            # side file, the one that is there now belongs to another holder.
            if _ours.get(self._path) is self._me:
                del _ours[self._path]
                with contextlib.suppress(OSError):  # Windows does not remove open files: it stays, unlocked
                    if _is_same(fd, self._path):
                        self._path.unlink()
                        remove_empty(self._made)
            os.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # also after a failed __init__, and while Python ends
            self.release()


def holder_of(path: Path) -> Holder | None:
    """Return the holder of the lock file ``path``; ``None`` if it has none, or cannot be read."""
    with _mutex:
        if (holder := _ours.get(path)) is not None:
            return holder
        try:
            fd = os.open(path, os.O_RDWR)
        except OSError:
            return None
        try:
            return None if _try_lock(fd, _SHOWING) else _read(path)
        except OSError:
            return None
        finally:
            os.close(fd)


def _open_or_create(path: Path, made: list[Path]) -> int:
    """Open the file; create it, and the folders above it, if they are missing. Adds those to ``made``."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        made += make_folders(path.parent)
        return os.open(path, flags, 0o666)


def _open_locked(path: Path, made: list[Path]) -> int | None:
    """Return a locked descriptor of the file that has this name *now*, or ``None`` if another holds it."""
    while True:
        fd = _open_or_create(path, made)
        try:
            locked = _try_lock(fd, _HOLDING)
            current = locked and _is_same(fd, path)
        except BaseException:
            os.close(fd)
            raise
        if current:
            return fd
        os.close(fd)
        if not locked:
            return None
        # The holder removed the file between open and lock here: try again with the new file.


def _show(fd: int) -> None:
    """Lock the second byte; wait while another process looks at it."""
    for _ in range(_SHOWING_TRIES):
        if _try_lock(fd, _SHOWING):
            return
        time.sleep(0.001)


def _is_same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _read(path: Path) -> Holder:
    try:
        fields: Any = json.loads(path.read_bytes())
        return Holder(int(fields["pid"]), str(fields["host"]), float(fields["since"]))
    except (OSError, ValueError, KeyError, TypeError):  # the holder has not written it yet
        return Holder(0, "", 0.0)


try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    try:
        import msvcrt
    except ImportError:

        def _try_lock(fd: int, byte: int) -> bool:
            """Always succeed: a system without file locks (WebAssembly) has no other processes."""
            return fd >= 0 and byte >= 0

    else:

        def _try_lock(fd: int, byte: int) -> bool:
            # On Windows locked bytes cannot be read, so the lock is far behind the content.
            os.lseek(fd, _BEYOND_CONTENT + byte, os.SEEK_SET)
            try:
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            except OSError as error:
                if error.errno in _HELD:
                    return False
                raise
            finally:
                os.lseek(fd, 0, os.SEEK_SET)
            return True

else:

    def _try_lock(fd: int, byte: int) -> bool:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise
        return True


if hasattr(os, "register_at_fork"):
    # A forked child inherits the table but not the locks, and perhaps a mutex that no thread will release.
    def _after_fork() -> None:
        global _mutex  # noqa: PLW0603 - a fork must replace it
        _mutex = threading.RLock()
        _ours.clear()

    os.register_at_fork(after_in_child=_after_fork)
