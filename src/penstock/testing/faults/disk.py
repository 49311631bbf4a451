"""``FragileDisk``: a ``Storage`` in memory that loses data when its power is cut."""

from __future__ import annotations

import errno
import os
import random
from itertools import count
from typing import TYPE_CHECKING

from penstock.system import Sight

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.system import Holder, Lock, StoredFile

_SECTOR = 64
"""Bytes; small, so that small files are broken in many ways."""

_SHORTENED = 0.3


class _FragileFile:
    """The durable content of a file, and the changes since then."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.durable = b""
        self.since: list[bytes] = []
        """The content after each change since the last fsync."""

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
        """Keep the content after any one change, with sectors lost, zeroed or from another change."""
        versions = [self.durable, *self.since]
        left = bytearray(rng.choice(versions))
        common = min(map(len, versions))
        while common and any(version[:common] != self.durable[:common] for version in versions):
            common -= 1  # bytes that no change touched since the fsync are safe
        for start in range(common, len(left), _SECTOR):
            sector = slice(max(start, common), start + _SECTOR)
            other = rng.choice([left, left, left, bytes(len(left)), *versions])[sector]
            if len(other) == len(left[sector]):
                left[sector] = other
        if rng.random() < _SHORTENED:
            del left[rng.randrange(common, len(left) + 1) :]
        self.durable, self.since = bytes(left), []


class _NoLock:
    """A lock that is always free, as its holder ended when the power was cut."""

    def acquire(self) -> Holder | None:
        return None

    def lost(self) -> str | None:
        return None

    def release(self) -> None:
        pass


class FragileDisk:
    """A ``Storage`` in memory that may lose data that was not fsynced when its power is cut.

    A file keeps its content as of its last ``fsync``. Later changes may be there or not, truncated, zeroed,
    or with sectors from different changes. A file that was created, removed or renamed since its folder was
    last fsynced (``fsync_folder``) has its new name or its old one.

    Args:
        seed: Decides what each power cut leaves.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)  # noqa: S311  seeded, for schedules
        self._identities = count()
        self._files: dict[Path, _FragileFile] = {}
        self._durable_names: dict[Path, _FragileFile] = {}

    def cut_power(self) -> None:
        """Lose data. Do not use open files after this: the process that had them is gone."""
        names = self._names_left()
        self._files, self._durable_names = names, dict(names)
        for file in dict.fromkeys(names.values()):  # no set: its order would depend on addresses
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
        """Return the content of a file as its writer sees it.

        Raises:
            KeyError: there is no such file.
        """
        return self._files[path].now

    def durable(self, path: Path) -> bytes:
        """Return the content of a file as of its last ``fsync``."""
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

    def make_folder(self, path: Path) -> bool:  # noqa: ARG002  promised by Storage
        """See ``Storage.make_folder``; every folder exists already."""
        return False

    def remove_folder(self, path: Path) -> None:
        """See ``Storage.remove_folder``; every folder stays."""

    def look(self, path: Path) -> Sight | None:
        """See ``Storage.look``."""
        file = self._files.get(path)
        return None if file is None else Sight(file.identity, file.size())

    def names(self, folder: Path) -> list[str]:
        """See ``Storage.names``."""
        return sorted(path.name for path in self._files if path.parent == folder)

    def lock(self, path: Path) -> Lock:  # noqa: ARG002  promised by Storage
        """See ``Storage.lock``; the lock is always free."""
        return _NoLock()
