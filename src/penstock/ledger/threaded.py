"""What the ledgers in databases have in common: everything happens on a thread of their own, in turn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from penstock.abc import Ledger
from penstock.ledger.records import clean
from penstock.system import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from penstock.abc import Commit, DeadLetter, DocumentState, Opened, Standing

__all__ = ["LedgerStore", "ThreadedLedger"]


Place: TypeAlias = "tuple[int, int]"
"""Where a row of ``outcomes`` is: its epoch, and its number there."""

FIRST: Final = (0, -1)
"""Before all of them."""


class LedgerStore(Protocol):
    """The promises of ``Ledger`` without the waiting, for one thread; names are of keys, and clean text."""

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        ...

    def unchanged(self, name: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``."""
        ...

    def compare(self, name: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        ...

    def revised(self, name: str, after: Place) -> tuple[list[str], Place | None]:
        """Return some of what ``Ledger.revised`` yields, behind ``after``, and where to go on."""
        ...

    def commit(self, name: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        ...

    def pending(self, name: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        ...

    def confirm(self, name: str, epoch: int) -> None:
        """See ``Ledger.confirm``."""
        ...

    def finish(self, name: str) -> None:
        """See ``Ledger.finish``."""
        ...

    def states(self, name: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``ThreadedLedger.states``."""
        ...

    def tally(self, name: str) -> dict[str, int]:
        """See ``ThreadedLedger.tally``."""
        ...

    def count_dead_letters(self, name: str) -> int:
        """See ``Ledger.count_dead_letters``."""
        ...

    def dead_letters(self, name: str, after: int) -> tuple[list[DeadLetter], int | None]:
        """Return the page of letters behind the row ``after``, and the row to go on after."""
        ...

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``."""
        ...

    def close(self) -> None:
        """See ``Ledger.aclose``."""
        ...


class ThreadedLedger(Ledger):
    """A ledger whose ``store`` may block, so that it works on a thread of its own.

    A cancelled call still happens, in its turn, and what comes after it waits for it.
    """

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._worker = Worker("penstock-ledger")

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """See ``Ledger.open``."""
        return await self._worker.run(partial(self._store.open, _name(key), restart=restart))

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``; a deleted document counts like a completed one, an empty hash never."""
        return await self._worker.run(partial(self._store.unchanged, _name(key), documents))

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        return await self._worker.run(partial(self._store.compare, _name(key), documents))

    async def revised(self, key: str) -> AsyncIterator[list[str]]:
        """See ``Ledger.revised``."""
        after: Place | None = FIRST
        while after is not None:
            doc_ids, after = await self._worker.run(partial(self._store.revised, _name(key), after))
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
        """Release everything, the thread too. Idempotent."""
        await self._worker.aclose(self._store.close)


def _name(key: str) -> str:
    return clean(key) or ""
