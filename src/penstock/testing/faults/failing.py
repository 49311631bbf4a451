"""A storage, a sink and a ledger that wrap real ones, and fail or die at the calls that ``Faults`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.abc import Ledger, Sink
from penstock.errors import LedgerError, SinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from penstock.abc import DeadLetter, DocumentState
    from penstock.system import Lock, Sight, Storage, StoredFile
    from penstock.testing.faults.plan import Faults


def _planned(name: str) -> Callable[..., Any]:
    """Return a method that calls that of the real storage, or fails as planned."""

    def call(self: FaultyStorage, *paths: Path) -> Any:
        real = getattr(self._storage, name)
        return self.faults.call(name, lambda: real(*paths), where=str(paths[0]))

    return call


class FaultyStorage:
    """A ``Storage`` whose writing calls are counted, and fail as planned.

    Their names are ``write``, ``truncate``, ``fsync``, ``fsync_folder``, ``rename``, ``remove``,
    ``make_folder`` and ``remove_folder``. A ``write`` that fails leaves half of its data.
    """

    def __init__(self, storage: Storage, faults: Faults) -> None:
        self._storage = storage
        self.faults = faults

    def open(self, path: Path, *, create: bool) -> StoredFile:
        """See ``Storage.open``."""
        return _FaultyFile(self._storage.open(path, create=create), self.faults, path)

    fsync_folder = _planned("fsync_folder")
    rename = _planned("rename")
    remove = _planned("remove")
    make_folder = _planned("make_folder")
    remove_folder = _planned("remove_folder")

    def look(self, path: Path) -> Sight | None:
        """See ``Storage.look``."""
        return self._storage.look(path)

    def names(self, folder: Path) -> list[str]:
        """See ``Storage.names``."""
        return self._storage.names(folder)

    def lock(self, path: Path) -> Lock:
        """See ``Storage.lock``."""
        return self._storage.lock(path)


class _FaultyFile:
    def __init__(self, file: StoredFile, faults: Faults, path: Path) -> None:
        self._file = file
        self._faults = faults
        self._where = str(path)

    @property
    def identity(self) -> str:
        return self._file.identity

    def size(self) -> int:
        return self._file.size()

    def read(self, offset: int, length: int) -> bytes:
        return self._file.read(offset, length)

    def append(self, data: bytes) -> None:
        half = data[: len(data) // 2]
        self._faults.call(
            "write", lambda: self._file.append(data), half=lambda: self._file.append(half), where=self._where
        )

    def truncate(self, size: int) -> None:
        self._faults.call("truncate", lambda: self._file.truncate(size), where=self._where)

    def fsync(self) -> None:
        self._faults.call("fsync", self._file.fsync, where=self._where)

    def close(self) -> None:
        self._file.close()  # not counted: the system closes the files of a killed process


def _counted(name: str, error: type[Exception]) -> Callable[..., Any]:
    """Return an async method that calls that of the real sink or ledger, or fails with ``error``."""

    async def call(self: FaultySink | FaultyLedger, *args: Any, **options: Any) -> Any:
        kind, _, method = name.partition(".")
        real = getattr(getattr(self, f"_{kind}"), method)
        return await self._faults.around(name, error, lambda: real(*args, **options))

    return call


class FaultySink(Sink):
    """A sink whose calls are counted, and fail as planned: ``sink.open``, ``sink.commit`` and so on.

    After ``Faults.kill`` the output is as the real sink has written it by then: ``aclose`` is no longer
    passed on, as if the process were gone.
    """

    def __init__(self, sink: Sink, faults: Faults) -> None:
        self._sink = sink
        self._faults = faults
        # class variables of a sink; set here, because one class serves sinks of both kinds
        vars(self).update(transactional=sink.transactional, effectively_once=sink.effectively_once)

    def use_schema(self, schema: type | None) -> None:
        """See ``Sink.use_schema``."""
        self._sink.use_schema(schema)

    def describe(self) -> str:
        """Return the description of the real sink."""
        return self._sink.describe()

    claim = _counted("sink.claim", SinkError)
    open = _counted("sink.open", SinkError)
    write = _counted("sink.write", SinkError)
    commit = _counted("sink.commit", SinkError)
    verify = _counted("sink.verify", SinkError)
    undo_open = _counted("sink.undo_open", SinkError)

    async def aclose(self) -> None:
        """Close the real sink, unless the process was killed; not counted."""
        if not self._faults.dead:
            await self._sink.aclose()


class FaultyLedger(Ledger):
    """A ledger whose calls are counted, and fail as planned: ``ledger.open``, ``ledger.commit`` and so on.

    Reading dead letters and revised documents is not counted. ``aclose`` does nothing, so that the ledger
    of one simulated process can be given to the next.
    """

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults

    open = _counted("ledger.open", LedgerError)
    unchanged = _counted("ledger.unchanged", LedgerError)
    compare = _counted("ledger.compare", LedgerError)
    commit = _counted("ledger.commit", LedgerError)
    pending = _counted("ledger.pending", LedgerError)
    confirm = _counted("ledger.confirm", LedgerError)
    finish = _counted("ledger.finish", LedgerError)
    undo_open = _counted("ledger.undo_open", LedgerError)
    count_dead_letters = _counted("ledger.count_dead_letters", LedgerError)

    def revised(self, key: str) -> AsyncIterator[list[str]]:
        """See ``Ledger.revised``."""
        return self._ledger.revised(key)

    def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """See ``Ledger.dead_letters``."""
        return self._ledger.dead_letters(key)

    def deadly_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """See ``Ledger.deadly_letters``."""
        return self._ledger.deadly_letters(key)

    async def states(self, key: str, ids: Sequence[str]) -> list[DocumentState | None]:
        """Return the states of the real ledger, if it has such a method."""
        states: list[DocumentState | None] = await self._ledger.states(key, ids)  # type: ignore[attr-defined]
        return states

    async def aclose(self) -> None:
        """Do nothing, so that the next simulated process can use the real ledger."""
