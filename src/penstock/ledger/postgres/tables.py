"""The tables of a PostgreSQL ledger: documents and outcomes, written many rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from penstock.abc import DeadLetter, DocumentState
from penstock.ledger.postgres.lease import holder_in
from penstock.ledger.postgres.schema import IS_DEADLY
from penstock.ledger.postgres.text import array, escape, hashes, short, shortened, unescape, unpack
from penstock.ledger.records import dead_letter_row
from penstock.ledger.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from penstock.abc import Commit, Standing
    from penstock.ledger.keys import Key
    from penstock.ledger.records import Corrupt
    from penstock.ledger.tables import RowPlace
    from penstock.system import Holder

    Database = psycopg.Connection[Any]

_MERGED_AT_ONCE = 500_000
"""Documents in one transaction, so that it takes no more than a few seconds."""

_INSERT_LETTER = """
INSERT INTO dead_letters (
    key_id, epoch, record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts,
    failed_at, checksum, record, document, resolves
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_SUPERSEDE = """
WITH new AS MATERIALIZED (
    SELECT record, max(id) AS last FROM dead_letters
    WHERE key_id = %(key_id)s AND epoch = %(epoch)s GROUP BY record
)
DELETE FROM dead_letters WHERE id IN (
    SELECT superseded.id FROM new CROSS JOIN LATERAL (
        SELECT id FROM dead_letters AS old
        WHERE key_id = %(key_id)s AND old.record = new.record AND epoch <= %(epoch)s AND id < new.last
        OFFSET 0  -- one look-up per record: without statistics all letters would be compared with all
    ) AS superseded
)
"""

_DROP_RESOLUTIONS = "DELETE FROM dead_letters WHERE key_id = %(key_id)s AND epoch = %(epoch)s AND resolves"

_OUTCOMES_BY_EPOCH = """
SELECT epoch, n, doc_id, coalesce(status, 'completed') AS status, content_hash,
    coalesce(attempts, 1) AS attempts, error, error_type
FROM outcomes,
    unnest(doc_ids, content_hashes, statuses, tries, errors, error_types) WITH ORDINALITY
    AS each(doc_id, content_hash, status, attempts, error, error_type, n)
WHERE key_id = %(key_id)s AND epoch
"""

_DROP_SUCCEEDED = f"""
DELETE FROM dead_letters
WHERE key_id = %(key_id)s AND epoch <= %(epoch)s AND document IN (
    SELECT doc_id FROM (
        SELECT DISTINCT ON (doc_id) doc_id, status FROM ({_OUTCOMES_BY_EPOCH} = %(epoch)s) AS outcome
        WHERE doc_id IN (
            SELECT document FROM dead_letters
            WHERE key_id = %(key_id)s AND epoch <= %(epoch)s
        ) ORDER BY doc_id, n DESC
    ) AS final WHERE status <> 'failed'
)
"""  # noqa: S608  constants of this module

_MERGED_UP_TO = """
SELECT max(epoch) FROM (
    SELECT epoch, sum(size) OVER (ORDER BY epoch) - size AS before
    FROM outcomes WHERE key_id = %(key_id)s AND epoch <= %(epoch)s
) AS summed WHERE before < %(most)s
"""

_MERGE = f"""
WITH outcome AS MATERIALIZED ({_OUTCOMES_BY_EPOCH} <= %(epoch)s)
INSERT INTO documents AS known
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
    FROM documents WHERE key_id = %s AND doc_id = id
    LIMIT 1  -- one look-up per document: without statistics the whole table would be read
) AS found WHERE known IS NOT NULL
"""

_REVISED = """
SELECT epoch, ARRAY(
    SELECT id FROM unnest(run.doc_ids) WITH ORDINALITY AS each(id, n)
    CROSS JOIN LATERAL (
        SELECT CASE status WHEN 'failed' THEN earlier_hash ELSE content_hash END AS hash
        FROM documents WHERE key_id = run.key_id AND doc_id = id
        LIMIT 1  -- as above
    ) AS known WHERE hash IS NOT NULL ORDER BY n
)
FROM outcomes AS run WHERE key_id = %s AND epoch <= %s AND epoch > %s ORDER BY epoch LIMIT 1
"""

_LATEST = f"""
SELECT DISTINCT ON (doc_id) doc_id, status, content_hash, attempts, error, error_type FROM (
    SELECT doc_id, status, content_hash, attempts, error, error_type, 0 AS epoch, 0 AS n
    FROM documents WHERE key_id = %(key_id)s
    UNION ALL
    SELECT doc_id, status, content_hash, attempts, error, error_type, epoch, n
    FROM ({_OUTCOMES_BY_EPOCH} <= %(epoch)s) AS outcome
) AS stated {{where}} ORDER BY doc_id, epoch DESC, n DESC
"""  # noqa: S608  constants of this module
_STATES = _LATEST.format(where="WHERE doc_id = ANY(%(ids)s)")
_TALLY = f"SELECT status, count(*) FROM ({_LATEST.format(where='')}) AS latest GROUP BY status"  # noqa: S608  constants of this module


class PostgresTables(Tables):
    """The tables in the database of a connection, whose search path is their schema."""

    record_column = "record"
    is_deadly = IS_DEADLY

    def __init__(self, db: Database, corrupt: Corrupt) -> None:
        super().__init__(corrupt)
        self.db = db

    def execute(self, statement: LiteralString, *values: Any) -> psycopg.Cursor[Any]:
        """Execute a statement; see ``Tables.execute``."""
        return self.db.execute(statement.replace("?", "%s"), values)

    def stored(self, text: str) -> str:
        """See ``Tables.stored``."""
        return short(text)

    def restored(self, row: Sequence[Any]) -> Sequence[Any]:
        """See ``Tables.restored``."""
        return [unescape(value) if isinstance(value, str) else value for value in row]

    def commit_identity(self, key: Key) -> int:
        """See ``Tables.commit_identity``."""
        return key.key_id

    def holder(self, key: Key) -> Holder | None:
        """See ``Tables.holder``."""
        return holder_in(self.db, key.key_id)

    # -- writing

    def insert_letters(self, key: Key, commit: Commit) -> None:
        """Append the dead letters of ``commit`` under its epoch.

        A resolved record is appended as a letter too, marked ``resolves``. When the epoch is confirmed, that
        letter supersedes those of its record, and is then deleted.
        """
        letters = [_letter(key, commit.epoch, letter) for letter in commit.dead_letters]
        letters += [
            _letter(key, commit.epoch, DeadLetter(None, record, "", "", "", b""), resolves=True)
            for record in commit.resolved
        ]
        for letter in letters:  # one by one: rare, and as large as their records
            self.db.execute(_INSERT_LETTER, letter)

    def settle(self, key: Key, epoch: int, *, letters: bool) -> None:
        """Replace or resolve older dead letters, because ``epoch`` is confirmed.

        ``letters`` says that the epoch itself may hold dead letters.
        """
        for statement in (_SUPERSEDE, _DROP_RESOLUTIONS, _DROP_SUCCEEDED) if letters else (_DROP_SUCCEEDED,):
            self.db.execute(statement, {"key_id": key.key_id, "epoch": epoch})

    def merge(self, key: Key) -> bool:
        """Move the oldest outcomes of a finished run into ``documents``; return whether any were left."""
        where = {"key_id": key.key_id, "epoch": key.epoch, "most": _MERGED_AT_ONCE}
        row = self.db.execute(_MERGED_UP_TO, where).fetchone()
        if row is None or row[0] is None:
            return False
        where["epoch"] = row[0]
        self.execute("SET LOCAL work_mem = '64MB'")
        self.db.execute(_MERGE, where)
        self.execute("DELETE FROM outcomes WHERE key_id = ? AND epoch <= ?", key.key_id, row[0])
        return True

    # -- reading

    def compare(self, key: Key, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        standings: list[Standing] = ["new"] * len(documents)
        if documents:
            ids = array(shortened([doc_id for doc_id, _ in documents]))
            asked = hashes([content_hash or None for _, content_hash in documents])
            for n, same in self.db.execute(_COMPARE, (ids, asked, key.key_id)):
                standings[n - 1] = "unchanged" if same else "changed"
        return standings

    def revised(self, key: Key, after: RowPlace) -> tuple[list[str], RowPlace | None]:
        """See ``Tables.revised``.

        An id that was too long to be stored whole is returned shortened, so it matches no document.
        """
        row = self.db.execute(_REVISED, (key.key_id, key.epoch, after[0])).fetchone()
        return ([], None) if row is None else ([unescape(doc_id) or "" for doc_id in row[1]], (row[0], 0))

    def states(self, key: Key, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``Tables.states``."""
        names = [short(doc_id) for doc_id in doc_ids]
        where = {"key_id": key.key_id, "epoch": key.epoch, "ids": names}
        found = {row[0]: row for row in self.db.execute(_STATES, where)}
        return [
            _state(doc_id, found[name]) if name in found else None
            for doc_id, name in zip(doc_ids, names, strict=True)
        ]

    def tally(self, key: Key) -> dict[str, int]:
        """See ``Tables.tally``."""
        return dict(self.db.execute(_TALLY, {"key_id": key.key_id, "epoch": key.epoch}).fetchall())


def _letter(key: Key, epoch: int, letter: DeadLetter, *, resolves: bool = False) -> tuple[Any, ...]:
    row = (escape(v) if isinstance(v, str) else v for v in dead_letter_row(key.key_id, epoch, letter))
    document = None if letter.doc_id is None else short(letter.doc_id)
    return (*row, short(letter.key), document, resolves)


def _state(doc_id: str, row: Sequence[Any]) -> DocumentState:
    _, status, content_hash, attempts, error, error_type = row
    return DocumentState(
        doc_id, status, unpack(content_hash), attempts, unescape(error), unescape(error_type)
    )
