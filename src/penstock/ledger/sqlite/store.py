"""The store of a SQLite ledger: one file, one connection, one thread."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from penstock.ledger.records import KEPT_COMMITS, checksum, commit_texts, to_json
from penstock.ledger.sqlite.connection import connect, transaction
from penstock.ledger.sqlite.errors import SqliteErrors
from penstock.ledger.sqlite.tables import SqliteTables
from penstock.ledger.store import Store
from penstock.system import DiskStorage

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
        self._lock: Lock = DiskStorage().lock(path)

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
            tables = SqliteTables(connect(self._path, self._lock), self._errors.corrupt)
            try:
                with self._explained("read"):
                    self._keys = tables.load_keys()
            except BaseException:
                tables.db.close()
                self._lock.release()
                raise
            self._tables = tables
        return self._tables

    def close(self) -> None:
        """See ``Ledger.aclose``."""
        tables, self._tables = self._tables, None
        self._keys = {}
        if tables is not None:
            with contextlib.suppress(sqlite3.Error):  # on a full disk the log stays; the next open replays it
                tables.db.close()
        self._lock.release()

    def _begin(self, tables: SqliteTables, name: str, *, restart: bool) -> Opened:
        key = self._keys.get(name)
        if key is not None and key.running and not restart:
            key.open = True
            return tables.last_commit(key).opened(key, resumed=True)
        if key is not None and not restart:
            tables.merge(key)  # an earlier merge may have been interrupted
        with transaction(tables.db):
            if key is not None and restart:
                tables.forget(key)
            key = tables.begin_run(name, key, restart=restart)
        self._keys[name] = key
        # Copy the key into the main file now, so that it is known even if the log is lost.
        tables.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return tables.last_commit(key).opened(key, resumed=False)

    # -- writing

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[SqliteTables]:
        tables, _ = self._opened(name)
        with self._explained("write to"), transaction(tables.db):
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
        with transaction(tables.db):
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
        with self._explained("write to"), transaction(tables.db):
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
