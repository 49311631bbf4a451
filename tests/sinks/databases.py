# ruff: noqa: S608 - tables are those of the tests
"""The databases of the tests. The tests read them through the plain drivers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from itertools import count

import duckdb
import psycopg

from penstock.document import Document
from penstock.sinks import sink_from
from penstock.sinks.databases.duckdb import _SETTINGS
from penstock.sinks.files.lines import encode_lines
from penstock.system.lock import _ours, lock_path

FIELDS = (
    "doc_id",
    "record_id",
    "source",
    "version",
    "title",
    "content",
    "metadata",
    "content_hash",
    "deleted",
)


def document_of(row):
    """Return the document of a row."""
    fields = dict(zip(FIELDS, row, strict=True))
    if fields["record_id"] == fields["doc_id"]:
        fields["record_id"] = ""
    metadata = fields.pop("metadata")
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    return Document(**{**fields, "metadata": metadata, "deleted": bool(fields["deleted"])})


def harms_of(path):
    """Return what another program may do to an open file, by name."""

    def replace():
        (path.parent / "another").write_bytes(b"")
        (path.parent / "another").rename(path)

    def rotate():
        path.rename(path.with_name(f"{path.name}.1"))
        path.write_bytes(b"")

    return {
        "removed": path.unlink,
        "renamed": lambda: path.rename(path.with_name(f"{path.name}.1")),
        "replaced": replace,
        "rotated": rotate,
        "truncated": lambda: os.truncate(path, 0),
    }


def wipe(folder):
    """Remove everything in ``folder``."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_lock(path):
    """Remove the lock file of ``path``, and let this process forget that it holds the lock."""
    lock = lock_path(path)
    lock.unlink()
    del _ours[lock]


class DatabaseKind:
    """A database for one test."""

    table = "documents"
    nul = "\0"
    """How the database stores a NUL."""
    group = None
    """The maximum of rows in a group, if it is not the usual one: a small one makes a commit take several statements."""

    def new(self, **options):
        """Return a sink, made from its URL."""
        query = "&".join(f"{name}={value}" for name, value in {"table": self.table, **options}.items())
        sink = sink_from(f"{self.base}?{query}")
        if self.group is not None:
            sink._groups.max_rows = self.group
        return sink

    def query(self, statement, *values):
        """Execute a statement without the sink, and return its rows."""
        raise NotImplementedError

    def documents(self):
        """Return the documents of the table, sorted by number and version."""
        table = '"' + self.table.replace('"', '""') + '"'
        rows = self.query(f"SELECT {', '.join(FIELDS)} FROM {table}")
        return sorted(map(document_of, rows), key=lambda d: (d.metadata.get("n", 0), d.doc_id))

    def content(self, sink):
        return encode_lines(self.documents())

    def held(self):
        """Return the committed epoch."""
        [(epoch,)] = self.query("SELECT epoch FROM penstock_commits")
        return epoch

    def known_as(self, table):
        """Return the name of the table in the table of commits."""
        return table

    async def change_meanwhile(self, sink, statement):
        """Change the database while ``sink`` has it open."""
        self.query(statement)

    def break_at(self, sink, at, *, after):
        """Make the call number ``at`` to the database fail, before or after its effect."""
        calls = count()
        for name in ("connect", "begin", "execute", "update", "insert", "insert_and_advance", "end"):
            setattr(sink._table, name, self._broken(getattr(sink._table, name), calls, at, after))

    def _broken(self, call, calls, at, after):
        def broken(*args):
            now = next(calls) == at
            if now and not after:
                raise self.error()
            result = call(*args)
            if now:
                raise self.error()
            return result

        return broken

    async def crash(self, sink):
        """Do what a crash does: lose everything that was not committed."""
        await sink._worker.run(sink._table._discard)
        await sink.aclose()
        return self.new()


class FileDatabaseKind(DatabaseKind):
    """A database that is one file."""

    def harms(self, sink):
        return harms_of(self.path)

    def wipe(self):
        wipe(self.path.parent)

    def lose_lock(self, sink):
        lose_lock(self.path)


class SqliteKind(FileDatabaseKind):
    """A SQLite file."""

    limit = 200_000
    """A file size that the documents of a test exceed."""
    error = staticmethod(lambda: sqlite3.OperationalError("disk I/O error, as planned"))

    def __init__(self, folder):
        self.path = folder / "out.db"
        self.base = f"sqlite:///{self.path}"

    def query(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.path)) as db, db:
            return db.execute(statement, values).fetchall()


class DuckDBKind(FileDatabaseKind):
    """A DuckDB file, which one process at a time can open."""

    limit = 700_000
    error = staticmethod(lambda: duckdb.IOException("no space left, as planned"))

    def __init__(self, folder):
        self.path = folder / "out.duckdb"
        self.base = f"duckdb:///{self.path}"

    def query(self, statement, *values):
        with duckdb.connect(str(self.path), config=_SETTINGS) as db:
            return db.execute(statement, values).fetchall()

    def known_as(self, table):
        return table.lower()


_bases = {}
"""The database of each server. All tests share it, because a new one takes a second and 8 MB."""


class PostgresKind(DatabaseKind):
    """A PostgreSQL database of a real server, which the tests start."""

    nul = "\ufffd"
    error = staticmethod(lambda: psycopg.OperationalError("the server went away, as planned"))

    def __init__(self, server):
        if server not in _bases:
            _bases[server] = server.database()
        self.server = server
        self.base = _bases[server]
        self.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def harms(self, sink):
        return {
            "dropped": lambda: self.query(f'DROP TABLE "{self.table}"'),
            "forgotten": lambda: self.query("DELETE FROM penstock_commits"),
        }

    def wipe(self):
        self.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def lose_lock(self, sink):
        self.query(f"SELECT pg_terminate_backend({sink._table.db.info.backend_pid})")

    def query(self, statement, *values):
        with psycopg.connect(self.base, autocommit=True) as db:
            cursor = db.execute(statement)
            return cursor.fetchall() if cursor.description else []


FILE_DATABASES = ["sqlite", "duckdb"]
DATABASES = [*FILE_DATABASES, "postgres"]


def database_of(request, folder):
    """Return the database that the fixture's parameter names."""
    if request.param == "postgres":
        return PostgresKind(request.getfixturevalue("postgres_server"))
    return {"sqlite": SqliteKind, "duckdb": DuckDBKind}[request.param](folder)
