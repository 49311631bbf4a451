"""Read a SQLite ledger from outside, also while a run writes it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penstock.ledger.records import clean, dead_letters_of
from penstock.ledger.reports import key_status, run_records
from penstock.ledger.sqlite.connection import read_only
from penstock.ledger.sqlite.errors import SqliteErrors
from penstock.ledger.sqlite.keys import last_commit, load_keys
from penstock.system import holder_of, lock_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.abc import DeadLetter
    from penstock.ledger.records import Corrupt
    from penstock.ledger.reports import KeyStatus, RunRecord

__all__ = ["read_dead_letters", "read_runs", "read_status"]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[tuple[sqlite3.Connection, Corrupt]]:
    """Open the ledger for several queries that see the same moment."""
    errors = SqliteErrors(path)
    with contextlib.closing(read_only(path)) as db, errors.explained("read"):
        db.execute("BEGIN")
        yield db, errors.corrupt


def read_status(path: Path) -> list[KeyStatus]:
    """See ``penstock.ledger.read_status``."""
    holder = holder_of(lock_path(path))
    with _reading(path) as (db, corrupt):
        keys = sorted(load_keys(db, corrupt).items())
        return [key_status(name, key, last_commit(db, key, corrupt), holder) for name, key in keys]


def read_runs(path: Path, key: str) -> list[RunRecord]:
    """See ``penstock.ledger.history.read_runs``."""
    with _reading(path) as (db, corrupt):
        rows = db.execute(
            "SELECT key_id, runs.run, runs.state, started_at, ended_at, counts, runs.checksum"
            " FROM runs JOIN keys USING (key_id) WHERE key = ? ORDER BY runs.run",
            (key,),
        )
        return run_records(rows, key, corrupt)


def read_dead_letters(path: Path, key: str, *, latest: int, record: str | None) -> list[DeadLetter]:
    """See ``penstock.ledger.history.read_dead_letters``."""
    with _reading(path) as (db, corrupt):
        known = load_keys(db, corrupt).get(key)
        if known is None:
            return []
        rows = db.execute(
            "SELECT record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts,"
            " failed_at, checksum FROM dead_letters WHERE key_id = ? AND epoch <= ?"
            " AND record_key = coalesce(?, record_key) ORDER BY id DESC LIMIT ?",
            (known.key_id, known.epoch, clean(record), latest),
        ).fetchall()
        return dead_letters_of(reversed(rows), key, corrupt)
