# ruff: noqa: S608 - statements are put together from constants only; every value is bound
"""The tables of a SQLite ledger: documents and outcomes, written many rows at a time.

Statements have 512, 256, … 1 rows of ``VALUES``, so that SQLite compiles few of them. ``executemany`` would
take the interpreter's lock again for each row. (``json_each`` costs about the same, but cannot store bytes,
and cuts text at a NUL.)
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.abc import DeadLetter
from penstock.ledger.records import clean, dead_letter_row, pack_hash, state_of, state_values
from penstock.ledger.sqlite.connection import transaction
from penstock.ledger.sqlite.schema import IS_DEADLY
from penstock.ledger.tables import Tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from penstock.abc import Commit, DocumentState, Standing
    from penstock.ledger.keys import Key
    from penstock.ledger.records import Corrupt
    from penstock.ledger.tables import RowPlace
    from penstock.system import Holder

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
DELETE FROM dead_letters AS old         -- "+": look up the records, do not read all letters
WHERE key_id = :key_id AND +epoch <= :epoch
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
DELETE FROM dead_letters                -- as above
WHERE key_id = :key_id AND +epoch <= :epoch AND doc_id IN (
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


class SqliteTables(Tables):
    """The tables in the file of a connection."""

    is_deadly = IS_DEADLY

    def __init__(self, db: sqlite3.Connection, corrupt: Corrupt, holder: Holder | None = None) -> None:
        super().__init__(corrupt)
        self.db = db
        self._holder = holder

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Execute a statement; see ``Tables.execute``."""
        try:
            return self.db.execute(statement, values)
        except UnicodeEncodeError:
            return self.db.execute(statement, [clean(v) if isinstance(v, str) else v for v in values])

    def commit_identity(self, key: Key) -> str:
        """See ``Tables.commit_identity``."""
        return key.name

    def holder(self, key: Key) -> Holder | None:  # noqa: ARG002  one process holds all keys of a file
        """See ``Tables.holder``."""
        return self._holder

    # -- writing

    def insert(self, key: Key, commit: Commit) -> None:
        """Append the states and dead letters of ``commit`` under its epoch.

        A resolved record is appended as a letter too, with the adapter ``""``. When the epoch is confirmed,
        that letter supersedes those of its record, and is then deleted.
        """
        for first, part in _parts(commit.states):
            values: list[Any] = []
            for n, state in enumerate(part, first):
                values += (key.key_id, commit.epoch, n)
                values += state_values(state)
            self.execute(_insert_statement(len(part)), *values)
        resolutions = (DeadLetter(None, record, _RESOLUTION, "", "", b"") for record in commit.resolved)
        for letter in (*commit.dead_letters, *resolutions):  # one by one: rare, and as large as their records
            row = dead_letter_row(key.key_id, commit.epoch, letter)
            self.execute(f"INSERT INTO dead_letters VALUES (NULL{', ?' * len(row)})", *row)

    def settle(self, key: Key, epoch: int) -> int:
        """Replace or resolve older dead letters, because ``epoch`` is confirmed; return how many are left."""
        if count := self.count_dead_letters(key.key_id, epoch):
            where = {"key_id": key.key_id, "epoch": epoch}
            for statement in (_SUPERSEDE, _DROP_RESOLUTIONS, _DROP_SUCCEEDED):
                self.db.execute(statement, where)
            count = self.count_dead_letters(key.key_id, epoch)
        return count

    def merge(self, key: Key) -> None:
        """Move the outcomes of finished runs into ``documents``, in transactions of bounded size."""
        while True:
            row = self.execute(
                "SELECT epoch FROM outcomes WHERE key_id = ? ORDER BY epoch, n LIMIT 1 OFFSET ?",
                key.key_id,
                _MERGED_AT_ONCE,
            ).fetchone()
            last = key.epoch if row is None else row[0]
            with transaction(self.db):
                self.db.execute(_MERGE, {"key_id": key.key_id, "last": last})
                self.execute("DELETE FROM outcomes WHERE key_id = ? AND epoch <= ?", key.key_id, last)
            if row is None:
                break
        # Empty the log: after a kill, the next open checks all of it.
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- reading

    def compare(self, key: Key, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        standings: list[Standing] = ["new"] * len(documents)
        for first, part in _parts(documents):
            values: list[Any] = []
            for doc_id, content_hash in part:
                values += (doc_id, pack_hash(content_hash) if content_hash else None)
            for n, same in self.execute(_compare_statement(len(part)), *values, key.key_id):
                standings[first + n] = "unchanged" if same else "changed"
        return standings

    def revised(self, key: Key, after: RowPlace) -> tuple[list[str], RowPlace | None]:
        """See ``Tables.revised``."""
        found = self.execute(_REVISED, key.key_id, key.epoch, *after, _READ_AT_ONCE).fetchall()
        last = (found[-1][0], found[-1][1]) if len(found) == _READ_AT_ONCE else None
        return [doc_id for _, _, doc_id, known in found if known], last

    def states(self, key: Key, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``Tables.states``."""
        found: dict[str, DocumentState] = {}
        for _, part in _parts(doc_ids):
            names = {f"name{n}": clean(doc_id) for n, doc_id in enumerate(part)}
            statement = f"{_ALL_STATES} WHERE doc_id IN ({', '.join(f':{name}' for name in names)})"
            for row in self.db.execute(statement, {"key_id": key.key_id, "epoch": key.epoch, **names}):
                found[row[0]] = state_of(row)
        return [found.get(clean(doc_id) or "") for doc_id in doc_ids]

    def tally(self, key: Key) -> dict[str, int]:
        """See ``Tables.tally``."""
        statement = f"SELECT status, count(*) FROM ({_ALL_STATES}) GROUP BY status"
        return dict(self.db.execute(statement, {"key_id": key.key_id, "epoch": key.epoch}).fetchall())


@cache
def _insert_statement(count: int) -> str:
    return "INSERT INTO outcomes VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * count)


@cache
def _compare_statement(count: int) -> str:
    asked = ", ".join(f"({n}, ?, ?)" for n in range(count))
    return (
        f"WITH asked(n, id, hash) AS (VALUES {asked}) "
        f"SELECT n, hash = {_KNOWN} FROM asked CROSS JOIN documents ON key_id = ? AND doc_id = id "
        f"WHERE {_KNOWN} IS NOT NULL"
    )


def _parts(items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """Cut ``items`` into slices of 512, 256, … 1; yield where each begins, and the slice."""
    first = 0
    while rest := len(items) - first:
        count = min(_MOST_ROWS, 1 << (rest.bit_length() - 1))
        yield first, items[first : first + count]
        first += count
