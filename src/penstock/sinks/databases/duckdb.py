# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""DuckDB: a table of documents in one file, for analysis."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import GraphError, SinkError
from penstock.sinks.databases.rows import DELETED, ORDER, Deleted, Row, Shape, Versions
from penstock.sinks.databases.sink import DatabaseSink
from penstock.sinks.databases.table import Table, check_table_name
from penstock.sinks.databases.urls import file_url, parse_file_url
from penstock.system import DiskStorage, reason, reason_in

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["DuckDBSink"]

_INCOMING = "penstock_incoming"
_UPSERTS = 16
"""Groups of rows until it is tried again whether none is in the table."""
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "512MB", "threads": 2}
"""DuckDB takes four fifths of the machine's memory and all of its processors unless told otherwise."""


class DuckDBSink(DatabaseSink):
    """Writes documents into a table of the DuckDB file ``path``; see ``DatabaseSink``.

    The file and the table are created if there are none, the folder must exist. While it is open nobody else
    can open the file, as DuckDB will have it. ``metadata`` is of the type JSON. Rows go in as Arrow tables.
    DuckDB may take 512 MB.

    Args:
        path: The file.
        table: The table.
        versions: Whether a newer version of a record replaces the older one, or all are kept.
        deleted: Whether a tombstone marks a row, or deletes it.
        include_raw: Whether to write the raw bytes too, as a BLOB.

    Raises:
        GraphError: duckdb or pyarrow is not installed (the message says how), the name of the table cannot be
            one, or a choice is unknown.
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
        super().__init__(_DuckDBTable(self._path, check_table_name(table), shape))

    @classmethod
    def from_url(cls, url: str) -> DuckDBSink:
        """Return the sink of ``duckdb:///path.duckdb?table=…&versions=…&deleted=…&raw=true``."""
        path, options = parse_file_url(url)
        return cls(path, **options)

    @property
    def path(self) -> Path:
        """Where the output is."""
        return self._path


class _DuckDBTable(Table):
    group: ClassVar[int] = 4096
    types: ClassVar[dict[str, str]] = {"metadata": "JSON", "deleted": "BOOLEAN", "raw": "BLOB"}

    def __init__(self, path: Path, table: str, shape: Shape) -> None:
        super().__init__(file_url("duckdb", path, table), table, shape)
        try:
            import duckdb
            import pyarrow as pa
        except ImportError:
            raise GraphError(
                "writing to DuckDB needs duckdb and pyarrow: pip install 'penstock[duckdb]'"
            ) from None
        self._duckdb, self._pa = duckdb, pa
        kinds = {"deleted": pa.bool_(), "raw": pa.binary()}
        self._schema = pa.schema([(name, kinds.get(name, pa.string())) for name in shape.columns])
        self.errors = (duckdb.Error, OSError)
        self._path = path
        self._lock = DiskStorage().lock(path)
        self._db: Any = None
        self._begun = False
        self._upserts = 0

    @property
    def db(self) -> Any:
        """The connection."""
        if self._db is None:
            raise SinkError(f"the output {self.output} is not open; await open(record) first")
        return self._db

    @property
    def key_name(self) -> str:
        return self.name.lower()

    def connect(self) -> None:
        if self._path.is_dir():
            raise SinkError(f"cannot open the output {self.output}: it is a folder; name a file")
        if (holder := self._lock.acquire()) is not None:
            raise SinkError(
                f"the output {self.output} is being written by {holder}; "
                "wait for it or stop it, then run again"
            )
        self._db = self._duckdb.connect(str(self._path), config=_SETTINGS)

    def disconnect(self) -> None:
        db, self._db, self._begun = self._db, None, False
        if db is not None:
            with contextlib.suppress(*self.errors):
                db.close()
        self._lock.release()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if statement.endswith(("COMMIT", "ROLLBACK")):
            self._begun = False
        rows: list[tuple[Any, ...]] = self.db.execute(statement, list(values)).fetchall()
        return rows

    def change(self, statement: str, values: Sequence[Any]) -> int:
        return int(self.execute(statement, values)[0][0])

    def begin(self) -> None:
        if not self._begun:
            self.db.execute("BEGIN")
            self._begun = True

    def columns(self, table: str) -> list[str]:
        statement = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_catalog = current_database() AND lower(table_name) = lower(?)"
        )
        return [name for (name,) in self.execute(statement, (table,))]

    def put(self, rows: Sequence[Row]) -> None:
        is_first = not self._begun
        self.begin()
        if not self._insert(rows, is_first=is_first):
            self.begin()
            self._insert(rows)

    def conclude(self, groups: Sequence[list[Row]], values: Sequence[Any]) -> int:
        """See ``Table.conclude``; in two calls, if that is all of a transaction.

        In each call DuckDB waits for the interpreter's lock a few times, beside a busy loop for 5 ms each,
        however many statements it is of.
        """
        if self._begun or len(groups) != 1:
            return super().conclude(groups, values)
        self._begun = True
        changed = self.change(f"BEGIN; {self.advance}", values)
        if changed == 1 and not self._insert(groups[0], "; COMMIT", is_first=True):
            return self.conclude(groups, values)
        return changed

    def end(self) -> None:
        if self._begun:
            super().end()

    def _insert(self, rows: Sequence[Row], then: str = "", *, is_first: bool = False) -> bool:
        """Bring in rows, and do what is to be done ``then``; return whether it came to that.

        The first rows of a transaction are inserted as if none were in the table yet, which takes half the
        time of an upsert; a first run has no others. If one is there, everything is rolled back and has to be
        done again, by upserts now and for some commits.
        """
        columns = [
            self._pa.array(values, field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        is_deleting = self.shape.deleted == "delete" and any(row[DELETED] for row in rows)
        are_new = is_first and not is_deleting and not self._upserts
        self._upserts = max(0, self._upserts - 1)
        live, upsert = " WHERE NOT deleted" if is_deleting else "", "" if are_new else self.upsert
        self.db.register(_INCOMING, self._pa.Table.from_arrays(columns, schema=self._schema))
        try:
            if is_deleting:
                self.execute(self._remove)
            self.execute(f"{self.insert}SELECT * FROM {_INCOMING}{live}{upsert}{then}")
        except self._duckdb.ConstraintException:
            if not are_new:
                raise
            self.execute("ROLLBACK")
            self._upserts = _UPSERTS
            return False
        finally:
            self.db.unregister(_INCOMING)
        return True

    @property
    def _remove(self) -> str:
        key, order = (self.shape.columns[at] for at in (self.shape.key, ORDER))
        return (
            f"DELETE FROM {self.target} AS t USING {_INCOMING} AS i"
            f" WHERE i.deleted AND t.{key} = i.{key} AND i.{order} >= t.{order}"
        )

    def reason(self, error: Exception) -> str:
        if isinstance(error, OSError) and not isinstance(error, self._duckdb.Error):
            return reason(error)
        if not self._path.parent.is_dir():
            return f"its folder {self._path.parent} does not exist; create it first"
        told = str(error).strip().split("\n", maxsplit=1)[0]
        return reason_in(told) or f"DuckDB says: {told}"
