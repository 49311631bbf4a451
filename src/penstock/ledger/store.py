"""What the ledgers in databases share: the promises of ``Ledger`` as plain blocking calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from penstock.errors import LedgerCorrupt, LedgerError
from penstock.ledger.records import check_commit, check_nothing_pending, dead_letters_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.abc import Commit, DeadLetter, DocumentState, Opened, Standing
    from penstock.ledger.keys import Key

__all__ = ["RowPlace", "Store"]

Database = TypeVar("Database")
Reader_contra = TypeVar("Reader_contra", contravariant=True)

RowPlace: TypeAlias = "tuple[int, int]"
"""The epoch of a row of ``outcomes``, and its ordinal in that epoch."""

_LETTERS_PER_PAGE = 16


class Errors(Protocol):
    """How a ledger explains its errors."""

    @property
    def place(self) -> str:
        """Where the ledger is, for messages."""
        ...

    def corrupt(self, detail: str) -> LedgerCorrupt:
        """Return the error for a damaged ledger."""
        ...

    def explained(self, doing: str) -> AbstractContextManager[None]:
        """Turn errors of the database into ``LedgerError``; ``doing`` is such as "write to"."""
        ...


class Rows(Protocol[Reader_contra]):
    """The module that reads the rows of one kind of database."""

    def compare(
        self, db: Reader_contra, key: Key, documents: Sequence[tuple[str, str]], /
    ) -> list[Standing]: ...
    def revised(
        self, db: Reader_contra, key: Key, after: RowPlace, /
    ) -> tuple[list[str], RowPlace | None]: ...
    def states(
        self, db: Reader_contra, key: Key, doc_ids: Sequence[str], /
    ) -> list[DocumentState | None]: ...
    def tally(self, db: Reader_contra, key: Key, /) -> dict[str, int]: ...
    def dead_letters(
        self, db: Reader_contra, key: Key, after: int, limit: int, /
    ) -> list[tuple[Any, ...]]: ...


class Store(ABC, Generic[Database]):
    """The open database, if any, and its keys. For one thread; names of keys are clean text."""

    def __init__(self, errors: Errors, rows: Rows[Database]) -> None:
        self._errors = errors
        self._rows = rows
        self._db: Database | None = None
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

    def _explained(self, doing: str) -> AbstractContextManager[None]:
        return self._errors.explained(doing)

    def _opened(self, name: str) -> tuple[Database, Key]:
        key = self._keys.get(name)
        if self._db is None or key is None or not key.open:
            place = self._errors.place
            raise LedgerError(f"the ledger {place} is not open for {name!r}; await open({name!r}) first")
        return self._db, key

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
        db, key = self._opened(name)
        check_nothing_pending(name, key.pending)
        with self._explained("write to"):
            self._finish(db, key)

    @abstractmethod
    def _commit(self, key: Key, commit: Commit) -> int:
        """Write a true commit and return how many dead letters there are by then."""

    @abstractmethod
    def _write_pending(self, key: Key, commit: Commit, *, replaces: bool) -> None:
        """Write a pending commit; ``replaces`` says that pending epochs from its own on are dropped first."""

    @abstractmethod
    def _confirm(self, key: Key, confirmed: list[int], last: int) -> int:
        """Make the ``confirmed`` epochs true and drop those after ``last``; return as ``_commit`` does."""

    @abstractmethod
    def _finish(self, db: Database, key: Key) -> None:
        """Complete the run, close ``key``, and merge the outcomes of the run into the documents."""

    # -- reading

    def compare(self, name: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        with self._reading(name) as (db, key):
            return self._rows.compare(db, key, documents)

    def revised(self, name: str, after: RowPlace) -> tuple[list[str], RowPlace | None]:
        """Return one part of ``Ledger.revised``, behind ``after``, and where the next part begins."""
        with self._reading(name) as (db, key):
            return self._rows.revised(db, key, after)

    def states(self, name: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``ThreadedLedger.states``."""
        with self._reading(name) as (db, key):
            return self._rows.states(db, key, doc_ids)

    def tally(self, name: str) -> dict[str, int]:
        """See ``ThreadedLedger.tally``."""
        with self._reading(name) as (db, key):
            return self._rows.tally(db, key)

    def count_dead_letters(self, name: str) -> int:
        """See ``Ledger.count_dead_letters``."""
        return self._opened(name)[1].letters

    def dead_letters(self, name: str, after: int) -> tuple[list[DeadLetter], int | None]:
        """Return a page of letters behind the row ``after``, and the row to continue behind."""
        with self._reading(name) as (db, key):
            found = self._rows.dead_letters(db, key, after, _LETTERS_PER_PAGE)
        letters = dead_letters_of((row[1:] for row in found), name, self._errors.corrupt)
        return letters, found[-1][0] if found else None

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[Database, Key]]:
        with self._explained("read"):
            yield self._opened(name)
