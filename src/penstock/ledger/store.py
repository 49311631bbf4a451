"""What the ledgers in databases share: the promises of ``Ledger`` as plain blocking calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.errors import LedgerError
from penstock.ledger.records import check_commit, check_nothing_pending
from penstock.ledger.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from penstock.abc import Commit, Opened
    from penstock.ledger.keys import Key

T = TypeVar("T", bound=Tables)
R = TypeVar("R")


class Store(ABC, Generic[T]):
    """The tables, once they are open, and the keys. For one thread; names of keys are clean text."""

    def __init__(self, place: str) -> None:
        self.place = place
        """Where the ledger is, for messages."""
        self._tables: T | None = None
        self._keys: dict[str, Key] = {}
        self._begun: dict[str, Key | None] = {}
        """The keys whose run began here and has no documents yet, each as it was before; ``None`` if new."""

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

    def _begins(self, name: str, before: Key | None, *, restart: bool) -> None:
        """Note that a run of ``name`` begins, which ``before`` it was so."""
        if not restart or before is None:
            self._begun[name] = before
        elif self._begun.get(name, before) is not None:  # what it was is forgotten
            self._begun.pop(name, None)

    def _takes(self, name: str, commit: Commit) -> None:
        """Note that a commit comes: with documents, the run is there to stay."""
        if commit.states or commit.dead_letters or commit.resolved:
            self._begun.pop(name, None)

    def undo_open(self, name: str) -> None:
        """See ``Ledger.undo_open``."""
        key = self._keys.get(name)
        if self._tables is None or key is None or not key.open or name not in self._begun:
            return
        with self._explained("write to"):
            self._undo(self._tables, key, self._begun[name])
        del self._begun[name]

    # -- writing

    def commit(self, name: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=key.pending, states=commit.states)
        self._takes(name, commit)
        letters = self._commit(key, commit)
        key.epoch, key.letters = commit.epoch, letters

    def pending(self, name: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=(), states=commit.states)
        self._takes(name, commit)
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
        self._begun.pop(name, None)
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

    @abstractmethod
    def _undo(self, tables: T, key: Key, before: Key | None) -> None:
        """Delete the run of ``key``, which is ``before`` again then, and close it."""

    def read(self, name: str, query: Callable[[T, Key], R]) -> R:
        """Return the answer of ``query`` to the tables and the open key ``name``."""
        with self._explained("read"):
            return query(*self._opened(name))
