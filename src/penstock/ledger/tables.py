# ruff: noqa: S608 - statements are put together from constants only; every value is bound
"""The tables of a ledger in a database, in the SQL that SQLite and PostgreSQL share.

Keys, runs, commits and dead letters have the same tables in both. Documents and outcomes differ: see the
subclasses.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, Protocol, TypeAlias

from penstock.abc.delivery import DEADLY
from penstock.ledger.keys import Key, LastCommit
from penstock.ledger.records import checksum, clean, dead_letters_of, parse_json
from penstock.ledger.reports import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.abc import DeadLetter, DocumentState, Standing
    from penstock.ledger.records import Corrupt
    from penstock.system import Holder

RowPlace: TypeAlias = "tuple[int, int]"
"""The epoch of a row of ``outcomes``, and its ordinal in that epoch."""

_LETTERS_PER_PAGE = 16
_RECORDS_AT_ONCE = 500

_KEY = "SELECT key_id, key, run, epoch, letters, checksum FROM keys"
_LETTER = (
    "record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts, failed_at, checksum"
)

_IN_ORDER = "+key_id = ? AND +epoch <= ?"
"""The letters of a key, in the order of their ids.

Without ``+`` the index by epoch would be used, and all letters that are left be sorted for each page.
"""


class Cursor(Protocol):
    """The result of a statement."""

    def fetchone(self) -> Any:
        """Return the next row, or ``None``."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Tables(ABC):
    """Reads and writes the tables. The caller of a method that writes has begun a transaction."""

    record_column: ClassVar[LiteralString] = "record_key"
    """The column by which dead letters of a record are found."""

    is_deadly: ClassVar[LiteralString]
    """The condition of the index of letters whose record kills; a few others may fulfil it too."""

    def __init__(self, corrupt: Corrupt) -> None:
        self.corrupt = corrupt

    @abstractmethod
    def execute(self, statement: LiteralString, *values: Any) -> Cursor:
        """Execute a statement in which each ``?`` is a value."""

    def stored(self, text: str) -> str:
        """Return the name of a key, or of a record, as it is stored."""
        return clean(text) or ""

    def restored(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return a row as it was before it was stored."""
        return row

    @abstractmethod
    def commit_identity(self, key: Key) -> str | int:
        """Return what the checksums of commits know ``key`` by."""

    @abstractmethod
    def holder(self, key: Key) -> Holder | None:
        """Return which process holds ``key`` now."""

    # -- keys and runs

    def new_key(self, name: str) -> int:
        """Return the number of the key ``name``; insert the key if it is new."""
        stored = self.stored(name)
        self.execute(
            "INSERT INTO keys (key, run, epoch, letters, checksum) VALUES (?, 0, 0, 0, '')"
            " ON CONFLICT DO NOTHING",
            stored,
        )
        return int(self.execute("SELECT key_id FROM keys WHERE key = ?", stored).fetchone()[0])

    def load_keys(self) -> dict[str, Key]:
        """Return all keys that have a run, by name; raises as ``load_key``."""
        keys = [self._checked_key(row, self.restored(row)[1]) for row in self.execute(_KEY).fetchall()]
        return {key.name: key for key in keys if key is not None}

    def load_key(self, name: str) -> Key | None:
        """Return a key, or ``None`` if it never ran.

        Raises:
            LedgerCorrupt: the key, its last run or its dead letters are damaged or missing.
        """
        row = self.execute(f"{_KEY} WHERE key = ?", self.stored(name)).fetchone()
        return None if row is None else self._checked_key(row, name)

    def _checked_key(self, row: Sequence[Any], name: str) -> Key | None:
        *fields, expected = row
        key_id, _, run, epoch, letters = fields
        if run == 0 and expected == "":
            return None
        if checksum(*fields) != expected:
            raise self.corrupt(f"the key {name!r} fails its checksum")
        last_run = self.execute(
            "SELECT state, started_at, ended_at, counts, checksum FROM runs WHERE key_id = ? AND run = ?",
            key_id,
            run,
        ).fetchone()
        if last_run is None or checksum(key_id, run, *last_run[:-1]) != last_run[-1]:
            raise self.corrupt(f"run {run} of {name!r} is missing or fails its checksum")
        found = self.count_dead_letters(key_id, epoch)
        if found != letters:
            raise self.corrupt(f"{letters} dead letters of {name!r} were committed, but {found} were found")
        later = self.execute(
            "SELECT epoch FROM commits WHERE key_id = ? AND epoch > ? ORDER BY epoch", key_id, epoch
        )
        pending = [number for (number,) in later]
        return Key(key_id, name, run, epoch, letters, last_run[1], last_run[0] == "running", pending)

    def begin_run(self, name: str, last: Key | None, *, restart: bool) -> Key:
        """Write the next logical run of a key and return it; ``last`` is ``None`` if the key never ran."""
        kept = None if restart else last
        begun = Key(
            key_id=last.key_id if last else self.new_key(name),
            name=name,
            run=last.run + 1 if last else 1,
            epoch=kept.epoch if kept else 0,
            letters=kept.letters if kept else 0,
            started_at=time.time(),
            running=True,
            open=True,
        )
        if last is not None and last.running:
            self._save_run(last, "abandoned", begun.started_at, "{}")
        self._save_run(begun, "running", None, "{}")
        self.save_key(begun, begun.epoch, begun.letters)
        return begun

    def end_run(self, key: Key, counts: str) -> None:
        """Record that the run is completed; ``counts`` is JSON."""
        self._save_run(key, "completed", time.time(), counts)

    def undo_run(self, key: Key, before: Key | None) -> None:
        """Delete the runs since ``before``, and what was committed since; ``None`` if the key was new."""
        run, epoch = (before.run, before.epoch) if before else (0, 0)
        self.drop_from(key, epoch + 1)
        self.execute("DELETE FROM runs WHERE key_id = ? AND run > ?", key.key_id, run)
        if before is not None:
            self.save_key(before, before.epoch, before.letters)
        else:  # as new_key has left it
            self.execute(
                "UPDATE keys SET run = 0, epoch = 0, letters = 0, checksum = '' WHERE key_id = ?", key.key_id
            )

    def _save_run(self, key: Key, state: str, ended_at: float | None, counts: str) -> None:
        fields = (key.key_id, key.run, state, key.started_at, ended_at, counts)
        self.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key_id, run) DO UPDATE SET"
            " state = excluded.state, ended_at = excluded.ended_at, counts = excluded.counts,"
            " checksum = excluded.checksum",
            *fields,
            checksum(*fields),
        )

    def save_key(self, key: Key, epoch: int, letters: int) -> None:
        """Write the last confirmed epoch and its number of dead letters; does not change ``key`` itself."""
        digest = checksum(key.key_id, self.stored(key.name), key.run, epoch, letters)
        self.execute(
            "UPDATE keys SET run = ?, epoch = ?, letters = ?, checksum = ? WHERE key_id = ?",
            key.run,
            epoch,
            letters,
            digest,
            key.key_id,
        )

    def runs(self, name: str) -> list[RunRecord]:
        """Return the runs of a key in order; raises ``LedgerCorrupt`` if one is damaged."""
        rows = self.execute(
            "SELECT key_id, runs.run, runs.state, started_at, ended_at, counts, runs.checksum"
            " FROM runs JOIN keys USING (key_id) WHERE key = ? ORDER BY runs.run",
            self.stored(name),
        )
        records: list[RunRecord] = []
        for *fields, expected in rows:
            _, run, state, started_at, ended_at, counts = fields
            if checksum(*fields) != expected:
                raise self.corrupt(f"run {run} of {name!r} fails its checksum")
            records.append(RunRecord(run, state, started_at, ended_at, parse_json(counts)))
        return records

    # -- commits

    def last_commit(self, key: Key) -> LastCommit:
        """Return the last confirmed commit of ``key``; raises ``LedgerCorrupt`` if damaged or missing."""
        if key.epoch == 0:
            return LastCommit()
        row = self.execute(
            "SELECT run, position, record, counts, committed_at, checksum FROM commits"
            " WHERE key_id = ? AND epoch = ? AND state = 'confirmed'",
            key.key_id,
            key.epoch,
        ).fetchone()
        if row is None:
            raise self.corrupt(f"commit {key.epoch} of {key.name!r} is missing")
        run, position, record, counts, committed_at, expected = row
        if checksum(self.commit_identity(key), key.epoch, run, position, record, counts) != expected:
            raise self.corrupt(f"commit {key.epoch} of {key.name!r} fails its checksum")
        return LastCommit(run, parse_json(position), parse_json(record), parse_json(counts), committed_at)

    def drop_from(self, key: Key, epoch: int) -> None:
        """Delete everything that was written under ``epoch`` and later epochs."""
        for table in ("commits", "outcomes", "dead_letters"):
            self.execute(f"DELETE FROM {table} WHERE key_id = ? AND epoch >= ?", key.key_id, epoch)

    def forget(self, key: Key) -> None:
        """Delete everything of the key except its runs."""
        self.drop_from(key, 0)
        self.execute("DELETE FROM documents WHERE key_id = ?", key.key_id)

    # -- dead letters

    def count_dead_letters(self, key_id: int, epoch: int) -> int:
        """Return how many unresolved dead letters there are up to ``epoch``."""
        statement = "SELECT count(*) FROM dead_letters WHERE key_id = ? AND epoch <= ?"
        return int(self.execute(statement, key_id, epoch).fetchone()[0])

    def dead_letters(
        self, key: Key, after: int, *, deadly: bool = False
    ) -> tuple[list[DeadLetter], int | None]:
        """Return a page of letters behind the row ``after``, and the row to continue behind.

        ``deadly`` leaves out letters whose record does not kill.
        """
        which = f"key_id = ? AND epoch <= ? AND {self.is_deadly}" if deadly else _IN_ORDER
        rows = self.execute(
            f"SELECT id, {_LETTER} FROM dead_letters WHERE {which} AND id > ? ORDER BY id LIMIT ?",
            key.key_id,
            key.epoch,
            after,
            _LETTERS_PER_PAGE,
        ).fetchall()
        letters = self._letters(key, [row[1:] for row in rows])
        found = [letter for letter in letters if DEADLY in letter.context] if deadly else letters
        return found, rows[-1][0] if rows else None

    def last_letters(self, key: Key, latest: int, record: str | None) -> list[DeadLetter]:
        """Return the ``latest`` letters of ``key``, or only of a ``record``, oldest first."""
        of_record = f"key_id = ? AND +epoch <= ? AND {self.record_column} = ?"
        which = _IN_ORDER if record is None else of_record
        rows = self.execute(
            f"SELECT {_LETTER} FROM dead_letters WHERE {which} ORDER BY id DESC LIMIT ?",
            key.key_id,
            key.epoch,
            *([] if record is None else [self.stored(record)]),
            latest,
        ).fetchall()
        return self._letters(key, rows[::-1])

    def _letters(self, key: Key, rows: Sequence[Sequence[Any]]) -> list[DeadLetter]:
        return dead_letters_of([self.restored(row) for row in rows], key.name, self.corrupt)

    def drop_letters(self, key: Key, records: Sequence[str] | None) -> int:
        """Delete the confirmed letters of ``records``, or all of them; return how many are left."""
        confirmed = "DELETE FROM dead_letters WHERE key_id = ? AND epoch <= ?"
        if records is None:
            self.execute(confirmed, key.key_id, key.epoch)
        for first in range(0, len(records or ()), _RECORDS_AT_ONCE):
            part = [self.stored(record) for record in (records or ())[first : first + _RECORDS_AT_ONCE]]
            marks = "?" + ", ?" * (len(part) - 1)
            self.execute(f"{confirmed} AND {self.record_column} IN ({marks})", key.key_id, key.epoch, *part)
        return self.count_dead_letters(key.key_id, key.epoch)

    # -- documents

    @abstractmethod
    def compare(self, key: Key, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""

    @abstractmethod
    def revised(self, key: Key, after: RowPlace) -> tuple[list[str], RowPlace | None]:
        """Return documents of this run that earlier runs know too, and the place behind which to go on."""

    @abstractmethod
    def states(self, key: Key, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """Return the latest state of each document, or ``None``. Reads the whole run."""

    @abstractmethod
    def tally(self, key: Key) -> dict[str, int]:
        """Return how many documents are in each status now. Reads everything."""
