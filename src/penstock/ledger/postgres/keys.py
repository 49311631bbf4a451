"""The keys of a PostgreSQL ledger, their runs and their last commits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.ledger.keys import Key, LastCommit, commit_of, key_of, next_run, run_row
from penstock.ledger.postgres.commit import save_key
from penstock.ledger.postgres.rows import count_dead_letters
from penstock.ledger.postgres.text import short

if TYPE_CHECKING:
    import psycopg

    from penstock.ledger.records import Corrupt

    Database = psycopg.Connection[Any]

__all__ = ["begin_run", "end_run", "last_commit", "load_key", "load_names", "new_key"]


def new_key(db: Database, name: str) -> int:
    """Return the number of the key ``name``; insert the key if it is new."""
    db.execute(
        "INSERT INTO penstock_ledger.keys (key, run, epoch, letters, checksum) VALUES (%s, 0, 0, 0, '')"
        " ON CONFLICT DO NOTHING",
        (short(name),),
    )
    row = db.execute("SELECT key_id FROM penstock_ledger.keys WHERE key = %s", (short(name),)).fetchone()
    return int(row[0]) if row else 0


def load_names(db: Database) -> list[str]:
    """Return the stored names of all keys that have a run."""
    rows = db.execute("SELECT key FROM penstock_ledger.keys WHERE run > 0 ORDER BY key").fetchall()
    return [name for (name,) in rows]


def load_key(db: Database, name: str, corrupt: Corrupt, *, stored: bool = False) -> Key | None:
    """Return a key, or ``None`` if it never ran; ``stored`` says that ``name`` is a stored name.

    Raises:
        LedgerCorrupt: the key, its last run or its dead letters are damaged or missing.
    """
    row = db.execute(
        "SELECT key_id, key, run, epoch, letters, checksum FROM penstock_ledger.keys WHERE key = %s",
        (name if stored else short(name),),
    ).fetchone()
    if row is None or (row[2] == 0 and row[-1] == ""):
        return None
    key_id, _, run, epoch, *_ = row
    last_run = db.execute(
        "SELECT state, started_at, ended_at, counts, checksum FROM penstock_ledger.runs"
        " WHERE key_id = %s AND run = %s",
        (key_id, run),
    ).fetchone()
    later = db.execute(
        "SELECT epoch FROM penstock_ledger.commits WHERE key_id = %s AND epoch > %s ORDER BY epoch",
        (key_id, epoch),
    ).fetchall()
    return key_of(
        row,
        name,
        last_run=last_run,
        letters=count_dead_letters(db, key_id, epoch),
        pending=[number for (number,) in later],
        corrupt=corrupt,
    )


def begin_run(db: Database, key_id: int, name: str, key: Key | None, *, restart: bool) -> Key:
    """Write the next logical run of ``key`` (the first if it is ``None``), and return the key with it."""
    if key is not None and key.running:
        _save_run(db, key, "abandoned", time.time(), "{}")
    begun = next_run(key_id, name, key, restart=restart)
    _save_run(db, begun, "running", None, "{}")
    save_key(db, begun, begun.epoch, begun.letters)
    return begun


def end_run(db: Database, key: Key, counts: str) -> None:
    """Record that the run is completed; ``counts`` is JSON."""
    _save_run(db, key, "completed", time.time(), counts)


def last_commit(db: Database, key: Key, corrupt: Corrupt) -> LastCommit:
    """Return the last true commit of ``key``; raises ``LedgerCorrupt`` if it is damaged or missing."""
    if key.epoch == 0:
        return LastCommit()
    row = db.execute(
        "SELECT run, position, record, counts, committed_at, checksum FROM penstock_ledger.commits"
        " WHERE key_id = %s AND epoch = %s AND state = 'confirmed'",
        (key.key_id, key.epoch),
    ).fetchone()
    return commit_of(row, key, key.key_id, corrupt)


def _save_run(db: Database, key: Key, state: str, ended_at: float | None, counts: str) -> None:
    db.execute(
        "INSERT INTO penstock_ledger.runs VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key_id, run)"
        " DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, counts = excluded.counts,"
        " checksum = excluded.checksum",
        run_row(key, state, ended_at, counts),
    )
