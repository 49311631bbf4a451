# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""One table of documents in a database, and its row in ``penstock_commits``: the last commit.

SQLite, DuckDB and PostgreSQL share this. Each adds how it connects, how it inserts rows and how it explains
its errors. Identifiers are quoted, and every value is bound.
"""

from __future__ import annotations

import contextlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.abc import Commit
from penstock.columns import MAX_NAME_BYTES, Scalar
from penstock.errors import GraphError, SinkError, SinkMismatch
from penstock.sinks.databases.children import Children, children_then
from penstock.sinks.databases.rows import ORDER, TableOptions
from penstock.sinks.databases.shape import check_table
from penstock.sinks.files.lines import replace_surrogates
from penstock.sinks.output import START_OVER, Output, read_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import JSON
    from penstock.columns import Column, ColumnType
    from penstock.sinks.databases.children import Child
    from penstock.sinks.databases.rows import Row

COMMITS = "penstock_commits"
_COMMIT_COLUMNS = ("table_name", "epoch", "position", "counts", "shape", "committed_at")
_FORMAT = "database"


@dataclass(frozen=True, slots=True)
class CommitText:
    """A commit with its JSON as text."""

    epoch: int
    position: str
    counts: str


class Table(Output):
    """The table of one output; ``db`` is the connection while it is open."""

    group_rows: ClassVar[int] = 2048
    """Rows written at once, at most. SQLite binds no more than 32,766 values in a statement."""
    group_size: ClassVar[int] = 8 << 20
    """Characters and bytes written at once, unless a single row has more."""
    mark: ClassVar[str] = "?"
    """The placeholder of a bound value."""
    types: ClassVar[dict[str, str]] = {}
    """SQL types by the name of a column or the kind of a scalar; others are ``TEXT``."""
    children_have_keys: ClassVar[bool] = True
    """Whether child tables have a primary key, and a foreign key to their parent."""
    keeps_commits: ClassVar[bool] = False
    """Whether the table of commits stays when an ``open`` that created it is undone."""

    def __init__(self, name: str, table: str, options: TableOptions) -> None:
        super().__init__(name)
        self.table = table
        self.use_options(options)
        self.db: Any = None
        self.epoch = 0
        """Of the last commit that the table holds."""
        self._created = False
        """Whether this ``open`` has created the table."""
        self._created_commits = False

    def use_options(self, options: TableOptions) -> None:
        """Take the options; the table is closed.

        Raises:
            GraphError: a child table cannot have its name, or the name of a field.
        """
        self.options = options
        self.children = Children(self)

    @property
    def max_rows(self) -> int:
        """Rows that one statement writes, at most."""
        return self.group_rows

    # -- what each database does in its own way

    @abstractmethod
    def connect(self) -> None:
        """Connect to the database, and keep other programs from writing to this table."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement, and return its rows."""

    @abstractmethod
    def update(self, statement: str, values: Sequence[Any]) -> int:
        """Execute one statement, and return how many rows it changed."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction, unless one has begun."""

    @abstractmethod
    def insert(self, rows: Sequence[Row]) -> None:
        """Write rows, no two of one key, in a transaction."""

    @abstractmethod
    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; none if it does not exist."""

    def insert_and_advance(self, groups: Sequence[list[Row]], values: Sequence[Any]) -> int:
        """Write the last rows, set the row of commits to ``values``, and return how many rows that changed.

        If it changed none, nothing may be committed. Otherwise this may commit, or leave that to ``end``.
        """
        self._insert_groups(groups)
        self.begin()
        return self.update(self.advance_statement, values)

    def end(self) -> None:
        """Commit the transaction, unless that has happened."""
        self.execute("COMMIT")

    def clean(self, text: str) -> str:
        """Return text that the database can hold."""
        return replace_surrogates(text)

    def clean_json(self, text: str) -> str:
        """Return JSON text that the database can hold."""
        return text

    def quoted(self, name: str) -> str:
        """Return an identifier for a statement."""
        return '"' + name.replace('"', '""') + '"'

    @property
    def key_name(self) -> str:
        """The name of the table in ``penstock_commits``."""
        return self.table

    def place(self, table: str) -> str:
        """Return a table of the database for a statement."""
        return self.quoted(table)

    @property
    def target(self) -> str:
        """The table, for a statement."""
        return self.place(self.table)

    @property
    def commits(self) -> str:
        """The table of commits, for a statement."""
        return self.quoted(COMMITS)

    # -- opening and closing

    def _open(self, record: JSON, *, restart: bool) -> Commit | None:
        """Return the commit that the table holds; see ``Sink.open``."""
        epoch = 0 if record is None else read_record(record, _FORMAT, self.name, epoch=int)["epoch"]
        self.options.layout.check()
        self._created = self._created_commits = False
        self.connect()
        self.begin()
        commit = self._prepare(restart=restart)
        if self.epoch < epoch:
            raise SinkMismatch(
                f"the output {self.name} holds commit {self.epoch}, but {epoch} was made to it; "
                f"put the whole of it back, {START_OVER}"
            )
        self.end()
        return commit

    def _undo_open(self) -> None:
        """Drop the table if ``open`` has created it, and nothing is in it."""
        if not self._is_open or not self._created:
            return
        self.begin()
        held = self._held()
        if held == [(self.epoch,)] and not self.execute(f"SELECT 1 FROM {self.target} LIMIT 1"):
            for table in (*(self.place(child.table) for child in self.children.tables), self.target):
                self.execute(f"DROP TABLE {table}")
            self.execute(f"DELETE FROM {self.commits} WHERE table_name = {self.mark}", (self.key_name,))
            others = self.execute(f"SELECT 1 FROM {self.commits} LIMIT 1")
            if self._created_commits and not self.keeps_commits and not others:
                self.execute(f"DROP TABLE {self.commits}")
        self.end()

    def _held(self) -> list[tuple[Any, ...]]:
        """Return the epoch in the row of commits, if there is one."""
        statement = f"SELECT epoch FROM {self.commits} WHERE table_name = {self.mark}"
        return self.execute(statement, (self.key_name,))

    def _discard(self) -> None:
        db, self.db = self.db, None
        if db is not None:
            with contextlib.suppress(*self.errors):
                db.close()

    def _claim(self) -> None:
        self.connect()
        self.begin()
        self._find()
        self.execute("ROLLBACK")

    def _prepare(self, *, restart: bool) -> Commit | None:
        found, columns = self._find()
        if not found:
            self._created = True
            self._create_table(())
            self._enter_empty_table()
            return None
        epoch, position, counts, options = found[0]
        self.epoch = int(epoch)
        if restart or (not columns and not self.epoch):
            self._empty_table(columns, options)
            return None
        check_table(self, columns, options)
        return Commit(self.epoch, json.loads(position), counts=json.loads(counts)) if self.epoch else None

    def _find(self) -> tuple[list[tuple[Any, ...]], list[str]]:
        """Return the row of commits, if there is one, and the columns of the table, if it exists."""
        self._create_commits()
        found = self.execute(
            f"SELECT epoch, position, counts, shape FROM {self.commits} WHERE table_name = {self.mark}",
            (self.key_name,),
        )
        columns = self.columns(self.table)
        if columns and not found:
            raise SinkMismatch(
                f"the output {self.name} is a table that Penstock did not create; choose another with table="
            )
        return found, columns

    def _create_commits(self) -> None:
        columns = self.columns(COMMITS)
        if not columns:
            self._created_commits = True
            self.execute(
                f"CREATE TABLE {self.commits} (table_name {self.types.get('key', 'TEXT')} PRIMARY KEY,"
                " epoch BIGINT NOT NULL, position TEXT NOT NULL, counts TEXT NOT NULL, shape TEXT NOT NULL,"
                " committed_at TEXT NOT NULL)"
            )
        elif missing := set(_COMMIT_COLUMNS) - set(columns):
            raise SinkMismatch(
                f"the database of {self.name} has a table {COMMITS} that Penstock did not create (it lacks "
                f"{', '.join(sorted(missing))}); rename that table, or use another database"
            )

    def _create_table(self, dropped: Sequence[str]) -> None:
        """Create the table and its children; ``dropped`` are the children of the table that it replaces."""
        for name in dropped:
            self.execute(f"DROP TABLE IF EXISTS {self.place(name)}")
        self.children.check_free()
        self.execute(f"DROP TABLE IF EXISTS {self.target}")
        columns = [
            f"{self.quoted(column.name)} {self.column_type(column)}"
            f"{' PRIMARY KEY' if at == self.options.key else ''}"
            f"{'' if column in self.options.layout.typed or column.name == 'raw' else ' NOT NULL'}"
            for at, column in enumerate(self.options.stored)
        ]
        self.execute(f"CREATE TABLE {self.target} ({', '.join(columns)})")
        for column in self.options.layout.typed:
            is_within = column in self.options.stored
            if column.indexed and is_within and (statement := self.index_statement(column)):
                self.execute(statement)
        self.children.create()

    def column_type(self, column: Column) -> str:
        """Return the SQL type of a column."""
        return self.types.get(column.name) or self.sql_type(column.type)

    def sql_type(self, kind: ColumnType) -> str:
        """Return the SQL type of a kind of values; by default lists and structs are JSON."""
        return self.types.get(kind.kind if isinstance(kind, Scalar) else "json", "TEXT")

    def index_statement(self, column: Column) -> str:  # noqa: ARG002  some databases have no indexes
        """Return the statement that makes an index of a column, or ``""``."""
        return ""

    def child_index_statement(self, child: Child) -> str:  # noqa: ARG002
        """Return the statement that makes an index of the first field of a child table, or ``""``."""
        return ""

    def _enter_empty_table(self) -> None:
        """Write the row of commits for a new or emptied table."""
        self.execute(f"DELETE FROM {self.commits} WHERE table_name = {self.mark}", (self.key_name,))
        values = (self.key_name, 0, "null", "{}", json.dumps(self.options.as_json()), _now())
        marks = ", ".join([self.mark] * len(values))
        self.execute(f"INSERT INTO {self.commits} ({', '.join(_COMMIT_COLUMNS)}) VALUES ({marks})", values)
        self.epoch = 0

    def _empty_table(self, columns: list[str], options: str) -> None:
        """Remove all rows; create the table again if it is gone or has other options."""
        then = json.loads(options)
        if (
            then == self.options.as_json()
            and set(self.options.names) <= set(columns)
            and not self.children.lost()
        ):
            self._empty()
        else:
            self._create_table(children_then(self.table, then))
        self._enter_empty_table()

    def _empty(self) -> None:
        for child in self.children.tables:
            self.execute(f"DELETE FROM {self.place(child.table)}")
        self.execute(f"DELETE FROM {self.target}")

    def _harm(self, *, thorough: bool) -> str | None:
        if not thorough:
            return None  # the commit itself finds out whether the last one is still there
        if self._held() != [(self.epoch,)]:
            return f"no longer holds commit {self.epoch}: another program has changed it"
        if self.children.lost():
            return "has lost a child table, which another program dropped"
        return None if self.columns(self.table) else "has lost its table, which another program dropped"

    # -- writing

    def write(self, groups: Sequence[list[Row]]) -> None:
        """Write groups of rows."""
        with self.writing():
            self._has_documents = True
            self._insert_groups(groups)

    def _insert_groups(self, groups: Sequence[list[Row]]) -> None:
        for group in groups:
            self.insert(group)

    def commit(self, groups: Sequence[list[Row]], commit: CommitText) -> JSON:
        """Write the last rows, commit everything since the last commit, and return the record."""
        with self.writing():
            if commit.epoch < self.epoch:
                raise SinkError(
                    f"the output {self.name} holds commit {self.epoch}; commit {commit.epoch} comes too late"
                )
            self.check_presence()
            self._has_documents = self._has_documents or bool(groups)
            values = (commit.epoch, commit.position, commit.counts, _now(), self.key_name, self.epoch)
            if self.insert_and_advance(groups, values) != 1:
                raise SinkMismatch(
                    f"the output {self.name} no longer holds commit {self.epoch}: another program has "
                    "written to it; let only one run at a time write there, and run again"
                )
            self.end()
            self.epoch = commit.epoch
        return {"format": _FORMAT, "epoch": commit.epoch}

    # -- statements

    @property
    def advance_statement(self) -> str:
        """Sets the row of commits, if it still is as this sink left it."""
        mark = self.mark
        return (
            f"UPDATE {self.commits} SET epoch = {mark}, position = {mark}, counts = {mark},"
            f" committed_at = {mark} WHERE table_name = {mark} AND epoch = {mark}"
        )

    @property
    def insert_clause(self) -> str:
        """The part of an ``INSERT`` before its rows."""
        return f"INSERT INTO {self.target} ({', '.join(map(self.quoted, self.options.names))}) "

    @property
    def upsert_clause(self) -> str:
        """The part of an ``INSERT`` after its rows: a row replaces one of the same key unless it is older."""
        names = self.options.names
        changes = ", ".join(f"{self.quoted(name)} = excluded.{self.quoted(name)}" for name in names)
        key, order = self.quoted(names[self.options.key]), self.quoted(names[ORDER])
        return f" ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE excluded.{order} >= {self.target}.{order}"


def check_table_name(table: str) -> str:
    """Return ``table``; raise ``GraphError`` if an output cannot have that name."""
    if not table or "\0" in table or len(table.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise GraphError(f"a table has a name of 1 to {MAX_NAME_BYTES} bytes without NUL, not {table!r}")
    if table.lower() == COMMITS:
        raise GraphError(f"the table {COMMITS} is Penstock's own; choose another with table=")
    return table


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
