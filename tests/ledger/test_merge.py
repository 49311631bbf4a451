"""The outcomes of a finished run are merged into the documents that the next run knows."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import psycopg
import pytest

from penstock.abc import Commit, DocumentState
from penstock.errors import LedgerError
from penstock.ledger import PostgresLedger, SqliteLedger
from penstock.ledger.postgres import tables as postgres_tables
from penstock.ledger.sqlite import tables as sqlite_tables


async def commits(ledger, count):
    for epoch in range(1, count + 1):
        states = [DocumentState(f"d{epoch * n}", "completed", f"{epoch}") for n in (3, 1, 2)]
        await ledger.commit("k", Commit(epoch, {}, states))


def expected(count):
    return {f"d{epoch * n}": f"{epoch}" for epoch in range(1, count + 1) for n in (3, 1, 2)}


async def check(ledger, count):
    opened = await ledger.open("k")
    assert (opened.run, opened.epoch) == (2, count)
    known = expected(count)
    assert all(await ledger.unchanged("k", list(known.items())))
    assert await ledger.tally("k") == {"completed": len(known)}


@pytest.mark.parametrize("at_once", [0, 1, 3, 7, 59, 60, 61])
async def test_a_merge_in_parts(tmp_path, monkeypatch, at_once):
    """The size of the transactions does not change the result of a merge."""
    monkeypatch.setattr(sqlite_tables, "_MERGED_AT_ONCE", at_once)
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("k")
        await commits(ledger, 20)
        await ledger.finish("k", "completed")
        await check(ledger, 20)


@pytest.mark.parametrize("parts", range(5))
async def test_a_merge_that_was_interrupted(tmp_path, monkeypatch, parts):
    """After an interrupted merge the run is completed, and the next ``open`` continues the merge."""
    monkeypatch.setattr(sqlite_tables, "_MERGED_AT_ONCE", 10)
    ledger = SqliteLedger(tmp_path / "run.db")
    await ledger.open("k")
    await commits(ledger, 20)
    whole, begun = sqlite_tables.transaction, []

    @contextmanager
    def failing(db):
        begun.append(db)
        with whole(db):
            yield
            if len(begun) > parts:
                raise sqlite3.OperationalError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_tables, "transaction", failing)
        with pytest.raises(LedgerError, match="the power is gone"):
            await ledger.finish("k", "completed")
    await ledger.aclose()
    await check(ledger, 20)
    await ledger.aclose()


@pytest.mark.parametrize("at_once", [1, 3, 7, 59, 60, 61])
async def test_a_merge_in_parts_in_postgresql(url, monkeypatch, at_once):
    """In PostgreSQL too; a commit is always merged as a whole."""
    monkeypatch.setattr(postgres_tables, "_MERGED_AT_ONCE", at_once)
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await commits(ledger, 20)
        await ledger.finish("k", "completed")
        await check(ledger, 20)


@pytest.mark.parametrize("parts", range(6))
async def test_a_merge_in_postgresql_that_was_interrupted(url, monkeypatch, parts):
    """After an interrupted merge the run is completed, and the next ``open`` continues the merge."""
    monkeypatch.setattr(postgres_tables, "_MERGED_AT_ONCE", 10)
    ledger = PostgresLedger(url)
    await ledger.open("k")
    await commits(ledger, 20)
    whole, begun = postgres_tables.PostgresTables.merge, []

    def failing(tables, key):
        begun.append(key)
        some = whole(tables, key)
        if len(begun) > parts:
            raise psycopg.OperationalError("the power is gone")
        return some

    with monkeypatch.context() as patch:
        patch.setattr(postgres_tables.PostgresTables, "merge", failing)
        with pytest.raises(LedgerError, match="the power is gone"):
            await ledger.finish("k", "completed")
    await ledger.aclose()
    with psycopg.connect(url) as db:
        assert db.execute("SELECT count(*) FROM penstock_ledger.outcomes").fetchone() == (20 - 4 * parts,)
        assert db.execute("SELECT state FROM penstock_ledger.runs").fetchall() == [("completed",)]
    await check(ledger, 20)
    await ledger.aclose()


async def test_a_failure_after_a_success_in_any_part(url, monkeypatch):
    """The hash of the last success is kept, whether it was in this part, an earlier part or an earlier run."""
    story = [("a", "failed"), ("b", "completed"), ("a", "completed"), ("c", "failed"), ("a", "failed")]
    for at_once in (1, 2, 100):
        monkeypatch.setattr(postgres_tables, "_MERGED_AT_ONCE", at_once)
        async with PostgresLedger(url) as ledger:
            opened = await ledger.open("k", restart=True)
            for n, (doc_id, status) in enumerate(story):
                states = [DocumentState(doc_id, status, f"h{n}")]
                await ledger.commit("k", Commit(opened.epoch + n + 1, {}, states))
            await ledger.finish("k", "completed")
            await ledger.open("k")
            asked = [("a", "h2"), ("a", "h4"), ("b", "h1"), ("c", "h3")]
            assert await ledger.compare("k", asked) == ["unchanged", "changed", "unchanged", "new"]
