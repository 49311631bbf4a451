"""Read and write the documents and dead letters of a PostgreSQL ledger, many rows at a time.

The caller of a function that writes has begun a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.abc import DeadLetter, DocumentState
from penstock.ledger.postgres.text import array, hash_of, hashes, hold, release, short, shortened
from penstock.ledger.records import dead_letter_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from penstock.abc import Commit, Standing
    from penstock.ledger.keys import Key
    from penstock.ledger.store import RowPlace

    Database = psycopg.Connection[Any]

__all__ = [
    "compare",
    "count_dead_letters",
    "dead_letters",
    "drop_from",
    "drop_letters",
    "forget",
    "insert_letters",
    "last_letters",
    "merge",
    "outcomes_of",
    "revised",
    "settle",
    "states",
    "tally",
]

_MERGED_AT_ONCE = 500_000
"""Documents in one transaction, so that it takes no more than a few seconds."""

_INSERT_LETTER = """
INSERT INTO penstock_ledger.dead_letters (
    key_id, epoch, record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts,
    failed_at, checksum, record, document, resolves
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_SUPERSEDE = """
WITH new AS MATERIALIZED (
    SELECT record, max(id) AS last FROM penstock_ledger.dead_letters
    WHERE key_id = %(key_id)s AND epoch = %(epoch)s GROUP BY record
)
DELETE FROM penstock_ledger.dead_letters WHERE id IN (
    SELECT superseded.id FROM new CROSS JOIN LATERAL (
        SELECT id FROM penstock_ledger.dead_letters AS old
        WHERE key_id = %(key_id)s AND old.record = new.record AND epoch <= %(epoch)s AND id < new.last
        OFFSET 0  -- one look-up per record: without statistics all letters would be compared with all
    ) AS superseded
)
"""

_DROP_RESOLUTIONS = (
    "DELETE FROM penstock_ledger.dead_letters WHERE key_id = %(key_id)s AND epoch = %(epoch)s AND resolves"
)

_OUTCOMES_BY_EPOCH = """
SELECT epoch, n, doc_id, coalesce(status, 'completed') AS status, content_hash,
    coalesce(attempts, 1) AS attempts, error, error_type
FROM penstock_ledger.outcomes,
    unnest(doc_ids, content_hashes, statuses, tries, errors, error_types) WITH ORDINALITY
    AS each(doc_id, content_hash, status, attempts, error, error_type, n)
WHERE key_id = %(key_id)s AND epoch
"""

_DROP_SUCCEEDED = f"""
DELETE FROM penstock_ledger.dead_letters
WHERE key_id = %(key_id)s AND epoch <= %(epoch)s AND document IN (
    SELECT doc_id FROM (
        SELECT DISTINCT ON (doc_id) doc_id, status FROM ({_OUTCOMES_BY_EPOCH} = %(epoch)s) AS outcome
        WHERE doc_id IN (
            SELECT document FROM penstock_ledger.dead_letters
            WHERE key_id = %(key_id)s AND epoch <= %(epoch)s
        ) ORDER BY doc_id, n DESC
    ) AS final WHERE status <> 'failed'
)
"""  # noqa: S608  constants of this module

_MERGED_UP_TO = """
SELECT max(epoch) FROM (
    SELECT epoch, sum(size) OVER (ORDER BY epoch) - size AS before
    FROM penstock_ledger.outcomes WHERE key_id = %(key_id)s AND epoch <= %(epoch)s
) AS summed WHERE before < %(most)s
"""

_MERGE = f"""
WITH outcome AS MATERIALIZED ({_OUTCOMES_BY_EPOCH} <= %(epoch)s)
INSERT INTO penstock_ledger.documents AS known
    (key_id, doc_id, epoch, status, content_hash, earlier_hash, attempts, error, error_type)
SELECT %(key_id)s, doc_id, epoch, status, final.content_hash,
    CASE status WHEN 'failed' THEN settled.content_hash END, attempts, error, error_type
FROM (
    SELECT DISTINCT ON (doc_id) * FROM outcome ORDER BY doc_id, epoch DESC, n DESC
) AS final
LEFT JOIN (
    SELECT DISTINCT ON (doc_id) doc_id, content_hash FROM outcome
    WHERE status <> 'failed' AND doc_id IN (SELECT doc_id FROM outcome WHERE status = 'failed')
    ORDER BY doc_id, epoch DESC, n DESC
) AS settled USING (doc_id)
ON CONFLICT (key_id, doc_id) DO UPDATE SET
    epoch = excluded.epoch,
    earlier_hash = CASE
        WHEN excluded.status <> 'failed' THEN NULL
        WHEN excluded.earlier_hash IS NOT NULL THEN excluded.earlier_hash
        WHEN known.status = 'failed' THEN known.earlier_hash
        ELSE known.content_hash
    END,
    status = excluded.status,
    content_hash = excluded.content_hash,
    attempts = excluded.attempts,
    error = excluded.error,
    error_type = excluded.error_type
"""  # noqa: S608  constants of this module

_COMPARE = """
SELECT n, hash IS NOT NULL AND hash = known
FROM unnest(%s::text[], %s::bytea[]) WITH ORDINALITY AS asked(id, hash, n)
CROSS JOIN LATERAL (
    SELECT CASE status WHEN 'failed' THEN earlier_hash ELSE content_hash END AS known
    FROM penstock_ledger.documents WHERE key_id = %s AND doc_id = id
    LIMIT 1  -- one look-up per document: without statistics the whole table would be read
) AS found WHERE known IS NOT NULL
"""

_REVISED = """
SELECT epoch, ARRAY(
    SELECT id FROM unnest(run.doc_ids) WITH ORDINALITY AS each(id, n)
    CROSS JOIN LATERAL (
        SELECT CASE status WHEN 'failed' THEN earlier_hash ELSE content_hash END AS hash
        FROM penstock_ledger.documents WHERE key_id = run.key_id AND doc_id = id
        LIMIT 1  -- as above
    ) AS known WHERE hash IS NOT NULL ORDER BY n
)
FROM penstock_ledger.outcomes AS run WHERE key_id = %s AND epoch <= %s AND epoch > %s ORDER BY epoch LIMIT 1
"""

_LATEST = f"""
SELECT DISTINCT ON (doc_id) doc_id, status, content_hash, attempts, error, error_type FROM (
    SELECT doc_id, status, content_hash, attempts, error, error_type, 0 AS epoch, 0 AS n
    FROM penstock_ledger.documents WHERE key_id = %(key_id)s
    UNION ALL
    SELECT doc_id, status, content_hash, attempts, error, error_type, epoch, n
    FROM ({_OUTCOMES_BY_EPOCH} <= %(epoch)s) AS outcome
) AS stated {{where}} ORDER BY doc_id, epoch DESC, n DESC
"""  # noqa: S608  constants of this module
_STATES = _LATEST.format(where="WHERE doc_id = ANY(%(ids)s)")
_TALLY = f"SELECT status, count(*) FROM ({_LATEST.format(where='')}) AS latest GROUP BY status"  # noqa: S608  constants of this module

_LETTERS = """
SELECT id, record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts, failed_at,
    checksum
FROM penstock_ledger.dead_letters WHERE key_id = %s AND epoch <= %s AND id > %s ORDER BY id LIMIT %s
"""

_LAST_LETTERS = """
SELECT record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts, failed_at, checksum
FROM penstock_ledger.dead_letters
WHERE key_id = %s AND epoch <= %s AND record = coalesce(%s, record) ORDER BY id DESC LIMIT %s
"""

_DROP = (
    "DELETE FROM penstock_ledger.commits WHERE key_id = %s AND epoch >= %s",
    "DELETE FROM penstock_ledger.outcomes WHERE key_id = %s AND epoch >= %s",
    "DELETE FROM penstock_ledger.dead_letters WHERE key_id = %s AND epoch >= %s",
)


def outcomes_of(states: Sequence[DocumentState]) -> dict[str, Any]:
    """Return the columns of the row of ``outcomes`` for ``states``; a column of usual values is ``None``."""
    return {
        "size": len(states),
        "doc_ids": array(shortened([state.doc_id for state in states])),
        "content_hashes": hashes([state.content_hash for state in states]),
        "statuses": _unless("completed", [state.status for state in states]),
        "tries": _unless("1", [str(state.attempts) for state in states]),
        "errors": _unless(None, [state.error for state in states]),
        "error_types": _unless(None, [state.error_type for state in states]),
    }


def _unless(usual: str | None, column: Sequence[str | None]) -> str | None:
    """Return ``column`` as an array, or ``None`` if it holds nothing but ``usual``."""
    return None if column.count(usual) == len(column) else array([hold(text) for text in column])


def insert_letters(db: Database, key: Key, commit: Commit) -> None:
    """Append the dead letters of ``commit`` under its epoch.

    A resolved record is appended as a letter too, marked ``resolves``. When the epoch becomes true, that
    letter supersedes those of its record, and is then deleted.
    """
    letters = [_letter(key, commit.epoch, letter) for letter in commit.dead_letters]
    letters += [
        _letter(key, commit.epoch, DeadLetter(None, name, "", "", "", b""), resolves=True)
        for name in commit.resolved
    ]
    for letter in letters:  # one by one: rare, and as large as their records
        db.execute(_INSERT_LETTER, letter)


def drop_letters(db: Database, key: Key, records: Sequence[str] | None) -> int:
    """Delete the letters of ``records``, or all true ones, and return how many are left."""
    db.execute(
        "DELETE FROM penstock_ledger.dead_letters WHERE key_id = %s AND epoch <= %s"
        " AND (%s OR record = ANY(%s::text[]))",
        (key.key_id, key.epoch, records is None, [short(record) for record in records or ()]),
    )
    return count_dead_letters(db, key.key_id, key.epoch)


def last_letters(db: Database, key: Key, latest: int, record: str | None) -> list[tuple[Any, ...]]:
    """Return the ``latest`` letters, oldest first: fields, checksum."""
    wanted = None if record is None else short(record)
    rows = db.execute(_LAST_LETTERS, (key.key_id, key.epoch, wanted, latest)).fetchall()
    return [_released(row) for row in reversed(rows)]


def _letter(key: Key, epoch: int, letter: DeadLetter, *, resolves: bool = False) -> tuple[Any, ...]:
    row = (hold(v) if isinstance(v, str) else v for v in dead_letter_row(key.key_id, epoch, letter))
    document = None if letter.doc_id is None else short(letter.doc_id)
    return (*row, short(letter.key), document, resolves)


def count_dead_letters(db: Database, key_id: int, epoch: int) -> int:
    """Return how many unresolved dead letters there are up to ``epoch``."""
    row = db.execute(
        "SELECT count(*) FROM penstock_ledger.dead_letters WHERE key_id = %s AND epoch <= %s", (key_id, epoch)
    ).fetchone()
    return int(row[0]) if row else 0


def settle(db: Database, key: Key, epoch: int, *, letters: bool) -> None:
    """Replace or resolve older dead letters, because ``epoch`` becomes true.

    ``letters`` says that the epoch itself may hold dead letters.
    """
    for statement in (_SUPERSEDE, _DROP_RESOLUTIONS, _DROP_SUCCEEDED) if letters else (_DROP_SUCCEEDED,):
        db.execute(statement, {"key_id": key.key_id, "epoch": epoch})


def drop_from(db: Database, key: Key, epoch: int) -> None:
    """Delete everything that was written under ``epoch`` and later epochs."""
    for statement in _DROP:
        db.execute(statement, (key.key_id, epoch))


def forget(db: Database, key: Key) -> None:
    """Delete everything of the key except its runs."""
    drop_from(db, key, 0)
    db.execute("DELETE FROM penstock_ledger.documents WHERE key_id = %s", (key.key_id,))


def merge(db: Database, key: Key) -> bool:
    """Move outcomes of a finished run, oldest first, into ``documents``; return whether there were any."""
    where = {"key_id": key.key_id, "epoch": key.epoch, "most": _MERGED_AT_ONCE}
    row = db.execute(_MERGED_UP_TO, where).fetchone()
    if row is None or row[0] is None:
        return False
    where["epoch"] = row[0]
    db.execute("SET LOCAL work_mem = '64MB'")
    db.execute(_MERGE, where)
    db.execute("DELETE FROM penstock_ledger.outcomes WHERE key_id = %(key_id)s AND epoch <= %(epoch)s", where)
    return True


def compare(db: Database, key: Key, documents: Sequence[tuple[str, str]]) -> list[Standing]:
    """See ``Ledger.compare``."""
    standings: list[Standing] = ["new"] * len(documents)
    if documents:
        ids = array(shortened([doc_id for doc_id, _ in documents]))
        asked = hashes([content_hash or None for _, content_hash in documents])
        for n, same in db.execute(_COMPARE, (ids, asked, key.key_id)):
            standings[n - 1] = "unchanged" if same else "changed"
    return standings


def revised(db: Database, key: Key, after: RowPlace) -> tuple[list[str], RowPlace | None]:
    """Return documents of this run that earlier runs know too, and the place behind which to go on.

    An id that was too long to be stored whole is returned shortened, so it matches no document.
    """
    row = db.execute(_REVISED, (key.key_id, key.epoch, after[0])).fetchone()
    return ([], None) if row is None else ([release(doc_id) or "" for doc_id in row[1]], (row[0], 0))


def states(db: Database, key: Key, doc_ids: Sequence[str]) -> list[DocumentState | None]:
    """Return the latest state of each document, or ``None``. Reads the whole run."""
    names = [short(doc_id) for doc_id in doc_ids]
    where = {"key_id": key.key_id, "epoch": key.epoch, "ids": names}
    found = {row[0]: row for row in db.execute(_STATES, where)}
    return [
        _state(doc_id, found[name]) if name in found else None
        for doc_id, name in zip(doc_ids, names, strict=True)
    ]


def _state(doc_id: str, row: Sequence[Any]) -> DocumentState:
    _, status, content_hash, attempts, error, error_type = row
    return DocumentState(doc_id, status, hash_of(content_hash), attempts, release(error), release(error_type))


def tally(db: Database, key: Key) -> dict[str, int]:
    """Return how many documents are in each status now. Reads everything."""
    return dict(db.execute(_TALLY, {"key_id": key.key_id, "epoch": key.epoch}).fetchall())


def dead_letters(db: Database, key: Key, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Return up to ``limit`` letters behind the row ``after``: id, fields, checksum."""
    rows = db.execute(_LETTERS, (key.key_id, key.epoch, after, limit)).fetchall()
    return [_released(row) for row in rows]


def _released(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(release(value) if isinstance(value, str) else value for value in row)
