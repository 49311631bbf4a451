"""A PostgreSQL ledger waits a limited time for another session, and then says who holds what since when."""

from __future__ import annotations

import psycopg
import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.errors import LedgerBusy
from penstock.ledger import PostgresLedger
from penstock.ledger.postgres import connection

HELD = r"is held by server process {} \(stopped from 127.0.0.1\), since \d{{4}}-"
STATES = [DocumentState("d", "completed", "h")]
LOCKS = {
    "the creation": "SELECT pg_advisory_xact_lock(1346719315)",
    "a new key": "INSERT INTO penstock_ledger.keys (key, run, epoch, letters, checksum) VALUES ('new', 0, 0, 0, '')",
    "the rows": "SELECT * FROM penstock_ledger.keys FOR UPDATE",
    "a table": "LOCK TABLE penstock_ledger.outcomes IN ACCESS EXCLUSIVE MODE",
}
CALLS = {
    "the creation": lambda ledger: ledger.open("k"),
    "a new key": lambda ledger: ledger.open("new"),
    "the rows": lambda ledger: ledger.commit(
        "k", Commit(2, {}, STATES, [DeadLetter("d", "r", "x", "e", "E", b"")])
    ),
    "a table": lambda ledger: ledger.commit("k", Commit(2, {}, STATES)),
}


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_wait_for_a_session_in_a_transaction_ends(url, lock, monkeypatch):
    """Its client may be stopped or cut off. The error names the session; then the ledger can be used."""
    monkeypatch.setattr(connection, "_LOCK_SECONDS", 0.3)
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}))
        if lock == "the creation":
            await ledger.aclose()
        with psycopg.connect(url, application_name="stopped") as other:
            other.execute(LOCKS[lock])
            with pytest.raises(LedgerBusy, match=HELD.format(other.info.backend_pid)):
                await CALLS[lock](ledger)
            other.rollback()
        await ledger.open("k")
        await ledger.commit("k", Commit(3, {}))
