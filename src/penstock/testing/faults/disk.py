"""A disk that forgets: a ``Storage`` in memory, with a power switch."""

from __future__ import annotations

import errno
import os
import random
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.system import Holder, Lock, StoredFile

__all__ = ["FragileDisk"]

_SECTOR = 64
"""Bytes; small, so that small files are broken in many ways."""

_SHORTENED = 0.3


class _FragileFile:
    """What is durable, and what was done since."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.durable = b""
        self.since: list[bytes] = []
        """The contents after each step since the last fsync."""

    @property
    def now(self) -> bytes:
        return self.since[-1] if self.since else self.durable

    def size(self) -> int:
        return len(self.now)

    def read(self, offset: int, length: int) -> bytes:
        return self.now[offset : offset + length]

    def append(self, data: bytes) -> None:
        self.since.append(self.now + data)

    def truncate(self, size: int) -> None:
        self.since.append(self.now[:size])

    def fsync(self) -> None:
        self.durable, self.since = self.now, []

    def close(self) -> None:
        pass

    def lose_power(self, rng: random.Random) -> None:
        """Become what may be left: any step, with sectors lost, zeroed or taken from another step."""
        versions = [self.durable, *self.since]
        left = bytearray(rng.choice(versions))
        common = min(map(len, versions))
        while common and any(version[:common] != self.durable[:common] for version in versions):
            common -= 1  # what no step touched since the fsync is as it was
        for start in range(common, len(left), _SECTOR):
            sector = slice(max(start, common), start + _SECTOR)
            other = rng.choice([left, left, left, bytes(len(left)), *versions])[sector]
            if len(other) == len(left[sector]):
                left[sector] = other
        if rng.random() < _SHORTENED:
            del left[rng.randrange(common, len(left) + 1) :]
        self.durable, self.since = bytes(left), []


class _NoLock:
    """Whoever held it is gone with the power."""

    def acquire(self) -> Holder | None:
        return None

    def release(self) -> None:
        pass


class FragileDisk:
    """A ``Storage`` in memory that forgets, when the power is cut, what was not fsynced, or some of it.

    A file keeps what was in it at its last ``fsync``; of what came since, any step may be there, cut short,
    zeroed, or with sectors of different steps. A name that was given, taken away or moved since its folder
    was last fsynced (``fsync_folder``) may be so, or as it was before.

    Args:
        seed: Decides what is left each time.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)  # noqa: S311  seeded, for schedules
        self._identities = count()
        self._files: dict[Path, _FragileFile] = {}
        self._durable_names: dict[Path, _FragileFile] = {}

    def cut_power(self) -> None:
        """Forget. Whatever still has a file open must be thrown away, as with the process."""
        names = self._names_left()
        self._files, self._durable_names = names, dict(names)
        for file in dict.fromkeys(names.values()):  # in order: a set's order would be that of addresses
            file.lose_power(self._rng)

    def _names_left(self) -> dict[Path, _FragileFile]:
        names = dict(self._durable_names)
        for path, file in self._files.items():
            if names.get(path) is not file and self._coin():
                names[path] = file
        for path, file in self._durable_names.items():
            if path in self._files:
                continue
            moved = any(other is file for other in self._files.values())
            arrived = any(other is file for key, other in names.items() if key != path)
            if arrived if moved else self._coin():  # a file that was renamed has one of its two names
                del names[path]
        return names

    def _coin(self) -> bool:
        return self._rng.getrandbits(1) == 1

    def content(self, path: Path) -> bytes:
        """Return what is in a file now, as its writer sees it; ``KeyError`` if there is none."""
        return self._files[path].now

    def durable(self, path: Path) -> bytes:
        """Return what is in a file for certain, whatever happens next."""
        return self._files[path].durable

    # -- as a storage

    def open(self, path: Path, *, create: bool) -> StoredFile:
        """See ``Storage.open``."""
        if path not in self._files:
            if not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            self._files[path] = _FragileFile(f"file {next(self._identities)}")
        return self._files[path]

    def fsync_folder(self, folder: Path) -> None:
        """See ``Storage.fsync_folder``."""
        others = {path: file for path, file in self._durable_names.items() if path.parent != folder}
        here = {path: file for path, file in self._files.items() if path.parent == folder}
        self._durable_names = {**others, **here}

    def rename(self, source: Path, target: Path) -> None:
        """See ``Storage.rename``."""
        self._files[target] = self._files.pop(source)

    def remove(self, path: Path) -> None:
        """See ``Storage.remove``."""
        if path not in self._files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        del self._files[path]

    def make_folder(self, path: Path) -> None:
        """See ``Storage.make_folder``; folders are there without being made."""

    def names(self, folder: Path) -> list[str]:
        """See ``Storage.names``."""
        return sorted(path.name for path in self._files if path.parent == folder)

    def lock(self, path: Path) -> Lock:  # noqa: ARG002  promised by Storage
        """See ``Storage.lock``; it is always free."""
        return _NoLock()
