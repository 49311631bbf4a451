"""What the ledgers in databases share: the promises of ``Ledger`` as plain blocking calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.errors import LedgerError
from penstock.ledger.records import check_commit, check_nothing_pending
from penstock.ledger.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.abc import Commit, DeadLetter, DocumentState, Opened, Standing
    from penstock.ledger.keys import Key
    from penstock.ledger.tables import RowPlace

__all__ = ["Store"]

T = TypeVar("T", bound=Tables)


class Store(ABC, Generic[T]):
    """The tables, once they are open, and the keys. For one thread; names of keys are clean text."""

    def __init__(self, place: str) -> None:
        self.place = place
        """Where the ledger is, for messages."""
        self._tables: T | None = None
        self._keys: dict[str, Key] = {}

    @abstractmethod
    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""

    @abstractmethod
    def close(self) -> None:
        """See ``Ledger.aclose``."""

    @abstractmethod
    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``."""

    @abstractmethod
    def _explained(self, doing: str) -> AbstractContextManager[None]:
        """Turn errors of the database into ``LedgerError``; ``doing`` is such as "write to"."""

    def _opened(self, name: str) -> tuple[T, Key]:
        key = self._keys.get(name)
        if self._tables is None or key is None or not key.open:
            raise LedgerError(f"the ledger {self.place} is not open for {name!r}; await open({name!r}) first")
        return self._tables, key

    # -- writing

    def commit(self, name: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=key.pending, states=commit.states)
        letters = self._commit(key, commit)
        key.epoch, key.letters = commit.epoch, letters

    def pending(self, name: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=(), states=commit.states)
        earlier = [epoch for epoch in key.pending if epoch < commit.epoch]
        self._write_pending(key, commit, replaces=earlier != key.pending)
        key.pending = [*earlier, commit.epoch]

    def confirm(self, name: str, epoch: int) -> None:
        """See ``Ledger.confirm``."""
        _, key = self._opened(name)
        if not key.pending:
            return
        confirmed = [pending for pending in key.pending if pending <= epoch]
        last = max(confirmed, default=key.epoch)
        letters = self._confirm(key, confirmed, last)
        key.epoch, key.letters, key.pending = last, letters, []

    def finish(self, name: str) -> None:
        """See ``Ledger.finish``."""
        tables, key = self._opened(name)
        check_nothing_pending(name, key.pending)
        with self._explained("write to"):
            self._finish(tables, key)

    @abstractmethod
    def _commit(self, key: Key, commit: Commit) -> int:
        """Write a confirmed commit, and return how many dead letters there are then."""

    @abstractmethod
    def _write_pending(self, key: Key, commit: Commit, *, replaces: bool) -> None:
        """Write a pending commit; ``replaces`` says that pending epochs from its own on are dropped first."""

    @abstractmethod
    def _confirm(self, key: Key, confirmed: list[int], last: int) -> int:
        """Confirm these epochs, and drop those after ``last``; return as ``_commit`` does."""

    @abstractmethod
    def _finish(self, tables: T, key: Key) -> None:
        """Complete the run, close ``key``, and merge the outcomes of the run into the documents."""

    # -- reading

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[T, Key]]:
        with self._explained("read"):
            yield self._opened(name)

    def compare(self, name: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        with self._reading(name) as (tables, key):
            return tables.compare(key, documents)

    def revised(self, name: str, after: RowPlace) -> tuple[list[str], RowPlace | None]:
        """Return one part of ``Ledger.revised``, behind ``after``, and where the next part begins."""
        with self._reading(name) as (tables, key):
            return tables.revised(key, after)

    def states(self, name: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``ThreadedLedger.states``."""
        with self._reading(name) as (tables, key):
            return tables.states(key, doc_ids)

    def tally(self, name: str) -> dict[str, int]:
        """See ``ThreadedLedger.tally``."""
        with self._reading(name) as (tables, key):
            return tables.tally(key)

    def count_dead_letters(self, name: str) -> int:
        """See ``Ledger.count_dead_letters``."""
        return self._opened(name)[1].letters

    def dead_letters(self, name: str, after: int) -> tuple[list[DeadLetter], int | None]:
        """Return a page of letters behind the row ``after``, and the row to continue behind."""
        with self._reading(name) as (tables, key):
            return tables.dead_letters(key, after)
