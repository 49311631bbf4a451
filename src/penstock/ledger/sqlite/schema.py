"""The tables of the SQLite ledger, their version, and the migration from older versions.

A commit appends the outcomes of its documents to ``outcomes``, in the order of the epochs. They are merged
into ``documents`` when the run is finished. This has three advantages:

* A commit writes only at the end of a table. With random identifiers a row then costs 2-7 µs; when each row
  was written to ``documents`` at once, it cost 18-50 µs.
* ``documents`` holds what was known at the start of the logical run, which is what ``unchanged`` asks for.
* The rows of an epoch that a sink refused are deleted as one range.

``PRAGMA quick_check`` finds damaged rows by the ``CHECK`` clauses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.abc.delivery import DEADLY
from penstock.errors import LedgerCorrupt, LedgerError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

APPLICATION_ID = 0x50454E53
"""``PENS``: tells a ledger from other SQLite files."""

VERSION = 2

_TABLES = """
CREATE TABLE keys (
    key_id    INTEGER PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,
    run       INTEGER NOT NULL,       -- the last logical run
    epoch     INTEGER NOT NULL,       -- the last confirmed commit, 0 before the first
    letters   INTEGER NOT NULL,       -- the number of dead letters up to that epoch
    checksum  TEXT NOT NULL
);
CREATE TABLE runs (
    key_id      INTEGER NOT NULL REFERENCES keys,
    run         INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('running', 'completed', 'abandoned')),
    started_at  REAL NOT NULL,
    ended_at    REAL,
    counts      TEXT NOT NULL,        -- JSON; empty unless completed
    checksum    TEXT NOT NULL,
    PRIMARY KEY (key_id, run)
) WITHOUT ROWID;
CREATE TABLE commits (
    key_id        INTEGER NOT NULL REFERENCES keys,
    epoch         INTEGER NOT NULL,
    run           INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('pending', 'confirmed')),
    committed_at  REAL NOT NULL,
    position      TEXT NOT NULL,      -- JSON
    record        TEXT NOT NULL,      -- JSON from the sink
    counts        TEXT NOT NULL,      -- JSON
    checksum      TEXT NOT NULL,
    PRIMARY KEY (key_id, epoch)
) WITHOUT ROWID;
CREATE TABLE outcomes (
    key_id        INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    n             INTEGER NOT NULL,   -- ordinal within the commit
    doc_id        TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('completed', 'failed', 'deleted')),
    content_hash  BLOB NOT NULL,      -- 32 bytes, or TEXT if it is not 64 hexadecimal digits
    attempts      INTEGER NOT NULL,
    error         TEXT,
    error_type    TEXT,
    PRIMARY KEY (key_id, epoch, n)
) WITHOUT ROWID;
CREATE TABLE documents (
    key_id        INTEGER NOT NULL,
    doc_id        TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('completed', 'failed', 'deleted')),
    content_hash  BLOB NOT NULL,
    earlier_hash  BLOB,               -- if failed: the hash when it was last completed or deleted
    attempts      INTEGER NOT NULL,
    error         TEXT,
    error_type    TEXT,
    PRIMARY KEY (key_id, doc_id)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY,
    key_id      INTEGER NOT NULL REFERENCES keys,
    epoch       INTEGER NOT NULL,
    record_key  TEXT NOT NULL,
    doc_id      TEXT,
    adapter     TEXT NOT NULL,
    error       TEXT NOT NULL,
    error_type  TEXT NOT NULL,
    raw         BLOB NOT NULL,
    context     TEXT NOT NULL,        -- JSON
    traceback   TEXT,
    attempts    INTEGER NOT NULL,
    failed_at   REAL NOT NULL,
    checksum    TEXT NOT NULL
);
CREATE INDEX dead_letters_by_epoch ON dead_letters (key_id, epoch);
CREATE INDEX dead_letters_by_record ON dead_letters (key_id, record_key);
CREATE INDEX dead_letters_by_document ON dead_letters (key_id, doc_id);
"""

IS_DEADLY: Final = f"instr(context, '\"{DEADLY}\":') > 0"
"""The condition of letters whose record killed the processes that parsed it."""
_INDEX_OF_DEADLY = f"CREATE INDEX deadly_letters ON dead_letters (key_id, id) WHERE {IS_DEADLY}"
"""Since version 2. Every run asks for these letters; they are few, and the others may be many and large."""


def _index_deadly(connection: sqlite3.Connection) -> None:
    connection.execute(_INDEX_OF_DEADLY)


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _index_deadly}
"""The step from version n to n + 1. Each runs in a transaction that also changes the version."""


def create(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty database."""
    connection.executescript(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        f"{_TABLES} {_INDEX_OF_DEADLY};"
    )


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the ledger at ``path``.

    Raises:
        LedgerCorrupt: it is another kind of SQLite database.
        LedgerError: a newer Penstock wrote it.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise LedgerCorrupt(
            f"{path} is a SQLite database but not a Penstock ledger; choose another path for the ledger"
        )
    if version > VERSION:
        raise LedgerError(
            f"the ledger {path} has schema version {version}, and this Penstock knows none above {VERSION}; "
            "use the newer Penstock that wrote it"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate a ledger from ``version`` to ``VERSION``, one step and one transaction at a time."""
    for step in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            _MIGRATIONS[step](connection)
            connection.execute(f"PRAGMA user_version = {step + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
