# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""SQLite: a table of documents in one file."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.columns import Scalar
from penstock.errors import SinkError, SinkMismatch
from penstock.sinks.databases.file import FileDatabaseSink, FileTable
from penstock.sinks.databases.rows import DELETED, ORDER, Row
from penstock.system import Watch, empty_log, primary_code, save, sqlite_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from penstock.columns import Column

_LEDGER_ID = 0x50454E53
"""The ``application_id`` of a ledger. A ledger and an output need two files."""
_BUSY_SECONDS = 5.0
_CACHE_KIB = 8192
_MAX_VALUES = 32_766
"""Values that a statement can bind, at most."""
_MAX_WAL_BYTES = 16 << 20
_CACHED_STATEMENTS = 8
"""Few, because each keeps the values that were bound to it last."""
_PAGE_BYTES = 512  # the smallest page
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class _SqliteTable(FileTable):
    scheme = "sqlite"
    types: ClassVar[dict[str, str]] = {
        "key": "TEXT COLLATE NOCASE", "int": "INTEGER", "float": "REAL", "bool": "INTEGER", "bytes": "BLOB",
    }  # fmt: skip
    errors = (sqlite3.Error, OSError, OverflowError)

    @property
    def max_rows(self) -> int:
        # A power of two: see _execute_for.
        fitting = _MAX_VALUES // len(self.options.columns)
        return min(self.group_rows, 1 << (fitting.bit_length() - 1))

    def index_statement(self, column: Column) -> str:
        if not isinstance(column.type, Scalar):
            return ""
        name = self.quoted(f"{self.table}.{column.name}")
        return f"CREATE INDEX {name} ON {self.target} ({self.quoted(column.name)})"

    def connect(self) -> None:
        uri = f"{self.path.absolute().as_uri()}?mode=rwc"
        self.db = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, cached_statements=_CACHED_STATEMENTS
        )
        if self.execute("PRAGMA application_id") == [(_LEDGER_ID,)]:
            raise SinkMismatch(f"{self.path} is a ledger, which cannot hold documents; choose another file")
        if self.execute("PRAGMA journal_mode=WAL") != [("wal",)]:
            raise SinkError(
                f"the file system of {self.path} cannot keep a write-ahead log; "
                "put the output on a local disk"
            )
        self.db.executescript(
            f"PRAGMA synchronous=FULL; PRAGMA cache_size=-{_CACHE_KIB};"
            f" PRAGMA journal_size_limit={_MAX_WAL_BYTES}"
        )
        if sys.platform == "darwin":
            self.execute("PRAGMA fullfsync=ON")
            self.execute("PRAGMA checkpoint_fullfsync=ON")

    def watch(self) -> Watch:
        [(shrinks,)] = self.execute("PRAGMA auto_vacuum")
        return Watch(self.path, beside="-wal", least=_PAGE_BYTES, may_shrink=bool(shrinks))

    def empty_log(self) -> bool:
        self.db.rollback()
        return empty_log(self.db)

    def keep(self, path: Path) -> None:
        save(self.db, path)

    def _discard(self) -> None:
        if self.db is not None:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
                self.db.rollback()
        super()._discard()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.db.execute(statement, values).fetchall()
        return rows

    def update(self, statement: str, values: Sequence[Any]) -> int:
        return int(self.db.execute(statement, values).rowcount)

    def begin(self) -> None:
        if not self.db.in_transaction:
            self.db.execute("BEGIN IMMEDIATE")

    def columns(self, table: str) -> list[str]:
        return [name for (name,) in self.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def insert(self, rows: Sequence[Row]) -> None:
        # Not IMMEDIATE: the insert takes the lock too, and this way one statement fewer gives up the GIL.
        if not self.db.in_transaction:
            self.db.execute("BEGIN")
        if self.options.deleted == "delete":
            deleted = [(row[self.options.key], row[ORDER]) for row in rows if row[DELETED]]
            rows = [row for row in rows if not row[DELETED]]
            self._execute_for(deleted, self._delete_statement)
        self._execute_for(rows, self._upsert_statement)

    def _execute_for(self, rows: Sequence[Row], statement: Any) -> None:
        """Execute one statement for all rows.

        The thread loses the GIL with each statement and waits up to 5 ms for it beside a busy event loop.
        ``executemany`` loses it for each row. The number of rows is filled up with NULLs to a power of two,
        so that SQLite compiles few statements.
        """
        if rows:
            count = 1 << (len(rows) - 1).bit_length()
            values = list(chain.from_iterable(rows))
            values += [None] * ((count - len(rows)) * len(rows[0]))
            self.db.execute(statement(count), values)

    @cached_property
    def _upsert_statement(self) -> Callable[[int], str]:
        return cache(self._make_upsert_statement)  # of this table alone: a cached method would keep it alive

    def _make_upsert_statement(self, count: int) -> str:
        marks = f"({', '.join('?' * len(self.options.columns))})"
        rows = f"SELECT * FROM (VALUES {', '.join([marks] * count)}) WHERE column1 IS NOT NULL"
        return f"{self.insert_clause}{rows}{self.upsert_clause}"

    @cached_property
    def _delete_statement(self) -> Callable[[int], str]:
        return cache(self._make_delete_statement)

    def _make_delete_statement(self, count: int) -> str:
        key, order = (self.quoted(self.options.names[at]) for at in (self.options.key, ORDER))
        return (
            f"WITH gone(k, o) AS (VALUES {', '.join(['(?, ?)'] * count)})"
            f" DELETE FROM {self.target} WHERE {key} IN"
            f" (SELECT k FROM gone CROSS JOIN {self.target} ON {key} = k WHERE o >= {order})"
        )

    def reason(self, error: Exception) -> str:
        if not isinstance(error, sqlite3.Error):
            return super().reason(error)
        primary = primary_code(error)
        if primary in _BUSY:
            return f"it is locked by another program ({error}); close that, then run again"
        if primary == sqlite3.SQLITE_NOTADB:
            return "it is not a SQLite database, or its first page is damaged; choose another file"
        return sqlite_reason(self.path, error)


class SqliteSink(FileDatabaseSink):
    """Writes documents into a table of the SQLite file ``path``; see ``FileDatabaseSink``.

    The file has a write-ahead log and ``synchronous=FULL``. Other programs may read it at any time.
    Lists, structs and ``metadata`` are JSON text, dates are text, ``raw`` is a BLOB.
    """

    _table_type = _SqliteTable
