"""The store of a SQLite ledger: one file, one connection, one thread."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from penstock.ledger.records import KEPT_COMMITS, checksum, commit_texts, to_json
from penstock.ledger.sqlite import rows
from penstock.ledger.sqlite.connection import connect, transaction
from penstock.ledger.sqlite.errors import SqliteErrors
from penstock.ledger.sqlite.keys import begin_run, end_run, last_commit, load_keys, save_key
from penstock.ledger.store import Store
from penstock.system import DiskStorage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.abc import Commit, Opened
    from penstock.ledger.keys import Key
    from penstock.system import Lock

__all__ = ["SqliteStore"]


class SqliteStore(Store[sqlite3.Connection]):
    """The open file, if any."""

    def __init__(self, path: Path) -> None:
        super().__init__(SqliteErrors(path), rows)
        self._path = path
        self._lock: Lock = DiskStorage().lock(path)

    # -- opening and closing

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        db = self._connected()
        with self._explained("open"):
            return self._begin(db, name, restart=restart)

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            db = connect(self._path, self._lock)
            try:
                with self._explained("read"):
                    self._keys = load_keys(db, self._errors.corrupt)
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
            with contextlib.suppress(sqlite3.Error):  # on a full disk the log stays; the next open replays it
                db.close()
        self._lock.release()

    def _begin(self, db: sqlite3.Connection, name: str, *, restart: bool) -> Opened:
        key = self._keys.get(name)
        if key is not None and key.running and not restart:
            key.open = True
            return last_commit(db, key, self._errors.corrupt).opened(key, resumed=True)
        if key is not None and not restart:
            rows.merge(db, key)  # an earlier merge may have been interrupted
        with transaction(db):
            if key is not None and restart:
                rows.forget(db, key)
            key = begin_run(db, name, key, restart=restart)
        self._keys[name] = key
        # Copy the key into the main file now, so that it is known even if the log is lost.
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return last_commit(db, key, self._errors.corrupt).opened(key, resumed=False)

    # -- writing

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[sqlite3.Connection]:
        db, _ = self._opened(name)
        with self._explained("write to"), transaction(db):
            yield db

    def _commit(self, key: Key, commit: Commit) -> int:
        with self._writing(key.name) as db:
            _insert(db, key, commit, "confirmed")
            letters = rows.settle(db, key, commit.epoch)
            save_key(db, key, commit.epoch, letters)
        return letters

    def _write_pending(self, key: Key, commit: Commit, *, replaces: bool) -> None:
        with self._writing(key.name) as db:
            if replaces:
                rows.drop_from(db, key, commit.epoch)
            _insert(db, key, commit, "pending")

    def _confirm(self, key: Key, confirmed: list[int], last: int) -> int:
        letters = key.letters
        with self._writing(key.name) as db:
            db.execute(
                "UPDATE commits SET state = 'confirmed' WHERE key_id = ? AND epoch <= ?", (key.key_id, last)
            )
            for epoch in confirmed:
                letters = rows.settle(db, key, epoch)
            rows.drop_from(db, key, last + 1)
            save_key(db, key, last, letters)
        return letters

    def _finish(self, db: sqlite3.Connection, key: Key) -> None:
        counts = last_commit(db, key, self._errors.corrupt).counts_of(key.run)
        with transaction(db):
            end_run(db, key, to_json(counts, "counts"))
        key.running = key.open = False
        rows.merge(db, key)

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``."""
        db = self._connected()
        key = self._keys.get(name)
        if key is None:
            return 0
        before = key.letters
        with self._explained("write to"), transaction(db):
            left = rows.drop_letters(db, key, records)
            save_key(db, key, key.epoch, left)
        key.letters = left
        return before - left


def _insert(db: sqlite3.Connection, key: Key, commit: Commit, state: str) -> None:
    position, record, counts = commit_texts(key.name, commit)
    digest = checksum(key.name, commit.epoch, key.run, position, record, counts)
    db.execute("DELETE FROM commits WHERE key_id = ? AND epoch <= ?", (key.key_id, key.epoch - KEPT_COMMITS))
    db.execute(
        "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key.key_id, commit.epoch, key.run, state, time.time(), position, record, counts, digest),
    )
    rows.insert(db, key, commit)
