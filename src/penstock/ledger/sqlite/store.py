"""What a SQLite ledger does with its file; synchronous, and on one thread only."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from penstock.abc import Commit, DeadLetter, DocumentState, Opened
from penstock.errors import LedgerError
from penstock.ledger.records import check_commit, checksum, dead_letter_of, parse_json, to_json
from penstock.ledger.sqlite import rows
from penstock.ledger.sqlite.connection import connect, transaction
from penstock.ledger.sqlite.keys import Key, begin_run, end_run, load_keys, save_key
from penstock.ledger.sqlite.trouble import corrupt, speaking
from penstock.system import DiskStorage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.abc import Standing
    from penstock.system import Lock

__all__ = ["Store"]

_KEPT_COMMITS = 8
"""How many of the latest commits stay readable: for a sink that was committed a little earlier."""

_LETTERS_PER_PAGE = 16


class Store:
    """The open file, or nothing yet. The promises are those of ``Ledger``, without the waiting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: Lock = DiskStorage().lock(path)
        self._db: sqlite3.Connection | None = None
        self._keys: dict[str, Key] = {}

    # -- opening and closing

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        db = self._connected()
        with speaking(self._path, "open"):
            return self._begin(db, name, restart=restart)

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            db = connect(self._path, self._lock)
            try:
                with speaking(self._path, "read"):
                    self._keys = load_keys(db, self._path)
            except BaseException:
                db.close()
                self._lock.release()
                raise
            self._db = db
        return self._db

    def close(self) -> None:
        """See ``Ledger.aclose``."""
        db, self._db = self._db, None
        self._keys = {}
        if db is not None:
            with contextlib.suppress(sqlite3.Error):  # on a full disk the log just stays a log
                db.close()
        self._lock.release()

    def _begin(self, db: sqlite3.Connection, name: str, *, restart: bool) -> Opened:
        key = self._keys.get(name)
        if key is not None and not restart and key.running:
            key.open = True
            return self._describe(db, key, resumed=True)
        if key is not None and not restart:
            rows.merge(db, key)  # an earlier merge may have been interrupted
        with transaction(db):
            if key is not None and restart:
                rows.forget(db, key)
            key = begin_run(db, name, key, restart=restart)
        self._keys[name] = key
        # From here on the main file knows of the key, whatever becomes of the log.
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return self._describe(db, key, resumed=False)

    def _describe(self, db: sqlite3.Connection, key: Key, *, resumed: bool) -> Opened:
        commit = self._last_commit(db, key)
        if commit is None:
            return Opened(key.run, key.epoch, None, None, {}, resumed, key.started_at)
        run, position, record, counts = commit
        return Opened(
            run=key.run,
            epoch=key.epoch,
            position=position,
            record=record,
            counts=counts if run == key.run else {},
            resumed=resumed,
            started_at=key.started_at,
        )

    def _last_commit(self, db: sqlite3.Connection, key: Key) -> tuple[int, Any, Any, dict[str, int]] | None:
        if key.epoch == 0:
            return None
        row = db.execute(
            "SELECT run, position, record, counts, checksum FROM commits"
            " WHERE key_id = ? AND epoch = ? AND state = 'confirmed'",
            (key.key_id, key.epoch),
        ).fetchone()
        if row is None:
            raise corrupt(self._path, f"commit {key.epoch} of {key.name!r} is missing")
        run, position, record, counts, expected = row
        if checksum(key.name, key.epoch, run, position, record, counts) != expected:
            raise corrupt(self._path, f"commit {key.epoch} of {key.name!r} fails its checksum")
        return run, parse_json(position), parse_json(record), parse_json(counts)

    def _opened(self, name: str) -> tuple[sqlite3.Connection, Key]:
        key = self._keys.get(name)
        if self._db is None or key is None or not key.open:
            raise LedgerError(f"the ledger {self._path} is not open for {name!r}; await open({name!r}) first")
        return self._db, key

    # -- writing

    def commit(self, name: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        db, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=key.pending, states=commit.states)
        with speaking(self._path, "write to"), transaction(db):
            self._insert(db, key, commit, "confirmed")
            letters = rows.settle(db, key, commit.epoch)
            save_key(db, key, commit.epoch, letters)
        key.epoch, key.letters = commit.epoch, letters

    def pending(self, name: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        db, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=(), states=commit.states)
        with speaking(self._path, "write to"), transaction(db):
            rows.drop_from(db, key, commit.epoch)
            self._insert(db, key, commit, "pending")
        key.pending = [*(epoch for epoch in key.pending if epoch < commit.epoch), commit.epoch]

    def confirm(self, name: str, epoch: int) -> None:
        """See ``Ledger.confirm``."""
        db, key = self._opened(name)
        if not key.pending:
            return
        true = [pending for pending in key.pending if pending <= epoch]
        last = max(true, default=key.epoch)
        with speaking(self._path, "write to"), transaction(db):
            db.execute(
                "UPDATE commits SET state = 'confirmed' WHERE key_id = ? AND epoch <= ?", (key.key_id, last)
            )
            letters = key.letters
            for pending in true:
                letters = rows.settle(db, key, pending)
            rows.drop_from(db, key, last + 1)
            save_key(db, key, last, letters)
        key.epoch, key.letters, key.pending = last, letters, []

    def _insert(self, db: sqlite3.Connection, key: Key, commit: Commit, state: str) -> None:
        position = to_json(commit.position, f"the position of {key.name!r}")
        record = to_json(commit.record, f"the sink's record of {key.name!r}")
        counts = to_json(commit.counts, f"the counts of {key.name!r}")
        digest = checksum(key.name, commit.epoch, key.run, position, record, counts)
        db.execute(
            "DELETE FROM commits WHERE key_id = ? AND epoch <= ?", (key.key_id, key.epoch - _KEPT_COMMITS)
        )
        db.execute(
            "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key.key_id, commit.epoch, key.run, state, time.time(), position, record, counts, digest),
        )
        rows.insert(db, key, commit)

    def finish(self, name: str) -> None:
        """See ``Ledger.finish``."""
        db, key = self._opened(name)
        if key.pending:
            raise LedgerError(
                f"epoch {key.pending[0]} of {name!r} is still pending; confirm up to some epoch before finish"
            )
        commit = self._last_commit(db, key)
        counts = commit[3] if commit is not None and commit[0] == key.run else {}
        with speaking(self._path, "write to"):
            with transaction(db):
                end_run(db, key, to_json(counts, "counts"))
            key.running = key.open = False
            rows.merge(db, key)

    # -- reading

    def unchanged(self, name: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``."""
        return [standing == "unchanged" for standing in self.compare(name, documents)]

    def compare(self, name: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        db, key = self._opened(name)
        with speaking(self._path, "read"):
            return rows.compare(db, key, documents)

    def revised(self, name: str, after: tuple[int, int]) -> tuple[list[str], tuple[int, int] | None]:
        """Return some of what ``Ledger.revised`` yields, behind ``after``, and where to go on."""
        db, key = self._opened(name)
        with speaking(self._path, "read"):
            return rows.revised(db, key, after)

    def states(self, name: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``SqliteLedger.states``."""
        db, key = self._opened(name)
        with speaking(self._path, "read"):
            return rows.states(db, key, doc_ids)

    def tally(self, name: str) -> dict[str, int]:
        """See ``SqliteLedger.tally``."""
        db, key = self._opened(name)
        with speaking(self._path, "read"):
            return rows.tally(db, key)

    def count_dead_letters(self, name: str) -> int:
        """See ``SqliteLedger.count_dead_letters``."""
        return self._opened(name)[1].letters

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``SqliteLedger.drop_dead_letters``."""
        db = self._connected()
        key = self._keys.get(name)
        if key is None:
            return 0
        before = key.letters
        with speaking(self._path, "write to"), transaction(db):
            left = rows.drop_letters(db, key, records)
            save_key(db, key, key.epoch, left)
        key.letters = left
        return before - left

    def dead_letters(self, name: str, after: int) -> tuple[list[DeadLetter], int | None]:
        """Return the page of letters behind the row ``after``, and the row to go on after."""
        db, key = self._opened(name)
        with speaking(self._path, "read"):
            found = rows.dead_letters(db, key, after, _LETTERS_PER_PAGE)
        letters: list[DeadLetter] = []
        for row_id, *fields, expected in found:
            letter = dead_letter_of(fields, expected)
            if letter is None:
                raise corrupt(self._path, f"dead letter {row_id} of {name!r} fails its checksum")
            letters.append(letter)
        return letters, found[-1][0] if found else None
