"""The tables of the PostgreSQL ledger, their version, and how an older version becomes this one.

They are those of the SQLite ledger (``schema``), for the same reasons, in a schema of their own. Texts that
an index holds are shortened (``postgres_text``); dead letters therefore have theirs twice. They are compared
by bytes (``COLLATE "C"``): what the language of the server thinks of identifiers only takes time.

All outcomes of one commit are one row of arrays, which are unnested when the run is merged: a row each, and
an entry in an index each, would cost several times as much to write, to log and to delete. Hashes and
identifiers hardly compress, so that is not tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

__all__ = ["VERSION", "check_version", "prepare"]

VERSION = 1

_LOCK = 0x50454E53
"""The advisory lock under which a ledger is created or migrated."""

_TABLES = """
CREATE SCHEMA IF NOT EXISTS penstock_ledger;
CREATE TABLE penstock_ledger.meta (version bigint NOT NULL);
CREATE TABLE penstock_ledger.keys (
    key_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key       text NOT NULL UNIQUE,
    run       bigint NOT NULL,
    epoch     bigint NOT NULL,
    letters   bigint NOT NULL,
    checksum  text NOT NULL
);
CREATE TABLE penstock_ledger.leases (
    key_id   bigint PRIMARY KEY REFERENCES penstock_ledger.keys,
    token    text NOT NULL,             -- of the one ledger object that may write; '' if nobody may
    host     text NOT NULL,
    pid      bigint NOT NULL,
    backend  bigint NOT NULL,           -- the session of the holder
    since    timestamptz NOT NULL,
    expires  timestamptz NOT NULL
);
CREATE TABLE penstock_ledger.runs (
    key_id      bigint NOT NULL REFERENCES penstock_ledger.keys,
    run         bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('running', 'completed', 'abandoned')),
    started_at  double precision NOT NULL,
    ended_at    double precision,
    counts      text NOT NULL,
    checksum    text NOT NULL,
    PRIMARY KEY (key_id, run)
);
CREATE TABLE penstock_ledger.commits (
    key_id        bigint NOT NULL REFERENCES penstock_ledger.keys,
    epoch         bigint NOT NULL,
    run           bigint NOT NULL,
    state         text NOT NULL CHECK (state IN ('pending', 'confirmed')),
    committed_at  double precision NOT NULL,
    position      text NOT NULL,
    record        text NOT NULL,
    counts        text NOT NULL,
    checksum      text NOT NULL,
    PRIMARY KEY (key_id, epoch)
);
CREATE TABLE penstock_ledger.outcomes (
    key_id          bigint NOT NULL,
    epoch           bigint NOT NULL,
    size            bigint NOT NULL,
    doc_ids         text[] COLLATE "C" NOT NULL,
    content_hashes  bytea[] NOT NULL,
    statuses        text[],             -- none if all of them are completed
    tries           bigint[],           -- none if one was enough for each
    errors          text[],             -- none if there are none
    error_types     text[],
    PRIMARY KEY (key_id, epoch)
);
ALTER TABLE penstock_ledger.outcomes
    ALTER doc_ids SET STORAGE EXTERNAL, ALTER content_hashes SET STORAGE EXTERNAL;
CREATE TABLE penstock_ledger.documents (
    key_id        bigint NOT NULL,
    doc_id        text COLLATE "C" NOT NULL,
    epoch         bigint NOT NULL,
    status        text NOT NULL CHECK (status IN ('completed', 'failed', 'deleted')),
    content_hash  bytea NOT NULL,
    earlier_hash  bytea,
    attempts      bigint NOT NULL,
    error         text,
    error_type    text,
    PRIMARY KEY (key_id, doc_id)
) WITH (fillfactor = 80);  -- room for a change beside what it changes, without new entries in the index
CREATE TABLE penstock_ledger.dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id      bigint NOT NULL REFERENCES penstock_ledger.keys,
    epoch       bigint NOT NULL,
    record      text COLLATE "C" NOT NULL,  -- record_key, shortened
    document    text COLLATE "C",           -- doc_id, shortened
    resolves    boolean NOT NULL,           -- no letter, but the end of those of its record
    record_key  text NOT NULL,
    doc_id      text,
    adapter     text NOT NULL,
    error       text NOT NULL,
    error_type  text NOT NULL,
    raw         bytea NOT NULL,
    context     text NOT NULL,
    traceback   text,
    attempts    bigint NOT NULL,
    failed_at   double precision NOT NULL,
    checksum    text NOT NULL
);
CREATE INDEX dead_letters_by_epoch ON penstock_ledger.dead_letters (key_id, epoch);
CREATE INDEX dead_letters_by_record ON penstock_ledger.dead_letters (key_id, record);
CREATE INDEX dead_letters_by_document ON penstock_ledger.dead_letters (key_id, document);
"""

_MIGRATIONS: dict[int, Callable[[psycopg.Connection[Any]], None]] = {}
"""From version n to n + 1; all of them run in one transaction together with the change of the version."""


def prepare(db: psycopg.Connection[Any], place: str) -> None:
    """Create the tables if there are none, and bring those of an older version up to ``VERSION``.

    Raises:
        LedgerBusy: they are of an older version, and a run of it holds a lease.
        LedgerCorrupt: there is a schema of that name, and it is no ledger.
        LedgerError: they were written by a newer Penstock.
    """
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        schema, meta = _there(db)
        if schema and not meta:
            raise LedgerCorrupt(
                f"the schema penstock_ledger in {place} is not a Penstock ledger; choose another database"
            )
        if not meta:
            db.execute(_TABLES)
            db.execute("INSERT INTO penstock_ledger.meta VALUES (%s)", (VERSION,))
            return
        version = check_version(db, place)
        if version < VERSION:
            _migrate(db, version, place)


def check_version(db: psycopg.Connection[Any], place: str) -> int:
    """Return the version of the tables; raises as ``prepare`` does."""
    rows = db.execute("SELECT version FROM penstock_ledger.meta").fetchall()
    if len(rows) != 1 or rows[0][0] < 1:
        raise LedgerCorrupt(f"the ledger {place} does not say its version; put a backup of it back")
    version = int(rows[0][0])
    if version > VERSION:
        raise LedgerError(
            f"the ledger {place} has schema version {version}, and this Penstock knows none above {VERSION}; "
            "use the newer Penstock that wrote it"
        )
    return version


def _there(db: psycopg.Connection[Any]) -> tuple[bool, bool]:
    """Return whether the schema is there, and whether its table ``meta`` is."""
    row = db.execute(
        "SELECT to_regnamespace('penstock_ledger') IS NOT NULL,"
        " to_regclass('penstock_ledger.meta') IS NOT NULL"
    ).fetchone()
    return (bool(row[0]), bool(row[1])) if row else (False, False)


def _migrate(db: psycopg.Connection[Any], version: int, place: str) -> None:
    held = db.execute(
        "SELECT host, pid FROM penstock_ledger.leases WHERE token <> '' AND expires > clock_timestamp()"
        " AND backend IN (SELECT pid FROM pg_stat_activity)"
    ).fetchone()
    if held is not None:
        raise LedgerBusy(
            f"the ledger {place} has schema version {version}, and process {held[1]} on {held[0]} uses it; "
            "wait for it or stop it, then run again to bring the ledger up to date"
        )
    # who holds a lease and sleeps knows only the older version: it must not write any more
    db.execute("UPDATE penstock_ledger.leases SET token = ''")
    for step in range(version, VERSION):
        _MIGRATIONS[step](db)
    db.execute("UPDATE penstock_ledger.meta SET version = %s", (VERSION,))
