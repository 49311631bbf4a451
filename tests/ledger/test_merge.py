"""The outcomes of a finished run become what the next run knows."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import psycopg
import pytest

from penstock.abc import Commit, DocumentState
from penstock.errors import LedgerError
from penstock.ledger import PostgresLedger, SqliteLedger
from penstock.ledger.postgres import rows as postgres_rows
from penstock.ledger.sqlite import rows


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
    """A run of any length is merged in transactions of bounded size, with the same result."""
    monkeypatch.setattr(rows, "_MERGED_AT_ONCE", at_once)
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("k")
        await commits(ledger, 20)
        await ledger.finish("k", "completed")
        await check(ledger, 20)


@pytest.mark.parametrize("parts", range(5))
async def test_a_merge_that_was_interrupted(tmp_path, monkeypatch, parts):
    """The run is completed all the same, and the next open goes on with the merge."""
    monkeypatch.setattr(rows, "_MERGED_AT_ONCE", 10)
    ledger = SqliteLedger(tmp_path / "run.db")
    await ledger.open("k")
    await commits(ledger, 20)
    whole, begun = rows.transaction, []

    @contextmanager
    def failing(db):
        begun.append(db)
        with whole(db):
            yield
            if len(begun) > parts:
                raise sqlite3.OperationalError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "transaction", failing)
        with pytest.raises(LedgerError, match="the power is gone"):
            await ledger.finish("k", "completed")
    await ledger.aclose()
    await check(ledger, 20)
    await ledger.aclose()


@pytest.mark.parametrize("at_once", [1, 3, 7, 59, 60, 61])
async def test_a_merge_in_parts_in_postgresql(url, monkeypatch, at_once):
    """The same there; a commit is never divided."""
    monkeypatch.setattr(postgres_rows, "_MERGED_AT_ONCE", at_once)
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await commits(ledger, 20)
        await ledger.finish("k", "completed")
        await check(ledger, 20)


@pytest.mark.parametrize("parts", range(6))
async def test_a_merge_in_postgresql_that_was_interrupted(url, monkeypatch, parts):
    """The run is completed all the same, and the next open goes on with the merge."""
    monkeypatch.setattr(postgres_rows, "_MERGED_AT_ONCE", 10)
    ledger = PostgresLedger(url)
    await ledger.open("k")
    await commits(ledger, 20)
    whole, begun = postgres_rows.merge, []

    def failing(db, key):
        begun.append(key)
        some = whole(db, key)
        if len(begun) > parts:
            raise psycopg.OperationalError("the power is gone")
        return some

    with monkeypatch.context() as patch:
        patch.setattr(postgres_rows, "merge", failing)
        with pytest.raises(LedgerError, match="the power is gone"):
            await ledger.finish("k", "completed")
    await ledger.aclose()
    with psycopg.connect(url) as db:
        assert db.execute("SELECT count(*) FROM penstock_ledger.outcomes").fetchone() == (20 - 4 * parts,)
        assert db.execute("SELECT state FROM penstock_ledger.runs").fetchall() == [("completed",)]
    await check(ledger, 20)
    await ledger.aclose()


async def test_a_failure_after_a_success_in_any_part(url, monkeypatch):
    """What a document last completed as is known, whether that was in this part, in one before, or a run before."""
    story = [("a", "failed"), ("b", "completed"), ("a", "completed"), ("c", "failed"), ("a", "failed")]
    for at_once in (1, 2, 100):
        monkeypatch.setattr(postgres_rows, "_MERGED_AT_ONCE", at_once)
        async with PostgresLedger(url) as ledger:
            opened = await ledger.open("k", restart=True)
            for n, (doc_id, status) in enumerate(story):
                states = [DocumentState(doc_id, status, f"h{n}")]
                await ledger.commit("k", Commit(opened.epoch + n + 1, {}, states))
            await ledger.finish("k", "completed")
            await ledger.open("k")
            asked = [("a", "h2"), ("a", "h4"), ("b", "h1"), ("c", "h3")]
            assert await ledger.compare("k", asked) == ["unchanged", "changed", "unchanged", "new"]
