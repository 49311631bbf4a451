# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""DuckDB: a table of documents in one file, for analysis."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.columns import ListOf, Struct
from penstock.errors import GraphError, install_command
from penstock.sinks.databases.file import FileDatabaseSink, FileTable
from penstock.sinks.databases.rows import DELETED, ORDER, Row, TableOptions
from penstock.sinks.files.arrow import table_of
from penstock.system import Watch, reason_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.columns import ColumnType

_INCOMING = "penstock_incoming"
_UPSERTS = 16
"""Groups of rows that are upserted before a plain insert is tried again."""
_HEADER_BYTES = 3 * 4096
"""Of a DuckDB file."""
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "512MB", "threads": 2}
"""By default DuckDB takes four fifths of the machine's memory and all of its processors."""


class _DuckDBTable(FileTable):
    scheme = "duckdb"
    logs = (".wal",)
    group_rows: ClassVar[int] = 4096
    children_have_keys: ClassVar[bool] = (
        False  # an index of DuckDB forbids to delete and insert a key at once
    )
    types: ClassVar[dict[str, str]] = {
        "json": "JSON", "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "date": "DATE",
        "bytes": "BLOB",
    }  # fmt: skip

    def __init__(self, path: Path, table: str, options: TableOptions) -> None:
        super().__init__(path, table, options)
        try:
            import duckdb
            import pyarrow  # noqa: F401, ICN001
        except ImportError:
            raise GraphError(
                f"writing to DuckDB needs duckdb and pyarrow: {install_command('duckdb')}"
            ) from None
        self._duckdb = duckdb
        self.errors = (duckdb.Error, OSError)
        self._in_transaction = False
        self._upserts = 0

    def sql_type(self, kind: ColumnType) -> str:
        if isinstance(kind, ListOf):
            return f"{self.sql_type(kind.item)}[]"
        if isinstance(kind, Struct):
            fields = [f"{self.quoted(name)} {self.sql_type(field)}" for name, field in kind.fields]
            return f"STRUCT({', '.join(fields)})"
        return super().sql_type(kind)

    @property
    def key_name(self) -> str:
        return self.table.lower()

    def connect(self) -> None:
        self.db = self._duckdb.connect(str(self.path), config=_SETTINGS)

    def watch(self) -> Watch:
        return Watch(self.path, least=_HEADER_BYTES, may_shrink=True)

    def empty_log(self) -> bool:
        if self._in_transaction:
            self.execute("ROLLBACK")
        try:
            self.execute("CHECKPOINT")
        except self._duckdb.Error:
            return False
        return True

    def keep(self, path: Path) -> None:
        [(name,)] = self.execute("SELECT current_database()")
        place = str(path).replace("'", "''")
        self.execute(f"ATTACH '{place}' AS penstock_kept")
        self.execute(f"COPY FROM DATABASE {self.quoted(name)} TO penstock_kept")
        self.execute("DETACH penstock_kept")

    def _discard(self) -> None:
        self._in_transaction = False
        super()._discard()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if statement.endswith(("COMMIT", "ROLLBACK")):
            self._in_transaction = False
        rows: list[tuple[Any, ...]] = self.db.execute(statement, list(values)).fetchall()
        return rows

    def update(self, statement: str, values: Sequence[Any]) -> int:
        return int(self.execute(statement, values)[0][0])

    def begin(self) -> None:
        if not self._in_transaction:
            self.db.execute("BEGIN")
            self._in_transaction = True

    def end(self) -> None:
        if self._in_transaction:
            super().end()

    def columns(self, table: str) -> list[str]:
        statement = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_catalog = current_database() AND lower(table_name) = lower(?)"
        )
        return [name for (name,) in self.execute(statement, (table,))]

    def insert(self, rows: Sequence[Row]) -> None:
        is_first = not self._in_transaction
        self.begin()
        if not self._try_insert(rows, is_first=is_first):
            self.begin()
            self._try_insert(rows)

    def insert_and_advance(self, groups: Sequence[list[Row]], values: Sequence[Any]) -> int:
        """See ``Table.insert_and_advance``; makes two calls if this is the whole transaction.

        In each call DuckDB waits a few times for the GIL, beside a busy event loop 5 ms each time, however
        many statements the call has.
        """
        if self._in_transaction or len(groups) != 1 or self.children:
            return super().insert_and_advance(groups, values)
        self._in_transaction = True
        changed = self.update(f"BEGIN; {self.advance_statement}", values)
        if changed == 1 and not self._try_insert(groups[0], "; COMMIT", is_first=True):
            return self.insert_and_advance(groups, values)
        return changed

    def _try_insert(self, rows: Sequence[Row], then: str = "", *, is_first: bool = False) -> bool:
        """Insert rows, and execute the statement ``then``; return whether that succeeded.

        The first rows of a transaction are inserted as if no row of the same key existed: this takes half the
        time of an upsert, and is always right in a first run. If such a row exists, the transaction is rolled
        back; the caller repeats it with upserts, and some later commits use upserts too.
        """
        is_deleting = self.options.deleted == "delete" and any(row[DELETED] for row in rows)
        are_new = is_first and not is_deleting and not self._upserts
        self._upserts = max(0, self._upserts - 1)
        live, upsert = " WHERE NOT deleted" if is_deleting else "", "" if are_new else self.upsert_clause
        self.db.register(_INCOMING, table_of(self.options.columns, list(zip(*rows, strict=True))))
        try:
            if is_deleting:
                self.execute(self._delete_statement)
            names = ", ".join(map(self.quoted, self.options.names))
            self.execute(f"{self.insert_clause}SELECT {names} FROM {_INCOMING}{live}{upsert}{then}")
            self._write_children(are_new=are_new)
        except self._duckdb.ConstraintException:
            if not are_new:
                raise
            self.execute("ROLLBACK")
            self._upserts = _UPSERTS
            return False
        finally:
            with suppress(self._duckdb.Error):  # refused if a statement has failed, whose error says more
                self.db.unregister(_INCOMING)
        return True

    def _write_children(self, *, are_new: bool) -> None:
        key, order = (self.quoted(self.options.names[at]) for at in (self.options.key, ORDER))
        for child in self.children.tables:
            if not are_new:
                incoming = f"(SELECT {key} AS k, {order} AS o FROM {_INCOMING})"
                self.execute(self.children.delete_statement(child, incoming))
            values = self.quoted(child.column.name)
            incoming = (
                f"(SELECT {key} AS k, {order} AS o, unnest({values}) AS item,"
                f" generate_subscripts({values}, 1) AS at FROM {_INCOMING})"
            )
            items = [f"i.item.{self.quoted(name)}" for name, _ in child.fields]
            items = ["i.at", *(items if child.is_struct else ["i.item"])]
            self.execute(self.children.insert_statement(child, items, incoming))

    @property
    def _delete_statement(self) -> str:
        key, order = (self.options.names[at] for at in (self.options.key, ORDER))
        return (
            f"DELETE FROM {self.target} AS t USING {_INCOMING} AS i"
            f" WHERE i.deleted AND t.{key} = i.{key} AND i.{order} >= t.{order}"
        )

    def reason(self, error: Exception) -> str:
        if not isinstance(error, self._duckdb.Error):
            return super().reason(error)
        message = str(error).strip().split("\n", maxsplit=1)[0]
        if "not a valid DuckDB database" in message:
            return "it is not a DuckDB database, or its first page is damaged; choose another file"
        return reason_in(message) or f"DuckDB says: {message}"


class DuckDBSink(FileDatabaseSink):
    """Writes documents into a table of the DuckDB file ``path``; see ``FileDatabaseSink``.

    While the sink is open, DuckDB lets no other program open the file. Lists and structs have the types LIST
    and STRUCT, ``metadata`` has the type JSON. Rows are inserted as Arrow tables. DuckDB may take 512 MB of
    memory.

    Raises:
        GraphError: duckdb or pyarrow is not installed; the message says how to install it.
    """

    _table_type = _DuckDBTable
