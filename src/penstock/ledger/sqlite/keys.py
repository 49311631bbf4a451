"""The keys of a SQLite ledger and their runs: what is known of each before any commit is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.ledger.records import checksum
from penstock.ledger.sqlite.trouble import corrupt

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["Key", "begin_run", "count_dead_letters", "end_run", "load_keys", "save_key"]


_ALL = "SELECT key_id, key, run, epoch, letters, checksum FROM keys"


@dataclass(slots=True)
class Key:
    """One key: its last run, its last true epoch with the dead letters by then, and what is pending.

    ``pending`` are the later epochs that wait for a sink's decision.
    """

    key_id: int
    name: str
    run: int
    epoch: int
    letters: int
    started_at: float
    running: bool
    pending: list[int] = field(default_factory=list)
    open: bool = False
    """Whether this process has opened it."""


def load_keys(db: sqlite3.Connection, path: Path) -> dict[str, Key]:
    """Return all keys; raises ``LedgerCorrupt`` if one of them, or its last run, is damaged or gone."""
    keys: dict[str, Key] = {}
    for key_id, name, run, epoch, letters, expected in db.execute(_ALL):
        if checksum(key_id, name, run, epoch, letters) != expected:
            raise corrupt(path, f"the key {name!r} fails its checksum")
        row = db.execute(
            "SELECT state, started_at, ended_at, counts, checksum FROM runs WHERE key_id = ? AND run = ?",
            (key_id, run),
        ).fetchone()
        if row is None or checksum(key_id, run, *row[:-1]) != row[-1]:
            raise corrupt(path, f"run {run} of {name!r} is missing or fails its checksum")
        found = count_dead_letters(db, key_id, epoch)
        if found != letters:
            raise corrupt(path, f"{letters} dead letters of {name!r} were committed, {found} are there")
        later = db.execute(
            "SELECT epoch FROM commits WHERE key_id = ? AND epoch > ? ORDER BY epoch", (key_id, epoch)
        )
        pending = [number for (number,) in later]
        keys[name] = Key(key_id, name, run, epoch, letters, row[1], row[0] == "running", pending)
    return keys


def begin_run(db: sqlite3.Connection, name: str, key: Key | None, *, restart: bool) -> Key:
    """Write down the next logical run of ``key`` (its first, if that is ``None``), and return it."""
    now = time.time()
    if key is None:
        cursor = db.execute(
            "INSERT INTO keys (key, run, epoch, letters, checksum) VALUES (?, 0, 0, 0, '')", (name,)
        )
        begun = Key(cursor.lastrowid or 0, name, 1, 0, 0, now, running=True, open=True)
    else:
        epoch, letters = (0, 0) if restart else (key.epoch, key.letters)
        begun = Key(key.key_id, name, key.run + 1, epoch, letters, now, running=True, open=True)
        if key.running:
            _save_run(db, key, "abandoned", now, "{}")
    _save_run(db, begun, "running", None, "{}")
    save_key(db, begun, begun.epoch, begun.letters)
    return begun


def end_run(db: sqlite3.Connection, key: Key, counts: str) -> None:
    """Write down that the run is completed; ``counts`` is JSON."""
    _save_run(db, key, "completed", time.time(), counts)


def save_key(db: sqlite3.Connection, key: Key, epoch: int, letters: int) -> None:
    """Write down the last true epoch and the dead letters by then; ``key`` is the caller's to change."""
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


def _save_run(db: sqlite3.Connection, key: Key, state: str, ended_at: float | None, counts: str) -> None:
    digest = checksum(key.key_id, key.run, state, key.started_at, ended_at, counts)
    db.execute(
        "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.key_id, key.run, state, key.started_at, ended_at, counts, digest),
    )
