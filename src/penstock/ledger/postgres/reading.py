"""Read a PostgreSQL ledger from outside, also while a run writes it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from penstock.errors import LedgerError
from penstock.ledger.postgres import keys
from penstock.ledger.postgres.connection import connect
from penstock.ledger.postgres.errors import PostgresErrors
from penstock.ledger.postgres.lease import holder_in
from penstock.ledger.postgres.rows import last_letters
from penstock.ledger.postgres.schema import check_version
from penstock.ledger.postgres.text import release, short
from penstock.ledger.records import dead_letters_of
from penstock.ledger.reports import key_status, run_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from penstock.abc import DeadLetter
    from penstock.ledger.records import Corrupt
    from penstock.ledger.reports import KeyStatus, RunRecord

    Database = psycopg.Connection[Any]

__all__ = ["read_dead_letters", "read_runs", "read_status"]


@contextlib.contextmanager
def _reading(url: str) -> Iterator[tuple[Database, Corrupt]]:
    """Open the ledger for several queries that see the same moment; create and migrate nothing."""
    errors = PostgresErrors(url)
    with errors.explained("open"):
        db = connect(url, "penstock status")
    with contextlib.closing(db), errors.explained("read"):
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = db.execute("SELECT to_regclass('penstock_ledger.meta') IS NOT NULL").fetchone()
        if not found or not found[0]:
            raise LedgerError(f"there is no ledger in {errors.place}")
        check_version(db, errors.place)
        yield db, errors.corrupt


def read_status(url: str) -> list[KeyStatus]:
    """See ``penstock.ledger.read_status``."""
    with _reading(url) as (db, corrupt):
        return [_status(db, name, corrupt) for name in keys.load_names(db)]


def _status(db: Database, stored: str, corrupt: Corrupt) -> KeyStatus:
    key = keys.load_key(db, stored, corrupt, stored=True)
    if key is None:
        raise corrupt(f"the key {stored!r} is gone")
    commit = keys.last_commit(db, key, corrupt)
    return key_status(release(stored) or "", key, commit, holder_in(db, key.key_id))


def read_runs(url: str, key: str) -> list[RunRecord]:
    """See ``penstock.ledger.history.read_runs``."""
    with _reading(url) as (db, corrupt):
        rows = db.execute(
            "SELECT key_id, runs.run, runs.state, started_at, ended_at, counts, runs.checksum"
            " FROM penstock_ledger.runs JOIN penstock_ledger.keys USING (key_id)"
            " WHERE key = %s ORDER BY runs.run",
            (short(key),),
        )
        return run_records(rows, key, corrupt)


def read_dead_letters(url: str, key: str, *, latest: int, record: str | None) -> list[DeadLetter]:
    """See ``penstock.ledger.history.read_dead_letters``."""
    with _reading(url) as (db, corrupt):
        known = keys.load_key(db, key, corrupt)
        return dead_letters_of(last_letters(db, known, latest, record), key, corrupt) if known else []
