"""The store of a SQLite ledger: one file, one connection, one thread."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerError
from penstock.ledger.records import KEPT_COMMITS, checksum, commit_texts, to_json
from penstock.ledger.sqlite.connection import connect, remove, transaction
from penstock.ledger.sqlite.errors import SqliteErrors
from penstock.ledger.sqlite.tables import SqliteTables
from penstock.ledger.store import Store
from penstock.system import DiskStorage, Watch, empty_log, save

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from penstock.abc import Commit, Opened
    from penstock.ledger.keys import Key
    from penstock.system import Lock


class SqliteStore(Store[SqliteTables]):
    """The open file, if any."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._errors = SqliteErrors(path)
        self._lock: Lock | None = None
        self._watch: Watch | None = None
        self._is_new = False
        """Whether this session has created the file."""

    def _explained(self, doing: str) -> AbstractContextManager[None]:
        return self._errors.explained(doing)

    # -- opening and closing

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        tables = self._connected()
        with self._explained("open"):
            return self._begin(tables, name, restart=restart)

    def _connected(self) -> SqliteTables:
        if self._tables is None:
            path = self._path.absolute()  # from now on, whatever the working directory is
            self._lock = lock = DiskStorage().lock(path)
            db, self._is_new = connect(self._path, lock)
            tables = SqliteTables(db, self._errors.corrupt)
            try:
                self._watch = Watch(path, beside="-wal")
                with self._explained("read"):
                    self._keys = tables.load_keys()
            except BaseException:
                tables.db.close()
                lock.release()
                raise
            self._tables = tables
        return self._tables

    def close(self) -> None:
        """See ``Ledger.aclose``; removes a file that this session has created, if no run is in it."""
        tables, self._tables = self._tables, None
        watch = self._watch if self._is_new and not self._keys and self._is_in_place() else None
        self._keys, self._begun, self._is_new = {}, {}, False
        if tables is not None:
            with contextlib.suppress(sqlite3.Error):  # on a full disk the log stays; the next open replays it
                tables.db.close()
                if watch is not None:
                    remove(watch.path)
        if self._lock is not None:
            self._lock.release()

    def _is_in_place(self) -> bool:
        """Whether the file and the lock are still ours."""
        watch, lock = self._watch, self._lock
        return watch is not None and watch.harm() is None and lock is not None and lock.lost() is None

    def _check_ours(self, tables: SqliteTables) -> None:
        """Raise if another program has removed, replaced or cut the file, or if the lock was lost.

        Call it inside a transaction, because SQLite then keeps other writers out; it rolls back.
        """
        how = self._lock.lost() if self._lock is not None else None
        if how is not None:
            raise LedgerBusy(
                f"this run lost its lock on the ledger {self.place}: {how}. It has committed nothing since; "
                "let one run at a time use a ledger, and run again"
            )
        watch = self._watch
        if watch is None or (happened := watch.harm()) is None:
            return
        tables.db.rollback()
        kept = ""
        if happened.gone:
            is_complete, keep = empty_log(tables.db), partial(save, tables.db)
            kept = f"; {watch.whereabouts(keep, is_complete=is_complete)}"
        raise LedgerError(
            f"the ledger {self.place} {happened.what}{kept}; put it back as it was and run again, "
            "or begin anew with restart=True (--restart), which empties the output"
        )

    @contextlib.contextmanager
    def _transaction(self, tables: SqliteTables) -> Iterator[None]:
        """Run the block in a transaction, if the file and the lock are still ours."""
        with transaction(tables.db):
            self._check_ours(tables)
            yield

    def _begin(self, tables: SqliteTables, name: str, *, restart: bool) -> Opened:
        key = self._keys.get(name)
        if key is not None and key.running and not restart:
            key.open = True
            return tables.last_commit(key).opened(key, resumed=True)
        if key is not None and not restart:
            tables.merge(key)  # an earlier merge may have been interrupted
        before = None if key is None else replace(key)
        with self._transaction(tables):
            if key is not None and restart:
                tables.forget(key)
            key = tables.begin_run(name, key, restart=restart)
        self._begins(name, before, restart=restart)
        self._keys[name] = key
        # Copy the key into the main file now, so that it is known even if the log is lost.
        tables.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return tables.last_commit(key).opened(key, resumed=False)

    def _undo(self, tables: SqliteTables, key: Key, before: Key | None) -> None:
        with self._transaction(tables):
            tables.undo_run(key, before)
        if before is None:
            del self._keys[key.name]
        else:
            self._keys[key.name] = before

    # -- writing

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[SqliteTables]:
        tables, _ = self._opened(name)
        with self._explained("write to"), self._transaction(tables):
            yield tables

    def _commit(self, key: Key, commit: Commit) -> int:
        with self._writing(key.name) as tables:
            _insert(tables, key, commit, "confirmed")
            letters = tables.settle(key, commit.epoch)
            tables.save_key(key, commit.epoch, letters)
        return letters

    def _write_pending(self, key: Key, commit: Commit, *, replaces: bool) -> None:
        with self._writing(key.name) as tables:
            if replaces:
                tables.drop_from(key, commit.epoch)
            _insert(tables, key, commit, "pending")

    def _confirm(self, key: Key, confirmed: list[int], last: int) -> int:
        letters = key.letters
        with self._writing(key.name) as tables:
            tables.execute(
                "UPDATE commits SET state = 'confirmed' WHERE key_id = ? AND epoch <= ?", key.key_id, last
            )
            for epoch in confirmed:
                letters = tables.settle(key, epoch)
            tables.drop_from(key, last + 1)
            tables.save_key(key, last, letters)
        return letters

    def _finish(self, tables: SqliteTables, key: Key) -> None:
        counts = tables.last_commit(key).counts_of(key.run)
        with self._transaction(tables):
            tables.end_run(key, to_json(counts, "counts"))
        key.running = key.open = False
        tables.merge(key)

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``."""
        tables = self._connected()
        key = self._keys.get(name)
        if key is None:
            return 0
        before = key.letters
        with self._explained("write to"), self._transaction(tables):
            left = tables.drop_letters(key, records)
            tables.save_key(key, key.epoch, left)
        key.letters = left
        return before - left


def _insert(tables: SqliteTables, key: Key, commit: Commit, state: str) -> None:
    texts = commit_texts(key.name, commit)
    digest = checksum(tables.commit_identity(key), commit.epoch, key.run, *texts)
    tables.execute(
        "DELETE FROM commits WHERE key_id = ? AND epoch <= ?", key.key_id, key.epoch - KEPT_COMMITS
    )
    fields = (key.key_id, commit.epoch, key.run, state, time.time(), *texts, digest)
    tables.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *fields)
    tables.insert(key, commit)
