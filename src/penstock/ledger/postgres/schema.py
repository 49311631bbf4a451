"""The tables of the PostgreSQL ledger, their version, and the migration from older versions.

The tables are those of the SQLite ledger, for the same reasons (see ``penstock.ledger.sqlite.schema``), in
the schema ``penstock_ledger``. Indexed texts are shortened (see ``text``), so dead letters hold theirs twice:
shortened and whole. Identifiers are compared by bytes (``COLLATE "C"``), which is faster than by language.

The outcomes of a commit are one row of arrays, which are unnested when the run is merged. One row and one
index entry per document would cost several times as much to write, to log and to delete. The arrays are
stored uncompressed, because hashes and identifiers hardly compress.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.abc.delivery import DEADLY
from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError
from penstock.ledger.postgres.lease import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

VERSION = 2

SCHEMA = "penstock_ledger"
"""Where the tables are."""

_LOCK = 0x50454E53
"""The advisory lock that is held while a ledger is created or migrated."""

_TABLES = """
CREATE SCHEMA IF NOT EXISTS penstock_ledger;
CREATE TABLE meta (version bigint NOT NULL);
CREATE TABLE keys (
    key_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key       text NOT NULL UNIQUE,
    run       bigint NOT NULL,
    epoch     bigint NOT NULL,
    letters   bigint NOT NULL,
    checksum  text NOT NULL
);
CREATE TABLE leases (
    key_id   bigint PRIMARY KEY REFERENCES keys,
    token    text NOT NULL,             -- of the ledger object that may write; '' if free
    host     text NOT NULL,
    pid      bigint NOT NULL,
    backend  bigint NOT NULL,           -- the process id of the holder's session
    since    timestamptz NOT NULL,
    expires  timestamptz NOT NULL
);
CREATE TABLE runs (
    key_id      bigint NOT NULL REFERENCES keys,
    run         bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('running', 'completed', 'abandoned')),
    started_at  double precision NOT NULL,
    ended_at    double precision,
    counts      text NOT NULL,
    checksum    text NOT NULL,
    PRIMARY KEY (key_id, run)
);
CREATE TABLE commits (
    key_id        bigint NOT NULL REFERENCES keys,
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
CREATE TABLE outcomes (
    key_id          bigint NOT NULL,
    epoch           bigint NOT NULL,
    size            bigint NOT NULL,
    doc_ids         text[] COLLATE "C" NOT NULL,
    content_hashes  bytea[] NOT NULL,
    statuses        text[],             -- null if all are completed
    tries           bigint[],           -- null if each took one attempt
    errors          text[],             -- null if none failed
    error_types     text[],
    PRIMARY KEY (key_id, epoch)
);
ALTER TABLE outcomes
    ALTER doc_ids SET STORAGE EXTERNAL, ALTER content_hashes SET STORAGE EXTERNAL;
CREATE TABLE documents (
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
) WITH (fillfactor = 80);  -- leaves room to update rows in place, without new index entries
CREATE TABLE dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id      bigint NOT NULL REFERENCES keys,
    epoch       bigint NOT NULL,
    record      text COLLATE "C" NOT NULL,  -- record_key, shortened
    document    text COLLATE "C",           -- doc_id, shortened
    resolves    boolean NOT NULL,           -- not a letter: resolves the letters of its record
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
CREATE INDEX dead_letters_by_epoch ON dead_letters (key_id, epoch);
CREATE INDEX dead_letters_by_record ON dead_letters (key_id, record);
CREATE INDEX dead_letters_by_document ON dead_letters (key_id, document);
"""

IS_DEADLY: Final = f"strpos(context, '\"{DEADLY}\":') > 0"
"""As in the SQLite ledger."""
_INDEX_OF_DEADLY: Final = f"CREATE INDEX deadly_letters ON dead_letters (key_id, id) WHERE {IS_DEADLY}"


def _index_deadly(db: psycopg.Connection[Any]) -> None:
    db.execute(_INDEX_OF_DEADLY)


_MIGRATIONS: dict[int, Callable[[psycopg.Connection[Any]], None]] = {1: _index_deadly}
"""The step from version n to n + 1. All steps run in one transaction, which also changes the version."""


def prepare(db: psycopg.Connection[Any], place: str) -> None:
    """Create the tables if they do not exist, or migrate older ones to ``VERSION``.

    Raises:
        LedgerBusy: the tables must be migrated, and a run holds a lease.
        LedgerCorrupt: the schema exists, but is not a ledger.
        LedgerError: a newer Penstock wrote the tables.
    """
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        schema, meta = _existing(db)
        if schema and not meta:
            raise LedgerCorrupt(
                f"the schema penstock_ledger in {place} is not a Penstock ledger; choose another database"
            )
        if not meta:
            db.execute(_TABLES)
            db.execute(_INDEX_OF_DEADLY)
            db.execute("INSERT INTO meta VALUES (%s)", (VERSION,))
            return
        version = check_version(db, place)
        if version < VERSION:
            _migrate(db, version, place)


def check_version(db: psycopg.Connection[Any], place: str) -> int:
    """Return the version of the tables; raises as ``prepare`` does."""
    rows = db.execute("SELECT version FROM meta").fetchall()
    if len(rows) != 1 or rows[0][0] < 1:
        raise LedgerCorrupt(f"the ledger {place} has lost its version number; restore it from a backup")
    version = int(rows[0][0])
    if version > VERSION:
        raise LedgerError(
            f"the ledger {place} has schema version {version}, and this Penstock knows none above {VERSION}; "
            "use the newer Penstock that wrote it"
        )
    return version


def _existing(db: psycopg.Connection[Any]) -> tuple[bool, bool]:
    """Return whether the schema exists, and whether its table ``meta`` does."""
    row = db.execute(
        "SELECT to_regnamespace('penstock_ledger') IS NOT NULL,"
        " to_regclass('penstock_ledger.meta') IS NOT NULL"
    ).fetchone()
    return (bool(row[0]), bool(row[1])) if row else (False, False)


def _migrate(db: psycopg.Connection[Any], version: int, place: str) -> None:
    held = db.execute(
        f"SELECT host, pid FROM leases WHERE {LIVE}"  # noqa: S608  a constant
    ).fetchone()
    if held is not None:
        raise LedgerBusy(
            f"the ledger {place} has schema version {version}, and process {held[1]} on {held[0]} uses it; "
            "wait for it or stop it, then run again to bring the ledger up to date"
        )
    # A process that slept past the end of its lease knows only the older version: keep it from writing.
    db.execute("UPDATE leases SET token = ''")
    for step in range(version, VERSION):
        _MIGRATIONS[step](db)
    db.execute("UPDATE meta SET version = %s", (VERSION,))
