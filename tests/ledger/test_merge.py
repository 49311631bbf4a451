"""The outcomes of a finished run become what the next run knows."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import pytest

from penstock.abc import Commit, DocumentState
from penstock.errors import LedgerError
from penstock.ledger import SqliteLedger, rows


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
