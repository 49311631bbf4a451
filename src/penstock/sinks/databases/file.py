"""What the databases that are one file share: SQLite and DuckDB."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from penstock.errors import SinkError
from penstock.sinks.databases.rows import Deleted, TableOptions, Tables, Versions
from penstock.sinks.databases.sink import DatabaseSink
from penstock.sinks.databases.table import Table, check_table_name
from penstock.sinks.databases.urls import file_url, parse_file_url
from penstock.sinks.layout import Layout
from penstock.system import DiskStorage, Watch
from penstock.system.places import file_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import JSON, Commit
    from penstock.system import Lock


class FileTable(Table):
    """A table in the file ``path``. A lock on ``<path>.lock`` lets one sink at a time write to the file."""

    scheme: ClassVar[str]
    logs: ClassVar[tuple[str, ...]]
    """The endings of the files that the database keeps beside its own."""

    def __init__(self, path: Path, table: str, options: TableOptions) -> None:
        url = file_url(self.scheme, path, check_table_name(table))
        super().__init__(url, table, options)
        self.path = path
        self._watch: Watch | None = None
        self._is_new = False
        """Whether this ``open`` has created the file."""

    @abstractmethod
    def watch(self) -> Watch:
        """Return what looks after the open file."""

    @abstractmethod
    def empty_log(self) -> bool:
        """Roll back what was not committed, and write the database's log into the file, if possible."""

    @abstractmethod
    def keep(self, path: Path) -> None:
        """Write everything that was committed into a new database at ``path``."""

    def _make_lock(self) -> Lock:
        self.path = self.path.absolute()  # from now on, whatever the working directory is
        return DiskStorage().lock(self.path)

    def _harm(self, *, thorough: bool) -> str | None:
        watch = self._watch
        if watch is None or (happened := watch.harm()) is None:
            return super()._harm(thorough=thorough)
        if not happened.gone:
            return happened.what
        return f"{happened.what}; {watch.whereabouts(self.keep, is_complete=self.empty_log())}"

    def _open(self, record: JSON, *, restart: bool) -> Commit | None:
        if self.path.is_dir():
            raise SinkError(f"cannot open the output {self.name}: it is a folder; name a file")
        self._is_new = not os.path.lexists(self.path)
        commit = super()._open(record, restart=restart)
        self._watch = self.watch()
        return commit

    def _claim(self) -> None:
        if os.path.lexists(self.path):  # to connect would create it
            super()._claim()

    def _undo_open(self) -> None:
        if not self._is_new:
            super()._undo_open()
        elif self._watch is None or self._watch.harm() is None:
            self._discard()
            for path in (self.path, *(self.path.with_name(self.path.name + end) for end in self.logs)):
                path.unlink(missing_ok=True)
            DiskStorage().fsync_folder(self.path.parent)

    def _discard(self) -> None:
        self._watch, self._is_new = None, False
        super()._discard()


class FileDatabaseSink(DatabaseSink):
    """Writes documents into a table of a database that is one file; see ``DatabaseSink``.

    Args:
        path: The file; it and its folders are created if absent.
        table, versions, deleted, tables, schema, columns, include_raw: See ``DatabaseSink``.

    Raises:
        GraphError: the table cannot have that name, or an option is unknown.
    """

    _table_type: ClassVar[type[FileTable]]

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        table: str = "documents",
        versions: Versions = "replace",
        deleted: Deleted = "mark",
        tables: Tables = "nested",
        schema: type | None = None,
        columns: Sequence[str] | None = None,
        include_raw: bool = False,
    ) -> None:
        self._path = file_path(path)
        layout = Layout.of(schema, columns, include_raw=include_raw)
        options = TableOptions(versions, deleted, layout, tables)
        super().__init__(self._table_type(self._path, table, options))

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Return the sink of ``sqlite:///path.db?table=…&versions=…&deleted=…&tables=…&raw=true``, or ``duckdb:///…``."""
        path, given = parse_file_url(url)
        return cls(path, **options | given)

    @property
    def path(self) -> Path:
        """Where the output is."""
        return self._path
