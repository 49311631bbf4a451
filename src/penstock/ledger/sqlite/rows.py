# ruff: noqa: S608 - statements are put together from constants only; every value is bound
"""Read and write the documents and dead letters of a SQLite ledger, many rows at a time.

Statements have 512, 256, … 1 rows of ``VALUES``, so that SQLite compiles few of them. ``executemany`` would
take the interpreter's lock again for each row. (``json_each`` costs about the same, but cannot store bytes,
and cuts text at a NUL.) The caller of a function that writes has begun a transaction, except for ``merge``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.abc import DeadLetter
from penstock.ledger.records import clean, dead_letter_row, pack_hash, state_of, state_values
from penstock.ledger.sqlite.connection import transaction
from penstock.ledger.sqlite.keys import count_dead_letters

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from penstock.abc import Commit, DocumentState, Standing
    from penstock.ledger.keys import Key
    from penstock.ledger.store import RowPlace

__all__ = [
    "compare",
    "dead_letters",
    "drop_from",
    "drop_letters",
    "forget",
    "insert",
    "merge",
    "revised",
    "settle",
    "states",
    "tally",
]

T = TypeVar("T")

_MOST_ROWS = 512
_MERGED_AT_ONCE = 1_000_000
"""Each transaction may touch every page of ``documents``, so few are best; each makes the log that large."""
_KNOWN = "CASE status WHEN 'failed' THEN earlier_hash ELSE content_hash END"
_KNOWN_AS = "CASE known.status WHEN 'failed' THEN known.earlier_hash ELSE known.content_hash END"
_STATE = "doc_id, status, content_hash, attempts, error, error_type"

_MERGE = f"""
INSERT INTO documents (key_id, epoch, {_STATE})
SELECT key_id, epoch, {_STATE} FROM outcomes
WHERE key_id = :key_id AND epoch <= :last
ORDER BY doc_id, epoch, n               -- so that each page of documents is visited once
ON CONFLICT (key_id, doc_id) DO UPDATE SET
    epoch = excluded.epoch,
    earlier_hash = CASE
        WHEN excluded.status <> 'failed' THEN NULL
        WHEN status = 'failed' THEN earlier_hash
        ELSE content_hash
    END,
    status = excluded.status,
    content_hash = excluded.content_hash,
    attempts = excluded.attempts,
    error = excluded.error,
    error_type = excluded.error_type
"""

_SUPERSEDE = """
DELETE FROM dead_letters AS old
WHERE key_id = :key_id AND epoch <= :epoch
  AND record_key IN (SELECT record_key FROM dead_letters WHERE key_id = :key_id AND epoch = :epoch)
  AND id < (
      SELECT max(id) FROM dead_letters AS new
      WHERE new.key_id = :key_id AND new.record_key = old.record_key AND new.epoch <= :epoch
  )
"""

_RESOLUTION = ""
"""The adapter in a row of ``dead_letters`` that marks the record as resolved."""
_DROP_RESOLUTIONS = "DELETE FROM dead_letters WHERE key_id = :key_id AND epoch = :epoch AND adapter = ''"

_DROP_SUCCEEDED = """
DELETE FROM dead_letters
WHERE key_id = :key_id AND epoch <= :epoch AND doc_id IN (
    SELECT doc_id FROM (
        SELECT doc_id, status, max(n) FROM outcomes WHERE key_id = :key_id AND epoch = :epoch GROUP BY doc_id
    ) WHERE status <> 'failed'
)
"""

_READ_AT_ONCE = 2048
_REVISED = f"""
SELECT epoch, n, doc_id, EXISTS (
    SELECT 1 FROM documents AS known
    WHERE known.key_id = outcomes.key_id AND known.doc_id = outcomes.doc_id AND {_KNOWN_AS} IS NOT NULL
)
FROM outcomes WHERE key_id = ? AND epoch <= ? AND (epoch, n) > (?, ?) ORDER BY epoch, n LIMIT ?
"""

_ALL_STATES = f"""
SELECT {_STATE} FROM (
    SELECT {_STATE}, max(at) FROM (
        SELECT {_STATE}, 0 AS at FROM documents WHERE key_id = :key_id
        UNION ALL
        SELECT {_STATE}, epoch * 1000000000 + n AS at FROM outcomes
        WHERE key_id = :key_id AND epoch <= :epoch
    ) GROUP BY doc_id
)
"""


def insert(db: sqlite3.Connection, key: Key, commit: Commit) -> None:
    """Append the states and dead letters of ``commit`` under its epoch.

    A resolved record is appended as a letter too, with the adapter ``""``. When the epoch becomes true, that
    letter supersedes those of its record, and is then deleted.
    """
    for first, part in _parts(commit.states):
        values: list[Any] = []
        for n, state in enumerate(part, first):
            values += (key.key_id, commit.epoch, n)
            values += state_values(state)
        _execute(db, _insert_statement(len(part)), values)
    resolutions = (DeadLetter(None, record, _RESOLUTION, "", "", b"") for record in commit.resolved)
    for letter in (*commit.dead_letters, *resolutions):  # one by one: rare, and as large as their records
        row = dead_letter_row(key.key_id, commit.epoch, letter)
        db.execute(f"INSERT INTO dead_letters VALUES (NULL{', ?' * len(row)})", row)


@cache
def _insert_statement(count: int) -> str:
    return "INSERT INTO outcomes VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * count)


def settle(db: sqlite3.Connection, key: Key, epoch: int) -> int:
    """Replace or resolve older dead letters, because ``epoch`` becomes true; return how many are left."""
    if count := count_dead_letters(db, key.key_id, epoch):
        where = {"key_id": key.key_id, "epoch": epoch}
        for statement in (_SUPERSEDE, _DROP_RESOLUTIONS, _DROP_SUCCEEDED):
            db.execute(statement, where)
        count = count_dead_letters(db, key.key_id, epoch)
    return count


def drop_from(db: sqlite3.Connection, key: Key, epoch: int) -> None:
    """Delete everything that was written under ``epoch`` and later epochs."""
    for table in ("commits", "outcomes", "dead_letters"):
        db.execute(f"DELETE FROM {table} WHERE key_id = ? AND epoch >= ?", (key.key_id, epoch))


def forget(db: sqlite3.Connection, key: Key) -> None:
    """Delete everything of the key except its runs."""
    drop_from(db, key, 0)
    db.execute("DELETE FROM documents WHERE key_id = ?", (key.key_id,))


def merge(db: sqlite3.Connection, key: Key) -> None:
    """Move the outcomes of finished runs into ``documents``, in transactions of bounded size."""
    while True:
        row = db.execute(
            "SELECT epoch FROM outcomes WHERE key_id = ? ORDER BY epoch, n LIMIT 1 OFFSET ?",
            (key.key_id, _MERGED_AT_ONCE),
        ).fetchone()
        last = key.epoch if row is None else row[0]
        with transaction(db):
            db.execute(_MERGE, {"key_id": key.key_id, "last": last})
            db.execute("DELETE FROM outcomes WHERE key_id = ? AND epoch <= ?", (key.key_id, last))
        if row is None:
            break
    # Empty the log: after a kill, the next open checks all of it.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def compare(db: sqlite3.Connection, key: Key, documents: Sequence[tuple[str, str]]) -> list[Standing]:
    """See ``Ledger.compare``."""
    standings: list[Standing] = ["new"] * len(documents)
    for first, part in _parts(documents):
        values: list[Any] = []
        for doc_id, content_hash in part:
            values += (doc_id, pack_hash(content_hash) if content_hash else None)
        values.append(key.key_id)
        for n, same in _execute(db, _compare_statement(len(part)), values):
            standings[first + n] = "unchanged" if same else "changed"
    return standings


@cache
def _compare_statement(count: int) -> str:
    asked = ", ".join(f"({n}, ?, ?)" for n in range(count))
    return (
        f"WITH asked(n, id, hash) AS (VALUES {asked}) "
        f"SELECT n, hash = {_KNOWN} FROM asked CROSS JOIN documents ON key_id = ? AND doc_id = id "
        f"WHERE {_KNOWN} IS NOT NULL"
    )


def revised(db: sqlite3.Connection, key: Key, after: RowPlace) -> tuple[list[str], RowPlace | None]:
    """Return documents of this run that earlier runs know too, and the place behind which to go on."""
    where = (key.key_id, key.epoch, *after, _READ_AT_ONCE)
    found = db.execute(_REVISED, where).fetchall()
    last = (found[-1][0], found[-1][1]) if len(found) == _READ_AT_ONCE else None
    return [doc_id for _, _, doc_id, known in found if known], last


def states(db: sqlite3.Connection, key: Key, doc_ids: Sequence[str]) -> list[DocumentState | None]:
    """Return the latest state of each document, or ``None``. Reads the whole run."""
    found: dict[str, DocumentState] = {}
    for _, part in _parts(doc_ids):
        names = {f"name{n}": clean(doc_id) for n, doc_id in enumerate(part)}
        statement = f"{_ALL_STATES} WHERE doc_id IN ({', '.join(f':{name}' for name in names)})"
        for row in db.execute(statement, {"key_id": key.key_id, "epoch": key.epoch, **names}):
            found[row[0]] = state_of(row)
    return [found.get(clean(doc_id) or "") for doc_id in doc_ids]


def tally(db: sqlite3.Connection, key: Key) -> dict[str, int]:
    """Return how many documents are in each status now. Reads everything."""
    statement = f"SELECT status, count(*) FROM ({_ALL_STATES}) GROUP BY status"
    return dict(db.execute(statement, {"key_id": key.key_id, "epoch": key.epoch}).fetchall())


def dead_letters(db: sqlite3.Connection, key: Key, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Return up to ``limit`` letters behind the row ``after``: id, fields, checksum."""
    return db.execute(
        "SELECT id, record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts,"
        " failed_at, checksum FROM dead_letters"
        " WHERE key_id = ? AND epoch <= ? AND id > ? ORDER BY id LIMIT ?",
        (key.key_id, key.epoch, after, limit),
    ).fetchall()


def drop_letters(db: sqlite3.Connection, key: Key, records: Sequence[str] | None) -> int:
    """Delete the letters of ``records``, or all true ones, and return how many are left."""
    if records is None:
        db.execute("DELETE FROM dead_letters WHERE key_id = ? AND epoch <= ?", (key.key_id, key.epoch))
    else:
        for record in records:
            db.execute(
                "DELETE FROM dead_letters WHERE key_id = ? AND epoch <= ? AND record_key = ?",
                (key.key_id, key.epoch, clean(record)),
            )
    return count_dead_letters(db, key.key_id, key.epoch)


def _parts(items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """Cut ``items`` into slices of 512, 256, … 1; yield where each begins, and the slice."""
    first = 0
    while rest := len(items) - first:
        count = min(_MOST_ROWS, 1 << (rest.bit_length() - 1))
        yield first, items[first : first + count]
        first += count


def _execute(db: sqlite3.Connection, statement: str, values: list[Any]) -> sqlite3.Cursor:
    try:
        return db.execute(statement, values)
    except UnicodeEncodeError:
        return db.execute(statement, [clean(v) if isinstance(v, str) else v for v in values])
