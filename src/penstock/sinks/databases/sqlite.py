# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""SQLite: a table of documents in one file."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from functools import cache, cached_property, partial
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
    from penstock.sinks.databases.children import Child

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
    logs = ("-wal", "-shm", "-journal")
    types: ClassVar[dict[str, str]] = {
        "key": "TEXT COLLATE NOCASE", "int": "INTEGER", "float": "REAL", "bool": "INTEGER", "bytes": "BLOB",
    }  # fmt: skip
    errors = (sqlite3.Error, OSError, OverflowError)

    @property
    def max_rows(self) -> int:
        # A power of two: see _execute_for.
        fitting = _MAX_VALUES // max(3, len(self.options.stored))
        return min(self.group_rows, 1 << (fitting.bit_length() - 1))

    def index_statement(self, column: Column) -> str:
        if not isinstance(column.type, Scalar):
            return ""
        name = self.quoted(f"{self.table}.{column.name}")
        return f"CREATE INDEX {name} ON {self.target} ({self.quoted(column.name)})"

    def child_index_statement(self, child: Child) -> str:
        field = child.fields[0][0]
        name = self.quoted(f"{child.table}.{field}")
        return f"CREATE INDEX {name} ON {self.quoted(child.table)} ({self.quoted(field)})"

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
        every = rows
        if self.options.deleted == "delete":
            deleted = [(row[self.options.key], row[ORDER]) for row in rows if row[DELETED]]
            rows = [row for row in rows if not row[DELETED]]
            self._execute_for(deleted, self._delete_statement)
        stored = len(self.options.stored)
        self._execute_for([row[:stored] for row in rows] if self.children else rows, self._upsert_statement)
        self._write_children(every)

    def _write_children(self, rows: Sequence[Row]) -> None:
        key = self.options.key
        for child, at in self.children.with_index():
            self._execute_for(
                [(row[key], row[ORDER]) for row in rows], partial(self._emptying_statement, child)
            )
            filled = [(row[key], row[ORDER], row[at]) for row in rows if row[at] not in (None, "[]")]
            self._execute_for(filled, partial(self._filling_statement, child))

    def _emptying_statement(self, child: Child, count: int) -> str:
        incoming = f"(SELECT column1 AS k, column2 AS o FROM (VALUES {_marks(2, count)}))"
        return self.children.delete_statement(child, incoming)

    def _filling_statement(self, child: Child, count: int) -> str:
        incoming = f"(SELECT column1 AS k, column2 AS o, column3 AS v FROM (VALUES {_marks(3, count)}))"
        values = [f"json_extract(e.value, {_path(name)})" for name, _ in child.fields]
        values = ["e.key + 1", *(values if child.is_struct else ["e.value"])]
        return self.children.insert_statement(child, values, incoming, ", json_each(i.v) AS e")

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
        marks = _marks(len(self.options.stored), count)
        rows = f"SELECT * FROM (VALUES {marks}) WHERE column1 IS NOT NULL"
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


def _marks(values: int, rows: int) -> str:
    return ", ".join([f"({', '.join('?' * values)})"] * rows)


def _path(name: str) -> str:
    """Return the path of a key, as SQLite writes it."""
    return "'$.\"" + name.replace("'", "''") + "\"'"


class SqliteSink(FileDatabaseSink):
    """Writes documents into a table of the SQLite file ``path``; see ``FileDatabaseSink``.

    The file has a write-ahead log and ``synchronous=FULL``. Other programs may read it at any time.
    Lists, structs and ``metadata`` are JSON text, dates are text, ``raw`` is a BLOB.
    """

    _table_type = _SqliteTable
