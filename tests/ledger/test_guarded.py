"""A ledger notices that another program touched its file or its lock, and then writes nothing more."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from penstock.abc import Commit
from penstock.errors import LedgerBusy, LedgerError
from penstock.ledger import SqliteLedger

from ..sinks.databases import harms_of, lose_lock  # noqa: TID252  tests are no installed package

WRITES = {
    "commit": lambda ledger: ledger.commit("k", Commit(3, {})),
    "pending": lambda ledger: ledger.pending("k", Commit(3, {})),
    "finish": lambda ledger: ledger.finish("k", "completed"),
    "drop": lambda ledger: ledger.drop_dead_letters("k"),
    "another key": lambda ledger: ledger.open("another"),
}


def commits_in(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [epoch for (epoch,) in db.execute("SELECT epoch FROM commits ORDER BY epoch")]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("harm", ["removed", "renamed", "replaced", "rotated", "truncated"])
async def test_a_file_that_is_gone_is_noticed(tmp_path, harm, write):
    """Every write raises. What was committed is in the file that the error names, unless the file was cut."""
    path = tmp_path / "run.db"
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}))
        await ledger.commit("k", Commit(2, {}))
        harms_of(path)[harm]()
        with pytest.raises(LedgerError, match=f"the ledger {path} (was|has)") as raised:
            await WRITES[write](ledger)
    kept = [file for file in tmp_path.iterdir() if file.name in ("run.db.kept", "run.db.1")]
    if harm != "truncated":
        assert str(kept[0]) in str(raised.value)
        assert commits_in(kept[0]) == [1, 2]


async def test_a_log_that_was_removed_is_noticed(tmp_path):
    """What was committed is written into the file itself."""
    path = tmp_path / "run.db"
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}))
        (tmp_path / "run.db-wal").unlink()
        with pytest.raises(LedgerError, match=r"has lost its log run\.db-wal.* is in .*run\.db now"):
            await ledger.commit("k", Commit(2, {}))
    assert commits_in(path) == [1]


@pytest.mark.parametrize("write", WRITES)
async def test_a_ledger_that_lost_its_lock_writes_nothing(tmp_path, write):
    """Another ledger has the file; the error says how the lock was lost, and the other's lock stays."""
    path = tmp_path / "run.db"
    async with SqliteLedger(path) as first:
        await first.open("k")
        await first.commit("k", Commit(1, {}))
        await first.commit("k", Commit(2, {}))
        lose_lock(path)
        async with SqliteLedger(path) as second:
            await second.open("k")
            with pytest.raises(
                LedgerBusy, match=r"lost its lock on the ledger .*: its lock file .* was removed"
            ):
                await WRITES[write](first)
            await first.aclose()
            assert (tmp_path / "run.db.lock").exists()
            await second.commit("k", Commit(3, {"second": True}))
            assert (await second.open("k")).position == {"second": True}
