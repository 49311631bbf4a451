"""A storage, a sink and a ledger around real ones, that fail or die where ``Faults`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Commit, Ledger, Opened, Sink
from penstock.errors import LedgerError, SinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from penstock.abc import DeadLetter, DocumentState, Standing
    from penstock.document import Document
    from penstock.system import Lock, Storage, StoredFile
    from penstock.testing.faults.plan import Faults

__all__ = ["FaultyLedger", "FaultySink", "FaultyStorage"]


class FaultyStorage:
    """A ``Storage`` whose writing calls are counted, and go wrong as planned.

    They are named ``write`` (which leaves half of what it was given), ``truncate``, ``fsync``,
    ``fsync_folder``, ``rename``, ``remove`` and ``make_folder``.
    """

    def __init__(self, storage: Storage, faults: Faults) -> None:
        self._storage = storage
        self.faults = faults

    def open(self, path: Path, *, create: bool) -> StoredFile:
        """See ``Storage.open``."""
        return _FaultyFile(self._storage.open(path, create=create), self.faults, path)

    def fsync_folder(self, folder: Path) -> None:
        """See ``Storage.fsync_folder``."""
        self.faults.call("fsync_folder", lambda: self._storage.fsync_folder(folder), where=str(folder))

    def rename(self, source: Path, target: Path) -> None:
        """See ``Storage.rename``."""
        self.faults.call("rename", lambda: self._storage.rename(source, target), where=str(source))

    def remove(self, path: Path) -> None:
        """See ``Storage.remove``."""
        self.faults.call("remove", lambda: self._storage.remove(path), where=str(path))

    def make_folder(self, path: Path) -> None:
        """See ``Storage.make_folder``."""
        self.faults.call("make_folder", lambda: self._storage.make_folder(path), where=str(path))

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
        self._file.close()  # the system does it for a killed process


class FaultySink(Sink):
    """A sink whose calls are counted and go wrong as planned: ``sink.open``, ``sink.write``, ``sink.commit``.

    What ``Faults.kill`` leaves behind is what the sink around which this stands had written by then; its
    ``aclose`` is not called any more, as if its process was gone.
    """

    def __init__(self, sink: Sink, faults: Faults) -> None:
        self._sink = sink
        self._faults = faults
        # one class for sinks of both kinds
        vars(self).update(transactional=sink.transactional, effectively_once=sink.effectively_once)

    def describe(self) -> str:
        """Name the output of the sink itself."""
        return self._sink.describe()

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``."""
        held: Commit | None = await self._call("open", record, restart=restart)
        return held

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``."""
        await self._call("write", documents)

    async def commit(self, commit: Commit) -> JSON:
        """See ``Sink.commit``."""
        return await self._call("commit", commit)

    async def aclose(self) -> None:
        """See ``Sink.aclose``; not counted."""
        if not self._faults.dead:
            await self._sink.aclose()

    async def _call(self, name: str, *args: Any, **options: Any) -> Any:
        call = getattr(self._sink, name)
        return await self._faults.around(f"sink.{name}", SinkError, lambda: call(*args, **options))


class FaultyLedger(Ledger):
    """A ledger whose calls are counted and go wrong as planned: ``ledger.open``, ``ledger.commit`` and so on.

    Reading dead letters and closing are not counted. ``aclose`` leaves the ledger itself open, so that
    what one process made of it can be given to the next.
    """

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """See ``Ledger.open``."""
        opened: Opened = await self._call("open", key, restart=restart)
        return opened

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``."""
        answers: list[bool] = await self._call("unchanged", key, documents)
        return answers

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        standings: list[Standing] = await self._call("compare", key, documents)
        return standings

    def revised(self, key: str) -> AsyncIterator[list[str]]:
        """See ``Ledger.revised``; not counted."""
        return self._ledger.revised(key)

    async def commit(self, key: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        await self._call("commit", key, commit)

    async def pending(self, key: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        await self._call("pending", key, commit)

    async def confirm(self, key: str, epoch: int) -> None:
        """See ``Ledger.confirm``."""
        await self._call("confirm", key, epoch)

    async def finish(self, key: str, state: str) -> None:
        """See ``Ledger.finish``."""
        await self._call("finish", key, state)

    async def count_dead_letters(self, key: str) -> int:
        """See ``Ledger.count_dead_letters``."""
        count: int = await self._call("count_dead_letters", key)
        return count

    def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """See ``Ledger.dead_letters``."""
        return self._ledger.dead_letters(key)

    async def states(self, key: str, ids: Sequence[str]) -> list[DocumentState | None]:
        """Return what the ledger itself says, if it can say it."""
        states: list[DocumentState | None] = await self._ledger.states(key, ids)  # type: ignore[attr-defined]
        return states

    async def aclose(self) -> None:
        """Do nothing; see above."""

    async def _call(self, name: str, *args: Any, **options: Any) -> Any:
        call = getattr(self._ledger, name)
        return await self._faults.around(f"ledger.{name}", LedgerError, lambda: call(*args, **options))
