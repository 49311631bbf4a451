# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""PostgreSQL: a table of documents in a database that others use too."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

from penstock.errors import GraphError, SinkError
from penstock.sinks.databases.rows import DELETED, ORDER, Deleted, Row, Shape, Versions, clean
from penstock.sinks.databases.sink import DatabaseSink
from penstock.sinks.databases.table import Table, check_table_name
from penstock.sinks.databases.urls import AUTHORITY, parse_url
from penstock.system import end_with_client, postgres_parameters, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PostgresSink"]

_PATIENCE = 10.0
"""Seconds until a locked table counts as in use: the server may not yet know that a client was killed."""
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

    Documents go in as arrays, one for each column, in one statement that moves the row of
    ``penstock_commits`` on too: so a commit is one exchange with the server, if all of it is at hand. That
    takes two thirds of the time of COPY into a temporary table and an upsert from there. An advisory lock of
    the session lets one sink at a time write to a table (a pooler must leave sessions whole for that).
    ``metadata`` is JSONB. PostgreSQL has no NUL: it becomes U+FFFD.

    Args:
        url: As libpq takes it: ``postgresql://user@host:5432/database``. It is never shown; a password is
            better kept in ``~/.pgpass`` or ``PGPASSWORD``. What it leaves out comes from libpq's variables.
        table: The table; ``schema.table`` names its schema too, otherwise it is the first of the search path.
        versions: Whether a newer version of a record replaces the older one, or all are kept.
        deleted: Whether a tombstone marks a row, or deletes it.
        include_raw: Whether to write the raw bytes too, as BYTEA.

    Raises:
        GraphError: psycopg is not installed (the message says how), the URL or the name of the table cannot
            be one, or a choice is unknown.
    """

    def __init__(
        self,
        url: str,
        *,
        table: str = "documents",
        versions: Versions = "replace",
        deleted: Deleted = "mark",
        include_raw: bool = False,
    ) -> None:
        super().__init__(_PostgresTable(_connection_of(url), table, Shape(versions, deleted, include_raw)))

    @classmethod
    def from_url(cls, url: str) -> PostgresSink:
        """Return the sink of ``postgresql://…?table=…&versions=…&deleted=…&raw=true``."""
        parsed = parse_url(url)
        rest = f"?{urlencode(parsed.rest, quote_via=quote)}" if parsed.rest else ""
        return cls(parsed.base + rest, **parsed.options)


def _connection_of(url: str) -> dict[str, Any]:
    """Return what libpq needs to connect; no error shows any of it."""
    try:
        import psycopg
    except ImportError:
        raise GraphError("writing to PostgreSQL needs psycopg: pip install 'penstock[postgres]'") from None
    known, whole = postgres_parameters(""), not url.partition("://")[2]
    if AUTHORITY.fullmatch(url) is not None:
        with contextlib.suppress(psycopg.Error):
            known, whole = postgres_parameters(url), True
    ports = str(known.get("port") or "0").split(",")
    if not whole or not all(port.isdigit() for port in ports):
        raise GraphError(
            "this is not a URL that PostgreSQL knows: postgresql://user:password@host:5432/database, with "
            "@ : / ? and % in a name or password written as %40 %3A %2F %3F and %25"
        ) from None
    return known


class _PostgresTable(Table):
    mark: ClassVar[str] = "%s"
    emptying: ClassVar[str] = "TRUNCATE TABLE"
    types: ClassVar[dict[str, str]] = {
        "key": 'TEXT COLLATE "C"', "record_id": 'TEXT COLLATE "C"', "doc_id": 'TEXT COLLATE "C"',
        "version_order": 'TEXT COLLATE "C"', "metadata": "JSONB", "deleted": "BOOLEAN", "raw": "BYTEA",
    }  # fmt: skip

    def __init__(self, connection: dict[str, Any], table: str, shape: Shape) -> None:
        import psycopg

        schema, dot, name = table.rpartition(".")
        place = f"{connection.get('host', '')}:{connection.get('port', '')}".removesuffix(":")
        url = f"postgresql://{place}/{quote(connection.get('dbname', ''))}?{urlencode({'table': table})}"
        super().__init__(url, check_table_name(name), shape)
        self._schema = check_table_name(schema) if dot else ""
        self._connection = connection
        self._psycopg = psycopg
        self.errors = (psycopg.Error, OSError)
        self._db: Any = None

    @property
    def db(self) -> Any:
        """The connection."""
        if self._db is None:
            raise SinkError(f"the output {self.output} is not open; await open(record) first")
        return self._db

    def quoted(self, name: str) -> str:
        return super().quoted(name).replace("%", "%%")  # psycopg looks for marks in the whole statement

    @property
    def key_name(self) -> str:
        return self.name

    @property
    def target(self) -> str:
        return f"{self.quoted(self._schema)}.{self.quoted(self.name)}"

    @property
    def commits(self) -> str:
        return f"{self.quoted(self._schema)}.{super().commits}"

    def clean(self, text: str) -> str:
        return clean(text).replace("\0", "\ufffd")

    def clean_json(self, text: str) -> str:
        if "\\u0000" not in text:
            return text
        return json.dumps(_without_nul(json.loads(text)), ensure_ascii=False, separators=(",", ":"))

    def connect(self) -> None:
        self._db = self._psycopg.connect(**self._connection, autocommit=True)
        _register_arrays(self._db)
        end_with_client(self._db)
        if not self._schema:
            [(schema,)] = self.execute("SELECT current_schema()")
            if schema is None:
                raise SinkError(
                    f"cannot open the output {self.output}: its search path names no schema that is there; "
                    "write table=schema.table"
                )
            self._schema = schema
        self._lock()
        if self.execute("SHOW synchronous_commit") == [("off",)]:
            self.execute("SET synchronous_commit = on")

    def _lock(self) -> None:
        """Take the lock of the table, or say who has it."""
        name, until = f"penstock {self._schema}.{self.name}", time.monotonic() + _PATIENCE
        while self.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)) != [(True,)]:
            if time.monotonic() > until:
                found = self.execute(_HOLDER, (name,))
                who = (
                    "server process {} ({} from {}) since {}".format(*found[0])
                    if found
                    else "another session"
                )
                raise SinkError(
                    f"the output {self.output} is being written by {who}; "
                    "wait for it or stop it, then run again"
                )
            time.sleep(0.1)

    def disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(*self.errors):
                db.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self.db.execute(statement, tuple(values))
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def change(self, statement: str, values: Sequence[Any]) -> int:
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
            self.execute("COMMIT")

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

    def put(self, rows: Sequence[Row]) -> None:
        self.begin()
        if live := self._without_deleted(rows):
            self.execute(f"{self.insert}{self._incoming}{self.upsert}", self._arrays(live))

    def conclude(self, groups: Sequence[list[Row]], values: Sequence[Any]) -> int:
        """Bring in the last rows and move the row of commits on, in one statement that does both or neither.

        If the sink has no transaction open, that is all of the commit: one exchange with the server.
        """
        if not groups:
            return super().conclude(groups, values)
        self._bring(groups[:-1])
        rows = self._without_deleted(groups[-1])
        if not rows:
            return super().conclude((), values)
        statement = (
            f"WITH advanced AS ({self.advance} RETURNING 1), "
            f"put AS ({self.insert}{self._incoming} WHERE EXISTS (SELECT FROM advanced){self.upsert}) "
            "SELECT count(*) FROM advanced"
        )
        [(advanced,)] = self.execute(statement, (*values, *self._arrays(rows)))
        return int(advanced)

    def _without_deleted(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Delete what tombstones delete, and return the other rows."""
        if self.shape.deleted != "delete" or not any(row[DELETED] for row in rows):
            return rows
        self.begin()
        gone = [(row[self.shape.key], row[ORDER]) for row in rows if row[DELETED]]
        key, order = (self.shape.columns[at] for at in (self.shape.key, ORDER))
        self.execute(
            f"DELETE FROM {self.target} AS t"
            " USING (SELECT unnest(%s::TEXT[]) AS k, unnest(%s::TEXT[]) AS o) AS i"
            f" WHERE t.{key} = i.k AND i.o >= t.{order}",
            [_Array(values) for values in zip(*gone, strict=True)],
        )
        return [row for row in rows if not row[DELETED]]

    @property
    def _incoming(self) -> str:
        """The rows of an ``INSERT``, of one array for each column."""
        # In FROM, PostgreSQL would gather what unnest() returns, beyond 4 MB in a file.
        columns = ", ".join(
            f"unnest(%s::{_ELEMENTS.get(name, 'TEXT')}[]) AS {name}" for name in self.shape.columns
        )
        names = ", ".join(f"i.{name}{_CASTS.get(name, '')}" for name in self.shape.columns)
        return f"SELECT {names} FROM (SELECT {columns}) AS i"

    def _arrays(self, rows: Sequence[Row]) -> list[_Array]:
        columns = zip(self.shape.columns, zip(*rows, strict=True), strict=True)
        return [_Array(values, _ELEMENTS.get(name, "TEXT")) for name, values in columns]

    def reason(self, error: Exception) -> str:
        if not isinstance(error, self._psycopg.Error):
            return reason(error) if isinstance(error, OSError) else str(error)
        told = " ".join((str(error).strip() or type(error).__name__).split("\n", maxsplit=1)[0].split())
        if password := self._connection.get("password"):
            told = told.replace(password, "...")
        state = error.sqlstate or ("08" if isinstance(error, self._psycopg.OperationalError) else "")
        advice = _ADVICE.get(state[:3]) or _ADVICE.get(state[:2])
        return f"PostgreSQL says: {told}; {advice}" if advice else f"PostgreSQL says: {told}"


_ADVICE = {
    "08": "see that the server can be reached, then run again",
    "28": "correct user or password, then run again",
    "53": "give the server more room, memory or connections, then run again",
    "57P": "run again when the server is back",
}
"""By how a SQLSTATE begins."""

_ELEMENTS = {"deleted": "BOOLEAN", "raw": "BYTEA"}
_CASTS = {"metadata": "::JSONB"}
_OIDS = {"BOOLEAN": 16, "BYTEA": 17, "TEXT": 25}
_BITS = {False: b"\0", True: b"\1"}
_SIZE = struct.Struct("!i").pack
_HEAD = struct.Struct("!iiIii").pack


class _Array:
    """A column as PostgreSQL receives an array in its binary format, where no value has to be escaped."""

    __slots__ = ("data",)

    def __init__(self, values: Sequence[Any], element: str = "TEXT") -> None:
        head = _HEAD(1, 1, _OIDS[element], len(values), 1)  # of one dimension, perhaps with NULLs, from 1 on
        parts = [head] * (2 * len(values) + 1)
        if element == "BYTEA":
            parts[1::2] = [_SIZE(-1 if value is None else len(value)) for value in values]
            parts[2::2] = [value or b"" for value in values]
        else:
            found = [value.encode() for value in values] if element == "TEXT" else [_BITS[v] for v in values]
            parts[1::2] = map(_SIZE, map(len, found))
            parts[2::2] = found
        self.data = b"".join(parts)


def _register_arrays(db: Any) -> None:
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY  # and no oid: it is that of the cast

        def dump(self, obj: _Array) -> bytes:
            return obj.data

    db.adapters.register_dumper(_Array, ArrayDumper)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
