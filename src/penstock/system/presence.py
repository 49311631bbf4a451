"""Notice that another program removed, renamed, replaced or truncated an open file; and find it again.

An open file stays open when its name is removed: a program could write to it for hours, and nobody would find
what it wrote. So a writer looks from time to time whether the name still leads to its file. One look is one
call of the system.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.system.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.system.files import Storage, StoredFile

_OPEN_FILES = Path("/proc/self/fd")
_COPIED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Sight:
    """What a name leads to: ``identity`` tells a file from another one of the same name."""

    identity: str
    size: int


def identity_of(status: os.stat_result) -> str:
    """Return the identity of a file: its device and its inode."""
    return f"{status.st_dev:x}:{status.st_ino:x}"


def look(path: Path) -> Sight | None:
    """Return what ``path`` leads to, ``None`` if to nothing. Follows symbolic links."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Sight(identity_of(status), status.st_size)


@dataclass(frozen=True, slots=True)
class Harm:
    """What another program did to an open file."""

    what: str
    """The end of a sentence that begins with the file."""
    gone: bool
    """Whether the name leads elsewhere: then the open file still has its content."""


def harm(was: Sight, now: Sight | None, *, may_grow: bool = False) -> Harm | None:
    """Return what happened to a file that was left as ``was``; ``None`` if nothing did."""
    if now is None:
        return Harm("was removed or renamed", gone=True)
    if now.identity != was.identity:
        return Harm("was replaced by another file", gone=True)
    if now.size < was.size:
        return Harm(f"was cut to {now.size} bytes, and {was.size} were there", gone=False)
    if now.size > was.size and not may_grow:
        what = f"has {now.size} bytes, and {was.size} were there: another program writes to it"
        return Harm(what, gone=False)
    return None


def whereabouts(path: Path, identity: str, keep: Callable[[Path], None]) -> str:
    """Say where the content of an open file is whose name ``path`` is gone. If it has no name, keep it.

    Args:
        path: The name that the file had.
        identity: The file.
        keep: Writes the content into a new file of the name that it is given.
    """
    if (name := name_now(identity)) is not None:
        return f"what was written is in {name} now"
    kept = free_name(path)
    try:
        keep(kept)
    except Exception as error:  # noqa: BLE001  of any library; the first error is the one to raise
        why = reason(error) if isinstance(error, OSError) else error
        return f"what was committed could not be saved ({why})"
    return f"what was committed is saved in {kept}"


def name_now(identity: str) -> Path | None:
    """Return the name that an open file of this process has now; ``None`` if it has none, or nobody knows.

    Only Linux can tell.
    """
    with suppress(OSError):
        for link in _OPEN_FILES.iterdir():
            with suppress(OSError):
                if identity_of(link.stat()) == identity:
                    path = link.readlink()
                    found = look(path)
                    return path if found is not None and found.identity == identity else None
    return None


def free_name(path: Path) -> Path:
    """Return a name beside ``path`` under which its content can be kept; no file has that name."""
    names = (f"{path.name}.kept{f'-{n}' if n > 1 else ''}" for n in count(1))
    return next(kept for name in names if not os.path.lexists(kept := path.with_name(name)))


def copy(storage: Storage, file: StoredFile, size: int, path: Path) -> None:
    """Copy the first ``size`` bytes of an open file to the new file ``path``, durably, or not at all."""
    kept = storage.open(path, create=True)
    try:
        for offset in range(0, size, _COPIED_AT_ONCE):
            kept.append(file.read(offset, min(_COPIED_AT_ONCE, size - offset)))
        kept.fsync()
    except OSError:
        with suppress(OSError):
            storage.remove(path)
        raise
    finally:
        kept.close()
    storage.fsync_folder(path.parent)


class Watch:
    """Looks after the file of an open database, which only its library can read.

    Args:
        path: The file, which exists.
        beside: The ending of a second file, which belongs to it once it exists; empty if there is none.
        least: The size below which the file was surely cut.
        may_shrink: Whether the library itself makes the file shorter.
    """

    def __init__(self, path: Path, *, beside: str = "", least: int = 0, may_shrink: bool = False) -> None:
        self.path = path.absolute()
        self._beside = self.path.with_name(self.path.name + beside) if beside else None
        self._least = least
        self._may_shrink = may_shrink
        self._was = look(self.path)
        self._was_beside: Sight | None = None

    def harm(self) -> Harm | None:
        """Return what happened to the file since the last call; ``None`` if nothing did."""
        was, now = self._was, look(self.path)
        if was is None:  # nobody can say what it was
            return None
        if self._may_shrink:
            was = Sight(was.identity, self._least)
        if (happened := harm(was, now, may_grow=True)) is not None:
            return happened
        self._was = now
        return None if self._beside is None else self._harm_beside(self._beside)

    def _harm_beside(self, path: Path) -> Harm | None:
        was, now = self._was_beside, look(path)
        if was is not None and (now is None or now.identity != was.identity):
            return Harm(f"has lost its log {path.name}, which was removed or replaced", gone=True)
        self._was_beside = now
        return None

    def whereabouts(self, keep: Callable[[Path], None]) -> str:
        """See ``whereabouts``."""
        return whereabouts(self.path, self._was.identity if self._was is not None else "", keep)
