"""The ledgers that must keep the same promises, and how each of them crashes."""

from __future__ import annotations

import asyncio
import shutil
from itertools import count
from pathlib import Path

import psycopg
import pytest

from penstock.ledger import MemoryLedger, PostgresLedger, SqliteLedger

from .postgres_ways import Holder


class MemoryKind:
    """In memory a crash ends the session; the next one finds what was committed."""

    def __init__(self, folder: Path) -> None:
        pass

    def new(self):
        return MemoryLedger()

    async def crash(self, ledger):
        await ledger.aclose()
        return ledger


class SqliteKind:
    """On disk a crash leaves the files, with the log, as they are at that moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = count()

    def new(self):
        folder = self._folder / f"{next(self._names)}"
        folder.mkdir()
        return SqliteLedger(folder / "run.db")

    async def crash(self, ledger):
        after = self.new()
        for file in (ledger.path, ledger.path.with_name("run.db-wal")):
            if file.exists():
                shutil.copy(file, after.path.with_name(file.name))
        await ledger.aclose()
        shutil.rmtree(ledger.path.parent)
        return after


_databases = {}


def empty_database(server):
    """Return the URL of a database without a ledger: one per server, because creating one takes a second."""
    url = _databases.get(server) or _databases.setdefault(server, server.database())
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS penstock_ledger CASCADE")
    return url


class PostgresKind:
    """In PostgreSQL a crash ends the session; the next ledger has a session of its own."""

    def __init__(self, server):
        self._server = server

    def new(self):
        return PostgresLedger(empty_database(self._server))

    async def crash(self, ledger):
        after = PostgresLedger(ledger._store._url)
        store = ledger._store
        if store._tables is not None:
            with psycopg.connect(store._url, autocommit=True) as other:
                pid = store._tables.db.info.backend_pid
                await ledger._worker.run(store._tables.db.close)
                while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        await ledger.aclose()
        return after


KINDS = {"memory": MemoryKind, "sqlite": SqliteKind, "postgres": PostgresKind}


def place_for(request, name, folder):
    """Return the place for ledgers of that kind; skip the test if PostgreSQL is not installed."""
    return request.getfixturevalue("postgres_server") if name == "postgres" else folder


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    """Return one kind of ledger."""
    return KINDS[request.param](place_for(request, request.param, tmp_path))


@pytest.fixture
def make_kind(request, tmp_path):
    """Return a function that takes the name of a kind of ledger and returns the kind."""
    return lambda name: KINDS[name](place_for(request, name, tmp_path))


@pytest.fixture
async def ledger(kind):
    """Return a fresh ledger of each kind."""
    ledger = kind.new()
    yield ledger
    await ledger.aclose()


@pytest.fixture
def url(postgres_server):
    """Return the URL of a PostgreSQL database without a ledger."""
    return empty_database(postgres_server)


@pytest.fixture
def hold(url):
    """Return a function that starts another process which holds the key ``k``."""
    holders = []

    def start(lease=30.0):
        holders.append(Holder(url, lease))
        return holders[-1]

    yield start
    for holder in holders:
        holder.end()
