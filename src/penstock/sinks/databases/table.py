# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""One table of documents in a database, and the row of ``penstock_commits`` that says how far it has come.

What SQLite, DuckDB and PostgreSQL do alike; each adds how it connects, how rows go in and how it complains.
Identifiers are quoted, every value is bound. Synchronous; all calls come from one thread.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.abc import Commit
from penstock.errors import GraphError, SinkError, SinkMismatch
from penstock.sinks.databases.rows import ORDER, Shape, clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.sinks.databases.rows import Row

__all__ = ["COMMITS", "Packed", "Table", "check_table_name"]

COMMITS = "penstock_commits"
_COMMIT_COLUMNS = ("table_name", "epoch", "position", "counts", "shape", "committed_at")
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Packed:
    """A commit as text: what the loop's thread has to make of it."""

    epoch: int
    position: str
    counts: str


class Table(ABC):
    """The open table, or nothing yet.

    Args:
        output: How the output is called in messages.
        table: The name of the table.
        shape: What it is like.
    """

    group: ClassVar[int] = 2048
    """Rows that go in at once, at most. SQLite binds no more than 32,766 values in a statement."""
    size: ClassVar[int] = 8 << 20
    """Characters and bytes that go in at once, unless one row has more."""
    mark: ClassVar[str] = "?"
    """What stands for a bound value."""
    types: ClassVar[dict[str, str]] = {}
    """The types of columns, as far as they are not ``TEXT``."""
    emptying: ClassVar[str] = "DELETE FROM"
    """What empties a table."""
    errors: tuple[type[Exception], ...] = (OSError,)
    """What the database raises."""

    def __init__(self, output: str, table: str, shape: Shape) -> None:
        self.output = output
        self.name = table
        self.shape = shape
        self._epoch = 0
        self._failed: SinkError | None = None
        self._is_open = False

    # -- what each database does in its own way

    @abstractmethod
    def connect(self) -> None:
        """Connect, and keep everybody else from writing to this table."""

    @abstractmethod
    def disconnect(self) -> None:
        """Give up what was not committed, and let go of everything. Idempotent; raises nothing."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement, and return its rows."""

    @abstractmethod
    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Execute one statement, and return how many rows it changed."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction, unless one has begun."""

    @abstractmethod
    def put(self, rows: Sequence[Row]) -> None:
        """Bring in rows, no two of one key."""

    @abstractmethod
    def columns(self, table: str) -> list[str]:
        """Return the columns of a table, none if it is not there."""

    @abstractmethod
    def reason(self, error: Exception) -> str:
        """Return why ``error`` was raised and what to do about it, as the second half of a sentence."""

    def conclude(self, groups: Sequence[list[Row]], values: Sequence[Any]) -> int:
        """Bring in the last rows and move the row of commits on, by ``values``; return of how many rows.

        Nothing may be committed if it was none; otherwise it may have been, or ``end`` does it.
        """
        self._bring(groups)
        self.begin()
        return self.change(self.advance, values)

    def end(self) -> None:
        """Commit the transaction, unless that has happened."""
        self.execute("COMMIT")

    def clean(self, text: str) -> str:
        """Return text that the database can hold."""
        return clean(text)

    def clean_json(self, text: str) -> str:
        """Return JSON text that the database can hold."""
        return text

    def quoted(self, name: str) -> str:
        """Return an identifier for a statement."""
        return '"' + name.replace('"', '""') + '"'

    @property
    def key_name(self) -> str:
        """By which name ``penstock_commits`` knows the table."""
        return self.name

    @property
    def target(self) -> str:
        """The table for a statement."""
        return self.quoted(self.name)

    @property
    def commits(self) -> str:
        """The table of commits for a statement."""
        return self.quoted(COMMITS)

    # -- opening and closing

    def open(self, *, restart: bool) -> Commit | None:
        """Return the commit that the table holds, ``None`` if it is empty; see ``Sink.open``."""
        self.close()
        try:
            with self._speaking("open"):
                self.connect()
                self.begin()
                held = self._prepare(restart=restart)
                self.end()
        except BaseException:
            self.disconnect()
            raise
        self._is_open, self._failed = True, None
        return held

    def close(self) -> None:
        """Give up what was not committed. Idempotent."""
        self._is_open = False
        self.disconnect()

    def _prepare(self, *, restart: bool) -> Commit | None:
        self._create_commits()
        found = self.execute(
            f"SELECT epoch, position, counts, shape FROM {self.commits} WHERE table_name = {self.mark}",
            (self.key_name,),
        )
        columns = self.columns(self.name)
        if not found:
            if columns:
                raise SinkMismatch(
                    f"the output {self.output} is a table that Penstock did not make; "
                    "choose another with table="
                )
            self._create_table()
            self._enter(new=True)
            return None
        epoch, position, counts, shape = found[0]
        self._epoch = int(epoch)
        if restart or (not columns and not self._epoch):
            self._empty(alike=bool(columns) and self._is_alike(columns, shape))
            return None
        self._check(columns, shape)
        return Commit(self._epoch, json.loads(position), counts=json.loads(counts)) if self._epoch else None

    def _create_commits(self) -> None:
        columns = self.columns(COMMITS)
        if not columns:
            self.execute(
                f"CREATE TABLE {self.commits} (table_name {self._type('key')} PRIMARY KEY,"
                " epoch BIGINT NOT NULL, position TEXT NOT NULL, counts TEXT NOT NULL, shape TEXT NOT NULL,"
                " committed_at TEXT NOT NULL)"
            )
        elif missing := set(_COMMIT_COLUMNS) - set(columns):
            raise SinkMismatch(
                f"the database of {self.output} has a table {COMMITS} that Penstock did not make (it lacks "
                f"{', '.join(sorted(missing))}); rename that, or use another database"
            )

    def _create_table(self) -> None:
        key = self.shape.columns[self.shape.key]
        columns = [
            f"{self.quoted(name)} {self._type(name)}{' PRIMARY KEY' if name == key else ''}"
            f"{'' if name == 'raw' else ' NOT NULL'}"
            for name in self.shape.columns
        ]
        self.execute(f"CREATE TABLE {self.target} ({', '.join(columns)})")

    def _type(self, name: str) -> str:
        return self.types.get(name, "TEXT")

    def _enter(self, *, new: bool) -> None:
        """Write down that the table is there and empty."""
        shape = json.dumps(self.shape.as_json())
        if not new:
            self.execute(f"DELETE FROM {self.commits} WHERE table_name = {self.mark}", (self.key_name,))
        values = (self.key_name, 0, "null", "{}", shape, _now())
        marks = ", ".join([self.mark] * len(values))
        self.execute(f"INSERT INTO {self.commits} ({', '.join(_COMMIT_COLUMNS)}) VALUES ({marks})", values)
        self._epoch = 0

    def _empty(self, *, alike: bool) -> None:
        if alike:
            self.execute(f"{self.emptying} {self.target}")
        else:
            self.execute(f"DROP TABLE IF EXISTS {self.target}")
            self._create_table()
        self._enter(new=False)

    def _is_alike(self, columns: list[str], shape: str) -> bool:
        return json.loads(shape) == self.shape.as_json() and set(self.shape.columns) <= set(columns)

    def _check(self, columns: list[str], shape: str) -> None:
        """Refuse a table that is not what was committed to."""
        if not columns:
            raise SinkMismatch(
                f"the output {self.output} is gone, but commit {self._epoch} was made to it; "
                "put the table back, or restart to begin anew"
            )
        then, now = json.loads(shape), self.shape.as_json()
        if then != now:
            was = ", ".join(f"{name}={then.get(name)!r}" for name in now if then.get(name) != now[name])
            raise SinkMismatch(
                f"the output {self.output} was begun with {was}; give it the same again, or another table=, "
                "or restart to begin anew"
            )
        if missing := [name for name in self.shape.columns if name not in columns]:
            raise SinkMismatch(
                f"the output {self.output} has lost its columns {', '.join(missing)}; "
                "put them back, or restart to begin anew"
            )

    # -- writing

    def bring(self, groups: Sequence[list[Row]]) -> None:
        """Bring in groups of rows."""
        with self._writing():
            self._bring(groups)

    def _bring(self, groups: Sequence[list[Row]]) -> None:
        for group in groups:
            self.put(group)

    def commit(self, groups: Sequence[list[Row]], commit: Packed) -> None:
        """Bring in the last rows, and make everything since the last commit true, with ``commit``."""
        with self._writing():
            if commit.epoch < self._epoch:
                raise SinkError(
                    f"the output {self.output} holds commit {self._epoch}; "
                    f"commit {commit.epoch} comes too late"
                )
            values = (commit.epoch, commit.position, commit.counts, _now(), self.key_name, self._epoch)
            if self.conclude(groups, values) != 1:
                raise SinkMismatch(
                    f"the output {self.output} no longer holds commit {self._epoch}: something else "
                    "has written to it; let only one run at a time do that, and run again"
                )
            self.end()
            self._epoch = commit.epoch

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._failed is not None:
            raise SinkError(str(self._failed)) from self._failed
        if not self._is_open:
            raise SinkError(f"the output {self.output} is not open; await open(record) first")
        try:
            with self._speaking("write to"):
                yield
        except BaseException as error:
            told = f"a write to the output {self.output} was broken off; open it again"
            self._failed = error if isinstance(error, SinkError) else SinkError(told)
            self.disconnect()
            raise

    @contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            intact = "; what was committed is intact" if doing != "open" else ""
            raise SinkError(
                f"cannot {doing} the output {self.output}: {self.reason(error)}{intact}"
            ) from error

    # -- statements

    @property
    def advance(self) -> str:
        """What moves the row of commits on, if it still is where this sink left it."""
        mark = self.mark
        return (
            f"UPDATE {self.commits} SET epoch = {mark}, position = {mark}, counts = {mark},"
            f" committed_at = {mark} WHERE table_name = {mark} AND epoch = {mark}"
        )

    @property
    def upsert(self) -> str:
        """What follows the rows of an ``INSERT``: a row of the same key gives way if it is not newer."""
        names = self.shape.columns
        changes = ", ".join(f"{self.quoted(name)} = excluded.{self.quoted(name)}" for name in names)
        order = self.quoted(names[ORDER])
        return (
            f" ON CONFLICT ({self.quoted(names[self.shape.key])}) DO UPDATE SET {changes}"
            f" WHERE excluded.{order} >= {self.target}.{order}"
        )

    @property
    def insert(self) -> str:
        """What precedes the rows of an ``INSERT``."""
        return f"INSERT INTO {self.target} ({', '.join(map(self.quoted, self.shape.columns))}) "


def check_table_name(table: str) -> str:
    """Return ``table``; raise ``GraphError`` if it cannot be the name of an output."""
    if not table or "\0" in table or len(table.encode("utf-8", "replace")) > _LONGEST_NAME:
        raise GraphError(f"a table has a name of 1 to {_LONGEST_NAME} bytes without NUL, not {table!r}")
    if table.lower() == COMMITS:
        raise GraphError(f"the table {COMMITS} is Penstock's own; choose another with table=")
    return table


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
