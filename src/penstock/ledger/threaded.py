"""What the ledgers in databases share: each call runs on the ledger's own thread, in turn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from penstock.abc import Ledger
from penstock.ledger.records import check_completed, clean
from penstock.system import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from penstock.abc import Commit, DeadLetter, DocumentState, Opened, Standing
    from penstock.ledger.keys import Key
    from penstock.ledger.store import Store
    from penstock.ledger.tables import RowPlace, Tables

R = TypeVar("R")

_FIRST: Final = (0, -1)
"""A place before every row of ``outcomes``."""


class ThreadedLedger(Ledger):
    """A ledger that calls a blocking ``store`` on a thread of its own.

    A cancelled call still runs, in its turn, and later calls wait for it.
    """

    def __init__(self, store: Store[Any]) -> None:
        self._store = store
        self._worker = Worker("penstock-ledger", store.close)

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """See ``Ledger.open``."""
        return await self._worker.run(partial(self._store.open, _name(key), restart=restart))

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``; a deleted document counts like a completed one, an empty hash never."""
        return [standing == "unchanged" for standing in await self.compare(key, documents)]

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        return await self._read(key, lambda tables, found: tables.compare(found, documents))

    async def revised(self, key: str) -> AsyncIterator[list[str]]:
        """See ``Ledger.revised``."""
        after: RowPlace | None = _FIRST
        while after is not None:
            doc_ids, after = await self._read(key, _revised_behind(after))
            yield doc_ids

    async def commit(self, key: str, commit: Commit) -> None:
        """See ``Ledger.commit``.

        Raises:
            LedgerError: it cannot be written (the last commit is intact), its epoch was committed
                before, another epoch is pending, or ``key`` is not open.
            PositionError: the position, record or counts are not JSON.
        """
        await self._worker.run(partial(self._store.commit, _name(key), commit))

    async def pending(self, key: str, commit: Commit) -> None:
        """See ``Ledger.pending``; replaces pending commits of the same and later epochs.

        Raises what ``commit`` raises.
        """
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
        check_completed(state)
        await self._worker.run(partial(self._store.finish, _name(key)))

    async def undo_open(self, key: str) -> None:
        """See ``Ledger.undo_open``.

        Raises:
            LedgerError: it cannot be written.
        """
        await self._worker.run(partial(self._store.undo_open, _name(key)))

    async def states(self, key: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """Return the latest state of each document, or ``None``. Slow: for people and tests."""
        return await self._read(key, lambda tables, found: tables.states(found, doc_ids))

    async def tally(self, key: str) -> dict[str, int]:
        """Return how many documents of all runs are in each status now. Slow: for people and tests."""
        return await self._read(key, lambda tables, found: tables.tally(found))

    async def count_dead_letters(self, key: str) -> int:
        """Return how many dead letters are unresolved."""
        return await self._read(key, lambda _, found: found.letters)

    async def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield the unresolved dead letters, oldest first, a few in memory at a time."""
        after: int | None = 0
        while after is not None:
            page, after = await self._read(key, _letters_behind(after))
            for letter in page:
                yield letter

    async def deadly_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """See ``Ledger.deadly_letters``; found by an index."""
        after: int | None = 0
        while after is not None:
            page, after = await self._read(key, _letters_behind(after, deadly=True))
            for letter in page:
                yield letter

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """See ``Ledger.drop_dead_letters``; letters of a pending commit stay."""
        return await self._worker.run(partial(self._store.drop_dead_letters, _name(key), records))

    async def _read(self, key: str, query: Callable[[Tables, Key], R]) -> R:
        return await self._worker.run(partial(self._store.read, _name(key), query))

    async def aclose(self) -> None:
        """Release everything, the thread too. Idempotent."""
        await self._worker.aclose(self._store.close)


def _name(key: str) -> str:
    return clean(key) or ""


def _revised_behind(after: RowPlace) -> Callable[[Tables, Key], tuple[list[str], RowPlace | None]]:
    return lambda tables, found: tables.revised(found, after)


def _letters_behind(
    after: int, *, deadly: bool = False
) -> Callable[[Tables, Key], tuple[list[DeadLetter], int | None]]:
    return lambda tables, found: tables.dead_letters(found, after, deadly=deadly)
