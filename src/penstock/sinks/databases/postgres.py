# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""PostgreSQL: a table of documents in a database on a server."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

from penstock.columns import Scalar
from penstock.errors import GraphError, SinkError, install_command
from penstock.sinks.databases.postgres_arrays import Array, element_type, register_arrays
from penstock.sinks.databases.rows import DELETED, ORDER, Deleted, Row, TableOptions, Tables, Versions
from penstock.sinks.databases.sink import DatabaseSink
from penstock.sinks.databases.table import Table, check_table_name
from penstock.sinks.databases.urls import AUTHORITY, parse_url
from penstock.sinks.files.lines import map_texts
from penstock.sinks.layout import Layout
from penstock.system import (
    end_with_client,
    limit_lock_waits,
    lock_holder,
    postgres_parameters,
    release_abandoned,
)
from penstock.system.places import connection_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import JSON, Commit
    from penstock.columns import Column
    from penstock.sinks.databases.children import Child

_LOCK_SECONDS = 10.0
"""How long to wait for a lock. The server may not know yet that a client was killed, or it may be stopped."""
_WRITE_SECONDS = 60.0
"""The same for a write: somebody may be creating an index."""
_ITEMS = " CROSS JOIN LATERAL jsonb_array_elements(i.v::JSONB) WITH ORDINALITY AS e (item, at)"
_HOLDER = """
SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'this machine'),
       a.backend_start::timestamp(0)::text
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)
"""


class PostgresSink(DatabaseSink):
    """Writes documents into a table of a PostgreSQL database; see ``DatabaseSink``.

    One statement inserts all rows, as one array for each column, and updates the row of ``penstock_commits``.
    So a commit whose documents all wait for it is one exchange with the server. This takes two thirds of the
    time of COPY into a temporary table and an upsert from there.

    An advisory lock of the session lets one sink at a time write to a table; a connection pooler must
    therefore pool by session. Lists, structs and
    ``metadata`` are JSONB. PostgreSQL cannot store NUL: it becomes U+FFFD.

    Args:
        url: ``postgresql://user@host:5432/database``, as libpq takes it; libpq's environment variables fill
            in what it leaves out. The URL is never shown. Keep a password in ``~/.pgpass`` or ``PGPASSWORD``.
        table: The table, or ``schema.table``; the default schema is the first of the search path.
        versions, deleted, tables, schema, columns, include_raw: See ``DatabaseSink``.

    Raises:
        GraphError: psycopg is not installed (the message says how to install it), the URL is malformed, the
            table cannot have that name, or an option is unknown.
    """

    def __init__(
        self,
        url: str,
        *,
        table: str = "documents",
        versions: Versions = "replace",
        deleted: Deleted = "mark",
        tables: Tables = "nested",
        schema: type | None = None,
        columns: Sequence[str] | None = None,
        include_raw: bool = False,
    ) -> None:
        layout = Layout.of(schema, columns, include_raw=include_raw)
        options = TableOptions(versions, deleted, layout, tables)
        known = connection_url(url) or "none://?"
        super().__init__(_PostgresTable(_connection_parameters(known), table, options))

    @classmethod
    def from_url(cls, url: str, **options: Any) -> PostgresSink:
        """Return the sink of ``postgresql://…?table=…&versions=…&deleted=…&tables=…&raw=true``."""
        parsed = parse_url(connection_url(url) or "none://?")
        rest = f"?{urlencode(parsed.rest, quote_via=quote)}" if parsed.rest else ""
        return cls(parsed.base + rest, **options | parsed.options)


def _connection_parameters(url: str) -> dict[str, Any]:
    """Return libpq's parameters for ``url``. Errors show no part of the URL."""
    try:
        import psycopg
    except ImportError:
        raise GraphError(f"writing to PostgreSQL needs psycopg: {install_command('postgres')}") from None
    parameters, is_valid = postgres_parameters(""), not url.partition("://")[2]
    if AUTHORITY.fullmatch(url) is not None:
        with contextlib.suppress(psycopg.Error):
            parameters, is_valid = postgres_parameters(url), True
    ports = str(parameters.get("port") or "0").split(",")
    if not is_valid or not all(port.isdigit() for port in ports):
        raise GraphError(
            "this is not a URL that PostgreSQL knows: postgresql://user:password@host:5432/database, with "
            "@ : / ? and % in a name or password written as %40 %3A %2F %3F and %25"
        ) from None
    return parameters


class _PostgresTable(Table):
    mark = "%s"
    keeps_commits = True  # another session may be about to use it
    types: ClassVar[dict[str, str]] = {
        "key": 'TEXT COLLATE "C"', "record_id": 'TEXT COLLATE "C"', "doc_id": 'TEXT COLLATE "C"',
        "version_order": 'TEXT COLLATE "C"', "json": "JSONB", "int": "BIGINT", "float": "FLOAT8",
        "bool": "BOOLEAN", "date": "DATE", "bytes": "BYTEA",
    }  # fmt: skip

    def __init__(self, connection: dict[str, Any], table: str, options: TableOptions) -> None:
        import psycopg

        schema, dot, name = table.rpartition(".")
        place = f"{connection.get('host', '')}:{connection.get('port', '')}".removesuffix(":")
        url = f"postgresql://{place}/{quote(connection.get('dbname', ''))}?{urlencode({'table': table})}"
        super().__init__(url, check_table_name(name), options)
        self._schema = check_table_name(schema) if dot else ""
        self._connection = connection
        self._psycopg = psycopg
        self.errors = (psycopg.Error, OSError)

    def quoted(self, name: str) -> str:
        return super().quoted(name).replace("%", "%%")  # psycopg takes a single % for a placeholder

    def place(self, table: str) -> str:
        return f"{self.quoted(self._schema)}.{super().place(table)}"

    @property
    def commits(self) -> str:
        return f"{self.quoted(self._schema)}.{super().commits}"

    def index_statement(self, column: Column) -> str:
        name = self.quoted(column.name)
        how = f"({name})" if isinstance(column.type, Scalar) else f"USING GIN ({name} jsonb_path_ops)"
        return f"CREATE INDEX ON {self.target} {how}"

    def clean(self, text: str) -> str:
        return _replace_nul(super().clean(text))

    def clean_json(self, text: str) -> str:
        if "\\u0000" not in text:
            return text
        value = map_texts(_replace_nul, json.loads(text))
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def connect(self) -> None:
        self.db = self._psycopg.connect(**self._connection, autocommit=True)
        register_arrays(self.db)
        end_with_client(self.db)
        limit_lock_waits(self.db, _LOCK_SECONDS)
        if not self._schema:
            [(schema,)] = self.execute("SELECT current_schema()")
            if schema is None:
                raise SinkError(
                    f"cannot open the output {self.name}: no schema of the search path exists; "
                    "write table=schema.table"
                )
            self._schema = schema
        self._lock_table()
        if self.execute("SHOW synchronous_commit") == [("off",)]:
            self.execute("SET synchronous_commit = on")

    def _open(self, record: JSON, *, restart: bool) -> Commit | None:
        commit = super()._open(record, restart=restart)
        limit_lock_waits(self.db, _WRITE_SECONDS)
        return commit

    def __del__(self) -> None:
        db = getattr(self, "db", None)
        if db is not None:  # dropped: the end of the session frees the lock
            db.close()

    def _lock_table(self) -> None:
        name, until = f"penstock {self._schema}.{self.table}", time.monotonic() + _LOCK_SECONDS
        is_first = True
        while self.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)) != [(True,)]:
            if time.monotonic() > until:
                found = self.execute(_HOLDER, (name,))
                known = found and "server process {} ({} from {}) since {}".format(*found[0])
                raise self.held_by(known or "another session")
            if is_first:  # a run of this process may hold it that nobody ends any more
                release_abandoned()
            is_first = False
            time.sleep(0.1)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self.db.execute(statement, tuple(values))
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def update(self, statement: str, values: Sequence[Any]) -> int:
        return int(self.db.execute(statement, tuple(values)).rowcount)

    @property
    def _in_transaction(self) -> bool:
        idle = self._psycopg.pq.TransactionStatus.IDLE
        return bool(self.db.info.transaction_status != idle)

    def begin(self) -> None:
        if not self._in_transaction:
            self.db.execute("BEGIN")

    def end(self) -> None:
        if self._in_transaction:
            super().end()

    def columns(self, table: str) -> list[str]:
        statement = (
            "SELECT attname FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid"
            " JOIN pg_namespace ON relnamespace = pg_namespace.oid"
            " WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return [name for (name,) in self.execute(statement, (self._schema, table))]

    def _create_commits(self) -> None:
        # two outputs of one schema may be opened at once, each for the first time
        self.execute("SELECT pg_advisory_xact_lock(hashtextextended('penstock_commits', 0))")
        super()._create_commits()

    def insert(self, rows: Sequence[Row]) -> None:
        self.begin()
        if live := self._apply_deletions(rows):
            self.execute(f"{self.insert_clause}{self._incoming_rows}{self.upsert_clause}", self._arrays(live))
        self._write_children(rows)

    def _write_children(self, rows: Sequence[Row]) -> None:
        key, children = self.options.key, self.children
        keys = "SELECT unnest(%s::TEXT[]) AS k, unnest(%s::TEXT[]) AS o"
        written = [Array([row[at] for row in rows]) for at in (key, ORDER)] if children else []
        for child, at in children.with_index():
            self.execute(children.delete_statement(child, f"({keys})"), written)
            lists = [row[at] for row in rows]
            if any(lists):
                incoming = f"({keys}, unnest(%s::TEXT[]) AS v)"
                statement = children.insert_statement(child, _child_values(self, child), incoming, _ITEMS)
                self.execute(statement, [*written, Array(lists)])

    def child_index_statement(self, child: Child) -> str:
        return f"CREATE INDEX ON {self.place(child.table)} ({self.quoted(child.fields[0][0])})"

    def _empty(self) -> None:
        tables = [self.target, *(self.place(child.table) for child in self.children.tables)]
        self.execute(f"TRUNCATE TABLE {', '.join(tables)}")

    def insert_and_advance(self, groups: Sequence[list[Row]], values: Sequence[Any]) -> int:
        """See ``Table.insert_and_advance``; does both in one statement.

        If no transaction is open, this statement is the whole commit: one exchange with the server.
        """
        if self.children:
            return super().insert_and_advance(groups, values)
        self._insert_groups(groups[:-1])
        rows = self._apply_deletions(groups[-1]) if groups else ()
        if not rows:
            return super().insert_and_advance((), values)
        incoming = f"{self._incoming_rows} WHERE EXISTS (SELECT FROM advanced)"
        statement = (
            f"WITH advanced AS ({self.advance_statement} RETURNING 1),"
            f" inserted AS ({self.insert_clause}{incoming}{self.upsert_clause})"
            " SELECT count(*) FROM advanced"
        )
        [(advanced,)] = self.execute(statement, (*values, *self._arrays(rows)))
        return int(advanced)

    def _apply_deletions(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Delete the rows that tombstones delete, and return the other rows."""
        if self.options.deleted != "delete" or not any(row[DELETED] for row in rows):
            return rows
        self.begin()
        deleted = [(row[self.options.key], row[ORDER]) for row in rows if row[DELETED]]
        key, order = (self.options.names[at] for at in (self.options.key, ORDER))
        self.execute(
            f"DELETE FROM {self.target} AS t"
            " USING (SELECT unnest(%s::TEXT[]) AS k, unnest(%s::TEXT[]) AS o) AS i"
            f" WHERE t.{key} = i.k AND i.o >= t.{order}",
            [Array(values) for values in zip(*deleted, strict=True)],
        )
        return [row for row in rows if not row[DELETED]]

    @property
    def _incoming_rows(self) -> str:
        """The rows of an ``INSERT``: one array for each column, unnested."""
        # In FROM, PostgreSQL would gather what unnest() returns, beyond 4 MB in a file.
        pairs = [(self.quoted(column.name), self.sql_type(column.type)) for column in self.options.stored]
        columns = ", ".join(f"unnest(%s::{element_type(kind)}[]) AS {name}" for name, kind in pairs)
        names = ", ".join(f"i.{name}{'::JSONB' if kind == 'JSONB' else ''}" for name, kind in pairs)
        return f"SELECT {names} FROM (SELECT {columns}) AS i"

    def _arrays(self, rows: Sequence[Row]) -> list[Array]:
        columns = zip(self.options.stored, zip(*rows, strict=True), strict=False)  # children have a table
        return [Array(values, element_type(self.sql_type(column.type))) for column, values in columns]

    def reason(self, error: Exception) -> str:
        if not isinstance(error, self._psycopg.Error):
            return super().reason(error)
        if isinstance(error, self._psycopg.errors.LockNotAvailable):
            self.db.rollback()
            return (
                f"it is held by {lock_holder(self.db, self._schema)}, and did not become free; "
                "end that session or wait for it, then run again"
            )
        message = " ".join((str(error).strip() or type(error).__name__).split("\n", maxsplit=1)[0].split())
        if password := self._connection.get("password"):
            message = message.replace(password, "...")
        state = error.sqlstate or ("08" if isinstance(error, self._psycopg.OperationalError) else "")
        advice = _ADVICE.get(state[:3]) or _ADVICE.get(state[:2])
        return f"PostgreSQL says: {message}; {advice}" if advice else f"PostgreSQL says: {message}"


def _child_values(table: _PostgresTable, child: Child) -> list[str]:
    """Return the position and the fields of an item, for a ``SELECT``."""
    if not child.is_struct:
        fields = [("e.item #>> '{}'", "e.item", child.fields[0][1])]
    else:
        fields = [
            (f"e.item ->> {_text(name)}", f"e.item -> {_text(name)}", kind) for name, kind in child.fields
        ]
    values = [
        f"({text})::{table.sql_type(kind)}" if isinstance(kind, Scalar) else f"nullif({json}, 'null'::JSONB)"
        for text, json, kind in fields
    ]
    return ["e.at", *values]


def _text(name: str) -> str:
    return "'" + name.replace("'", "''").replace("%", "%%") + "'"


_ADVICE = {
    "08": "check that the server can be reached, then run again",
    "28": "correct the user or password, then run again",
    "53": "give the server more disk space, memory or connections, then run again",
    "57P": "run again when the server is back",
}
"""By the beginning of a SQLSTATE."""


def _replace_nul(text: str) -> str:
    return text.replace("\0", "\ufffd")
