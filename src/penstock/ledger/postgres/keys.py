"""The keys of a PostgreSQL ledger, their runs and their last commits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.ledger.postgres.commit import save_key
from penstock.ledger.postgres.rows import count_dead_letters
from penstock.ledger.postgres.text import short
from penstock.ledger.postgres.trouble import corrupt
from penstock.ledger.records import checksum, parse_json
from penstock.ledger.sqlite.keys import Key

if TYPE_CHECKING:
    import psycopg

    Database = psycopg.Connection[Any]

__all__ = [
    "begin_run",
    "end_run",
    "last_commit",
    "load_key",
    "load_names",
    "new_key",
]

LastCommit = tuple[int, Any, Any, dict[str, int]]
"""Run, position, record and counts."""


def new_key(db: Database, name: str) -> int:
    """Return the number of the key ``name``, which is written down if it is new."""
    db.execute(
        "INSERT INTO penstock_ledger.keys (key, run, epoch, letters, checksum) VALUES (%s, 0, 0, 0, '')"
        " ON CONFLICT DO NOTHING",
        (short(name),),
    )
    row = db.execute("SELECT key_id FROM penstock_ledger.keys WHERE key = %s", (short(name),)).fetchone()
    return int(row[0]) if row else 0


def load_names(db: Database) -> list[str]:
    """Return the names of all keys that have a run, as they are stored."""
    rows = db.execute("SELECT key FROM penstock_ledger.keys WHERE run > 0 ORDER BY key").fetchall()
    return [name for (name,) in rows]


def load_key(db: Database, name: str, place: str, *, stored: bool = False) -> Key | None:
    """Return a key, ``None`` if it never ran; raises ``LedgerCorrupt`` if it or its last run is damaged.

    ``stored`` says that ``name`` is as it is stored.
    """
    text = name if stored else short(name)
    row = db.execute(
        "SELECT key_id, run, epoch, letters, checksum FROM penstock_ledger.keys WHERE key = %s",
        (text,),
    ).fetchone()
    if row is None or (row[1] == 0 and row[4] == ""):
        return None
    key_id, run, epoch, letters, expected = row
    if checksum(key_id, text, run, epoch, letters) != expected:
        raise corrupt(place, f"the key {name!r} fails its checksum")
    last = db.execute(
        "SELECT state, started_at, ended_at, counts, checksum FROM penstock_ledger.runs"
        " WHERE key_id = %s AND run = %s",
        (key_id, run),
    ).fetchone()
    if last is None or checksum(key_id, run, *last[:-1]) != last[-1]:
        raise corrupt(place, f"run {run} of {name!r} is missing or fails its checksum")
    found = count_dead_letters(db, key_id, epoch)
    if found != letters:
        raise corrupt(place, f"{letters} dead letters of {name!r} were committed, {found} are there")
    later = db.execute(
        "SELECT epoch FROM penstock_ledger.commits WHERE key_id = %s AND epoch > %s ORDER BY epoch",
        (key_id, epoch),
    ).fetchall()
    pending = [number for (number,) in later]
    return Key(key_id, name, run, epoch, letters, last[1], last[0] == "running", pending)


def begin_run(db: Database, key_id: int, name: str, key: Key | None, *, restart: bool) -> Key:
    """Write down the next logical run of ``key`` (its first, if that is ``None``), and return it."""
    now = time.time()
    kept = key if key is not None and not restart else None
    epoch, letters = (kept.epoch, kept.letters) if kept else (0, 0)
    run = key.run + 1 if key else 1
    begun = Key(key_id, name, run, epoch, letters, now, running=True, open=True)
    if key is not None and key.running:
        _save_run(db, key, "abandoned", now, "{}")
    _save_run(db, begun, "running", None, "{}")
    save_key(db, begun, epoch, letters)
    return begun


def end_run(db: Database, key: Key, counts: str) -> None:
    """Write down that the run is completed; ``counts`` is JSON."""
    _save_run(db, key, "completed", time.time(), counts)


def _save_run(db: Database, key: Key, state: str, ended_at: float | None, counts: str) -> None:
    digest = checksum(key.key_id, key.run, state, key.started_at, ended_at, counts)
    db.execute(
        "INSERT INTO penstock_ledger.runs VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key_id, run)"
        " DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, counts = excluded.counts,"
        " checksum = excluded.checksum",
        (key.key_id, key.run, state, key.started_at, ended_at, counts, digest),
    )


def last_commit(db: Database, key: Key, place: str) -> LastCommit | None:
    """Return the last true commit of ``key``; raises ``LedgerCorrupt`` if it is damaged or gone."""
    if key.epoch == 0:
        return None
    row = db.execute(
        "SELECT run, position, record, counts, checksum FROM penstock_ledger.commits"
        " WHERE key_id = %s AND epoch = %s AND state = 'confirmed'",
        (key.key_id, key.epoch),
    ).fetchone()
    if row is None:
        raise corrupt(place, f"commit {key.epoch} of {key.name!r} is missing")
    run, position, record, counts, expected = row
    if checksum(key.key_id, key.epoch, run, position, record, counts) != expected:
        raise corrupt(place, f"commit {key.epoch} of {key.name!r} fails its checksum")
    return run, parse_json(position), parse_json(record), parse_json(counts)
