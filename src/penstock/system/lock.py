"""One process at a time: an operating-system lock on a small side file that says who holds it.

The lock is a POSIX record lock (``fcntl.lockf``), or ``msvcrt.locking`` where there is no fcntl. Either is
released by the system when its process ends, SIGKILL included. ``flock`` would not do: a child
process forked by a worker pool shares it, and would go on holding it after its parent was killed.

A record lock has two habits that this module makes up for. It does not keep its own process out, so a
table of this process's locks does. And closing *any* descriptor of the file releases it, so it is
taken on a side file that nobody else reads, never on the data.

It is on two bytes: who has the first holds the lock, and has the second too, by which others look whether
there is a holder. Looking takes a lock for a moment, which must not be the one that a run is just asking for.
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

__all__ = ["FileLock", "Holder", "Lock", "holder_of", "lock_path"]

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_BEYOND_CONTENT = 1 << 30
_HOLDING, _SHOWING = 0, 1
_LOOKS = 100  # milliseconds: far longer than anybody looks, unless stopped while looking
_mutex = threading.Lock()
_ours: dict[Path, Holder] = {}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: ``since`` is Unix time; ``pid`` 0 means that it did not get to say."""

    pid: int
    host: str
    since: float

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        who = "this process" if self._is_me() else "process"
        return f"{who} {self.pid} on {self.host} since {when}"

    def _is_me(self) -> bool:
        return self.pid == os.getpid() and self.host == socket.gethostname()


class Lock(Protocol):
    """What keeps a second writer out."""

    def acquire(self) -> Holder | None:
        """Take the lock and return ``None``, or return who else holds it; never waits."""
        ...

    def release(self) -> None:
        """Give it back. Idempotent."""
        ...


def lock_path(path: Path) -> Path:
    """Return the side file that guards ``path``; the same whatever links lead there."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ".lock")


class FileLock:
    """A lock on the side file ``path``, which is created for it and removed with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> Holder | None:
        """Take the lock and return ``None``, or return who holds it; never waits.

        Returns ``None`` as well if this very object holds it already.

        Raises:
            OSError: the side file cannot be created, or its file system has no locks.
        """
        with _mutex:
            if (holder := _ours.get(self._path)) is not None:
                return holder if self._fd is None else None
            fd = _open_locked(self._path)
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
            self._fd = fd
            _ours[self._path] = me
            return None

    def release(self) -> None:
        """Give the lock back and remove the side file. Idempotent."""
        with _mutex:
            fd, self._fd = self._fd, None
            if fd is None:
                return
            if _ours.pop(self._path, None) is None:  # inherited by a fork: the lock is the parent's
                os.close(fd)
                return
            with contextlib.suppress(OSError):  # Windows removes no open file: then it stays, unlocked
                self._path.unlink()
            os.close(fd)


def holder_of(path: Path) -> Holder | None:
    """Return who holds the lock file ``path`` now; ``None`` if nobody does, or if nobody can tell."""
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


def _open_locked(path: Path) -> int | None:
    """Return a locked descriptor of the file that has this name *now*, or ``None`` if it is held."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
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
        # Its holder removed the file between our open and our lock: lock the new one.


def _show(fd: int) -> None:
    """Let others see that there is a holder, as soon as none of them looks."""
    for _ in range(_LOOKS):
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
        told: Any = json.loads(path.read_bytes())
        return Holder(int(told["pid"]), str(told["host"]), float(told["since"]))
    except (OSError, ValueError, KeyError, TypeError):  # it was only just created
        return Holder(0, "", 0.0)


try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    try:
        import msvcrt
    except ImportError:

        def _try_lock(fd: int, byte: int) -> bool:
            """Without any file locks (WebAssembly) there are no other processes either."""
            return fd >= 0 and byte >= 0

    else:

        def _try_lock(fd: int, byte: int) -> bool:
            # Locked bytes cannot be read there, so the lock lies far behind the content.
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
    # A child inherits the table but none of the locks, and perhaps a mutex that nobody there will release.
    def _after_fork() -> None:
        global _mutex  # noqa: PLW0603 - the one thing a fork has to replace
        _mutex = threading.Lock()
        _ours.clear()

    os.register_at_fork(after_in_child=_after_fork)
