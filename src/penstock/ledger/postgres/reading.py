"""Looking at a PostgreSQL ledger from outside, also while a run is writing it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from penstock.errors import LedgerError
from penstock.ledger.postgres import keys
from penstock.ledger.postgres.lease import holder_in
from penstock.ledger.postgres.rows import last_letters
from penstock.ledger.postgres.schema import check_version
from penstock.ledger.postgres.store import connect
from penstock.ledger.postgres.text import release, secrets_of, short, shown
from penstock.ledger.postgres.trouble import corrupt, speaking
from penstock.ledger.records import checksum, dead_letter_of, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from penstock.abc import DeadLetter
    from penstock.ledger.history import RunRecord
    from penstock.ledger.status import KeyStatus

    Database = psycopg.Connection[Any]

__all__ = ["read_dead_letters", "read_runs", "read_status"]


@contextlib.contextmanager
def _reading(url: str) -> Iterator[Database]:
    """Open the ledger to look at it, all at one moment; nothing is created or migrated."""
    place, secrets = shown(url), secrets_of(url)
    with speaking(place, "open", secrets):
        db = connect(url, "penstock status")
    with contextlib.closing(db), speaking(place, "read", secrets):
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = db.execute("SELECT to_regclass('penstock_ledger.meta') IS NOT NULL").fetchone()
        if not found or not found[0]:
            raise LedgerError(f"there is no ledger in {place}")
        check_version(db, place)
        yield db


def read_status(url: str) -> list[KeyStatus]:
    """See ``penstock.ledger.read_status``."""
    with _reading(url) as db:
        return [_status(db, name, shown(url)) for name in keys.load_names(db)]


def _status(db: Database, stored: str, place: str) -> KeyStatus:
    from penstock.ledger.status import KeyStatus

    key = keys.load_key(db, stored, place, stored=True)
    if key is None:
        raise corrupt(place, f"the key {stored!r} is gone")
    commit = keys.last_commit(db, key, place)
    run, position, record, counts = commit or (0, None, None, {})
    row = db.execute(
        "SELECT committed_at FROM penstock_ledger.commits WHERE key_id = %s AND epoch = %s",
        (key.key_id, key.epoch),
    ).fetchone()
    holder = holder_in(db, key.key_id)
    interrupted = "running" if holder else "interrupted"
    return KeyStatus(
        key=release(stored) or "",
        run=key.run,
        state=interrupted if key.running else "completed",
        epoch=key.epoch,
        counts=counts if run == key.run else {},
        started_at=key.started_at,
        committed_at=row[0] if row else None,
        position=position,
        record=record,
        dead_letters=key.letters,
        pending=tuple(key.pending),
        holder=holder,
    )


def read_runs(url: str, key: str) -> list[RunRecord]:
    """See ``penstock.ledger.history.read_runs``."""
    from penstock.ledger.history import RunRecord

    with _reading(url) as db:
        rows = db.execute(
            "SELECT key_id, runs.run, runs.state, started_at, ended_at, counts, runs.checksum"
            " FROM penstock_ledger.runs JOIN penstock_ledger.keys USING (key_id)"
            " WHERE key = %s ORDER BY runs.run",
            (short(key),),
        ).fetchall()
    for *fields, expected in rows:
        if checksum(*fields) != expected:
            raise corrupt(shown(url), f"run {fields[1]} of {key!r} fails its checksum")
    return [
        RunRecord(run, state, started, ended, parse_json(counts))
        for _, run, state, started, ended, counts, _ in rows
    ]


def read_dead_letters(url: str, key: str, *, latest: int, record: str | None) -> list[DeadLetter]:
    """See ``penstock.ledger.history.read_dead_letters``."""
    letters: list[DeadLetter] = []
    with _reading(url) as db:
        known = keys.load_key(db, key, shown(url))
        if known is not None:
            for *fields, expected in last_letters(db, known, latest, record):
                letter = dead_letter_of(fields, expected)
                if letter is None:
                    raise corrupt(shown(url), f"a dead letter of {key!r} fails its checksum")
                letters.append(letter)
    return letters
