"""The ledger that most runs use: one SQLite file."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.abc import Ledger
from penstock.ledger.records import clean
from penstock.ledger.store import Store
from penstock.storage import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from penstock.abc import Commit, DeadLetter, DocumentState, Opened

__all__ = ["SqliteLedger"]


class SqliteLedger(Ledger):
    """Keeps runs, commits, document states and dead letters in the SQLite file ``path``.

    Write-ahead log, ``synchronous=FULL``, one connection on one thread of its own: the loop never waits
    for the disk. A cancelled call still happens, in its turn, and what comes after it waits for it.
    A lock on ``<path>.lock`` keeps a second process out. Nothing is opened before the first ``open``, and
    a closed ledger may be opened again.

    Args:
        path: The file; created at the first ``open`` if there is none, its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._store = Store(self._path)
        self._worker = Worker("penstock-ledger")

    @property
    def path(self) -> Path:
        """Where the ledger is."""
        return self._path

    def __repr__(self) -> str:
        return f"SqliteLedger({os.fspath(self._path)!r})"

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """See ``Ledger.open``. Checks the whole file first: a second per million documents."""
        return await self._worker.run(partial(self._store.open, _name(key), restart=restart))

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``; a deleted document counts like a completed one, an empty hash never."""
        return await self._worker.run(partial(self._store.unchanged, _name(key), documents))

    async def commit(self, key: str, commit: Commit) -> None:
        """See ``Ledger.commit``.

        Raises:
            LedgerError: it cannot be written (the last commit is intact), its epoch was committed
                before, another epoch is pending, or ``key`` is not open.
            PositionError: the position, record or counts are not JSON.
        """
        await self._worker.run(partial(self._store.commit, _name(key), commit))

    async def pending(self, key: str, commit: Commit) -> None:
        """See ``Ledger.pending``; replaces pending commits from the same epoch on. Raises as ``commit``."""
        await self._worker.run(partial(self._store.pending, _name(key), commit))

    async def confirm(self, key: str, epoch: int) -> None:
        """See ``Ledger.confirm``; does nothing if nothing is pending."""
        await self._worker.run(partial(self._store.confirm, _name(key), epoch))

    async def finish(self, key: str, state: str) -> None:
        """See ``Ledger.finish``; ``key`` must be opened again afterwards.

        Raises:
            ValueError: ``state`` is not ``completed``.
            LedgerError: it cannot be written, or an epoch is pending.
        """
        if state != "completed":
            raise ValueError(
                f"a run is finished as 'completed', not as {state!r}; leave an interrupted one unfinished"
            )
        await self._worker.run(partial(self._store.finish, _name(key)))

    async def states(self, key: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """Return the latest state of each document, or ``None``. Slow: for people and tests."""
        return await self._worker.run(partial(self._store.states, _name(key), doc_ids))

    async def tally(self, key: str) -> dict[str, int]:
        """Return how many documents of all runs are in each status now. Slow: for people and tests."""
        return await self._worker.run(partial(self._store.tally, _name(key)))

    async def count_dead_letters(self, key: str) -> int:
        """Return how many dead letters are unresolved."""
        return await self._worker.run(partial(self._store.count_dead_letters, _name(key)))

    async def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield the unresolved dead letters, oldest first, a few in memory at a time."""
        after: int | None = 0
        while after is not None:
            page, after = await self._worker.run(partial(self._store.dead_letters, _name(key), after))
            for letter in page:
                yield letter

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """See ``Ledger.drop_dead_letters``; what a pending commit holds stays."""
        return await self._worker.run(partial(self._store.drop_dead_letters, _name(key), records))

    async def aclose(self) -> None:
        """Release file, lock and thread. Idempotent."""
        await self._worker.aclose(self._store.close)


def _name(key: str) -> str:
    return clean(key) or ""
