# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""SQLite: a table of documents in one file."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import SinkError, SinkMismatch
from penstock.sinks.databases.rows import DELETED, ORDER, Deleted, Row, Shape, Versions
from penstock.sinks.databases.sink import DatabaseSink
from penstock.sinks.databases.table import Table, check_table_name
from penstock.sinks.databases.urls import file_url, parse_file_url
from penstock.system import DiskStorage, primary_code, reason, sqlite_reason

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["SqliteSink"]

_LEDGER = 0x50454E53
"""The ``application_id`` of a ledger: two programs of one kind, two files."""
_BUSY_SECONDS = 5.0
_CACHE_KIB = 8192
_KEPT_LOG = 16 << 20
_KEPT_STATEMENTS = 8
"""Each keeps the values that were bound to it last."""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteSink(DatabaseSink):
    """Writes documents into a table of the SQLite file ``path``; see ``DatabaseSink``.

    Write-ahead log, ``synchronous=FULL``; the file and the table are created if there are none, the folder
    must exist. A lock on ``<path>.lock`` lets one sink at a time write to the file, whatever the table;
    others may read it at any time. ``metadata`` is JSON text.

    Args:
        path: The file.
        table: The table.
        versions: Whether a newer version of a record replaces the older one, or all are kept.
        deleted: Whether a tombstone marks a row, or deletes it.
        include_raw: Whether to write the raw bytes too, as a BLOB.

    Raises:
        GraphError: the name of the table cannot be one, or a choice is unknown.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        table: str = "documents",
        versions: Versions = "replace",
        deleted: Deleted = "mark",
        include_raw: bool = False,
    ) -> None:
        self._path = Path(path)
        shape = Shape(versions, deleted, include_raw)
        super().__init__(_SqliteTable(self._path, check_table_name(table), shape))

    @classmethod
    def from_url(cls, url: str) -> SqliteSink:
        """Return the sink of ``sqlite:///path.db?table=…&versions=…&deleted=…&raw=true``."""
        path, options = parse_file_url(url)
        return cls(path, **options)

    @property
    def path(self) -> Path:
        """Where the output is."""
        return self._path


class _SqliteTable(Table):
    types: ClassVar[dict[str, str]] = {
        "key": "TEXT COLLATE NOCASE", "deleted": "INTEGER", "raw": "BLOB",
    }  # fmt: skip
    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError, OverflowError)

    def __init__(self, path: Path, table: str, shape: Shape) -> None:
        super().__init__(file_url("sqlite", path, table), table, shape)
        self._path = path
        self._lock = DiskStorage().lock(path)
        self._db: sqlite3.Connection | None = None

    @property
    def db(self) -> sqlite3.Connection:
        """The connection."""
        if self._db is None:
            raise SinkError(f"the output {self.output} is not open; await open(record) first")
        return self._db

    def connect(self) -> None:
        if self._path.is_dir():
            raise SinkError(f"cannot open the output {self.output}: it is a folder; name a file")
        if (holder := self._lock.acquire()) is not None:
            raise SinkError(
                f"the output {self.output} is being written by {holder}; "
                "wait for it or stop it, then run again"
            )
        uri = f"{self._path.absolute().as_uri()}?mode=rwc"
        self._db = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, cached_statements=_KEPT_STATEMENTS
        )
        if self.execute("PRAGMA application_id") == [(_LEDGER,)]:
            raise SinkMismatch(
                f"{self._path} is a ledger, which cannot hold documents too; choose another file"
            )
        if self.execute("PRAGMA journal_mode=WAL") != [("wal",)]:
            raise SinkError(
                f"the file system of {self._path} cannot keep a write-ahead log; "
                "put the output on a local disk"
            )
        self._db.executescript(
            f"PRAGMA synchronous=FULL; PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA journal_size_limit={_KEPT_LOG}"
        )
        if sys.platform == "darwin":
            self.execute("PRAGMA fullfsync=ON")
            self.execute("PRAGMA checkpoint_fullfsync=ON")

    def disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
                if db.in_transaction:
                    db.execute("ROLLBACK")
            with contextlib.suppress(sqlite3.Error):  # on a full disk the log just stays a log
                db.close()
        self._lock.release()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.db.execute(statement, values).fetchall()

    def change(self, statement: str, values: Sequence[Any]) -> int:
        return self.db.execute(statement, values).rowcount

    def begin(self) -> None:
        if not self.db.in_transaction:
            self.db.execute("BEGIN IMMEDIATE")

    def columns(self, table: str) -> list[str]:
        return [name for (name,) in self.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def put(self, rows: Sequence[Row]) -> None:
        # Not IMMEDIATE: what follows locks as well, and this is too short to lose the interpreter's lock in.
        if not self.db.in_transaction:
            self.db.execute("BEGIN")
        if self.shape.deleted == "delete":
            gone = [(row[self.shape.key], row[ORDER]) for row in rows if row[DELETED]]
            rows = [row for row in rows if not row[DELETED]]
            self._many(self._remove, gone)
        self._many(self._upsert, rows)

    def _many(self, statement: Any, rows: Sequence[Row]) -> None:
        """Execute one statement for all rows, filled up with NULLs to a power of two: so few are compiled.

        One, for after each the interpreter's lock has to be had back, beside a busy loop in 5 ms; therefore
        never ``executemany`` either, which gives it up for every single row.
        """
        if rows:
            count = 1 << (len(rows) - 1).bit_length()
            values = list(chain.from_iterable(rows))
            values += [None] * ((count - len(rows)) * len(rows[0]))
            self.db.execute(statement(count), values)

    @cache  # noqa: B019  one table lives as long as its sink
    def _upsert(self, count: int) -> str:
        marks = f"({', '.join('?' * len(self.shape.columns))})"
        rows = f"SELECT * FROM (VALUES {', '.join([marks] * count)}) WHERE column1 IS NOT NULL"
        return f"{self.insert}{rows}{self.upsert}"

    @cache  # noqa: B019  the same
    def _remove(self, count: int) -> str:
        key, order = (self.quoted(self.shape.columns[at]) for at in (self.shape.key, ORDER))
        return (
            f"WITH gone(k, o) AS (VALUES {', '.join(['(?, ?)'] * count)})"
            f" DELETE FROM {self.target} WHERE {key} IN"
            f" (SELECT k FROM gone CROSS JOIN {self.target} ON {key} = k WHERE o >= {order})"
        )

    def reason(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return reason(error)
        if not isinstance(error, sqlite3.Error):
            return f"{error}"
        primary = primary_code(error)
        if primary in _BUSY:
            return f"it is locked by another program ({error}); close that, then run again"
        if primary == sqlite3.SQLITE_NOTADB:
            return "it is not a SQLite database, or its first page is damaged; choose another file"
        if primary == sqlite3.SQLITE_CANTOPEN and not self._path.parent.is_dir():
            return f"its folder {self._path.parent} does not exist; create it first"
        return sqlite_reason(self._path, error)
