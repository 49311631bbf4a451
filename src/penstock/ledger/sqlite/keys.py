"""The keys of a SQLite ledger, their runs and their last commits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.ledger.keys import Key, LastCommit, commit_of, key_of, next_run, run_row
from penstock.ledger.records import checksum

if TYPE_CHECKING:
    import sqlite3

    from penstock.ledger.records import Corrupt

__all__ = ["begin_run", "count_dead_letters", "end_run", "last_commit", "load_keys", "save_key"]


def load_keys(db: sqlite3.Connection, corrupt: Corrupt) -> dict[str, Key]:
    """Return all keys by name.

    Raises:
        LedgerCorrupt: a key, its last run or its dead letters are damaged or missing.
    """
    keys: dict[str, Key] = {}
    for row in db.execute("SELECT key_id, key, run, epoch, letters, checksum FROM keys"):
        key_id, name, run, epoch, *_ = row
        last_run = db.execute(
            "SELECT state, started_at, ended_at, counts, checksum FROM runs WHERE key_id = ? AND run = ?",
            (key_id, run),
        ).fetchone()
        later = db.execute(
            "SELECT epoch FROM commits WHERE key_id = ? AND epoch > ? ORDER BY epoch", (key_id, epoch)
        )
        keys[name] = key_of(
            row,
            name,
            last_run=last_run,
            letters=count_dead_letters(db, key_id, epoch),
            pending=[number for (number,) in later],
            corrupt=corrupt,
        )
    return keys


def begin_run(db: sqlite3.Connection, name: str, key: Key | None, *, restart: bool) -> Key:
    """Write the next logical run of ``key`` (the first if it is ``None``), and return the key with it."""
    if key is None:
        cursor = db.execute(
            "INSERT INTO keys (key, run, epoch, letters, checksum) VALUES (?, 0, 0, 0, '')", (name,)
        )
        key_id = cursor.lastrowid or 0
    else:
        key_id = key.key_id
        if key.running:
            _save_run(db, key, "abandoned", time.time(), "{}")
    begun = next_run(key_id, name, key, restart=restart)
    _save_run(db, begun, "running", None, "{}")
    save_key(db, begun, begun.epoch, begun.letters)
    return begun


def end_run(db: sqlite3.Connection, key: Key, counts: str) -> None:
    """Record that the run is completed; ``counts`` is JSON."""
    _save_run(db, key, "completed", time.time(), counts)


def save_key(db: sqlite3.Connection, key: Key, epoch: int, letters: int) -> None:
    """Write the last true epoch and its number of dead letters; does not change ``key`` itself."""
    digest = checksum(key.key_id, key.name, key.run, epoch, letters)
    db.execute(
        "UPDATE keys SET run = ?, epoch = ?, letters = ?, checksum = ? WHERE key_id = ?",
        (key.run, epoch, letters, digest, key.key_id),
    )


def count_dead_letters(db: sqlite3.Connection, key_id: int, epoch: int) -> int:
    """Return how many unresolved dead letters there are up to ``epoch``."""
    statement = "SELECT count(*) FROM dead_letters WHERE key_id = ? AND epoch <= ?"
    (count,) = db.execute(statement, (key_id, epoch)).fetchone()
    return int(count)


def last_commit(db: sqlite3.Connection, key: Key, corrupt: Corrupt) -> LastCommit:
    """Return the last true commit of ``key``; raises ``LedgerCorrupt`` if it is damaged or missing."""
    if key.epoch == 0:
        return LastCommit()
    row = db.execute(
        "SELECT run, position, record, counts, committed_at, checksum FROM commits"
        " WHERE key_id = ? AND epoch = ? AND state = 'confirmed'",
        (key.key_id, key.epoch),
    ).fetchone()
    return commit_of(row, key, key.name, corrupt)


def _save_run(db: sqlite3.Connection, key: Key, state: str, ended_at: float | None, counts: str) -> None:
    db.execute(
        "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", run_row(key, state, ended_at, counts)
    )
