"""SQLite ledgers of other versions: older ones are migrated, newer ones are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from penstock.abc import Commit, DocumentState
from penstock.errors import LedgerError
from penstock.ledger import SqliteLedger
from penstock.ledger.sqlite import schema


def version_of(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


async def used(path):
    async with SqliteLedger(path) as ledger:
        opened = await ledger.open("k")
        commit = Commit(opened.epoch + 1, {"at": 1}, [DocumentState("d", "completed", "h")])
        await ledger.commit("k", commit)
        return opened.epoch


def schema_of(db):
    return set(db.execute("SELECT name, sql FROM sqlite_master"))


def add_note(db):
    db.execute("ALTER TABLE runs ADD COLUMN note TEXT")


def fail_midway(db):
    add_note(db)
    db.execute("SELECT * FROM nowhere")


async def test_an_older_ledger_is_migrated(tmp_path, monkeypatch):
    """A migration and its version are one transaction; after a failure the older ledger still works."""
    path, now = tmp_path / "run.db", schema.VERSION
    await used(path)
    with monkeypatch.context() as later:
        later.setattr(schema, "VERSION", now + 1)
        later.setitem(schema._MIGRATIONS, now, fail_midway)
        with pytest.raises(LedgerError, match="nowhere"):
            await SqliteLedger(path).open("k")
    assert version_of(path) == now
    assert await used(path) == 1
    monkeypatch.setattr(schema, "VERSION", now + 1)
    monkeypatch.setitem(schema._MIGRATIONS, now, lambda db: db.execute("CREATE TABLE notes (note TEXT)"))
    assert await used(path) == 2
    assert version_of(path) == now + 1
    assert await used(path) == 3


async def test_a_ledger_of_version_1_gets_its_index(tmp_path):
    """Version 2 finds the letters of records that kill by an index, which a migration adds."""
    path = tmp_path / "run.db"
    await used(path)
    with closing(sqlite3.connect(path)) as db:
        wanted = schema_of(db)
        db.execute("DROP INDEX deadly_letters")
        db.execute("PRAGMA user_version = 1")
    await used(path)
    with closing(sqlite3.connect(path)) as db:
        assert schema_of(db) == wanted
    assert version_of(path) == schema.VERSION


async def test_a_newer_ledger_is_refused(tmp_path):
    """A newer version is refused with advice, and not changed."""
    path = tmp_path / "run.db"
    await used(path)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    with pytest.raises(LedgerError, match=r"knows none above .*; use the newer Penstock that wrote it"):
        await SqliteLedger(path).open("k")
    assert version_of(path) == schema.VERSION + 1
