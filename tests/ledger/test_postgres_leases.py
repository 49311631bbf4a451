"""One ledger at a time may write a key of a PostgreSQL ledger; a ledger that lost its lease writes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

import psycopg
import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.errors import LedgerBusy, LedgerError
from penstock.ledger import PostgresLedger

from .postgres_ways import execute, open_when_free


async def test_a_second_process_is_refused(url, hold):
    """The error names the holder and the time; other keys are free, and this one is free after closing."""
    holder = hold()
    async with PostgresLedger(url) as ledger:
        with pytest.raises(LedgerBusy) as refused:
            await ledger.open("k")
        told = str(refused.value)
        assert f"process {holder.process.pid} on {socket.gethostname()} since {time.strftime('%Y-')}" in told
        assert "'k'" in told
        with pytest.raises(LedgerError, match=r"await open\('k'\) first"):
            await ledger.commit("k", Commit(1, {}))
        assert (await ledger.open("another")).run == 1
        assert holder.commit() == "1"
        holder.process.stdin.close()
        holder.process.wait()
        assert (await ledger.open("k")).epoch == 1


async def test_a_second_ledger_in_the_same_process_is_refused(url):
    """A lease belongs to one ledger object, which may open its own keys again."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.open("k")
        async with PostgresLedger(url) as second:
            with pytest.raises(LedgerBusy, match=f"this process {os.getpid()}"):
                await second.open("k")
            with pytest.raises(LedgerBusy, match=f"this process {os.getpid()}"):
                await second.drop_dead_letters("k")
        await ledger.commit("k", Commit(1, {}))


async def test_a_killed_holder_is_taken_over_at_once(url, hold):
    """The server ends the session of a killed process, so its lease is free at once; its commits are kept."""
    holder = hold(lease=3600)
    assert [holder.commit(), holder.commit()] == ["1", "2"]
    holder.send(signal.SIGKILL)
    holder.process.wait()
    async with PostgresLedger(url) as ledger:
        opened = await ledger.open("k")
        assert (opened.run, opened.epoch, opened.resumed) == (1, 2, True)
        await ledger.commit("k", Commit(3, {}))


async def test_a_holder_killed_during_a_statement_is_taken_over(url, hold):
    """The server ends the statement of a killed process within a second, and keeps nothing of it."""
    holder = hold(lease=3600)
    assert holder.commit() == "1"
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE penstock_ledger.outcomes IN EXCLUSIVE MODE")
        holder.process.stdin.write("large\n")
        holder.process.stdin.flush()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while execute(url, waiting) != [(1,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        holder.send(signal.SIGKILL)
        holder.process.wait()
        async with PostgresLedger(url) as ledger:
            assert (await ledger.open("k")).epoch == 1
            other.rollback()
            await ledger.commit("k", Commit(2, {}))


STATES = [DocumentState("d", "failed", "h")]
LETTERS = [DeadLetter("d", "r", "x", "e", "E", b"raw")]
WRITES = {
    "commit": lambda ledger: ledger.commit("k", Commit(3, {}, STATES)),
    "commit with letters": lambda ledger: ledger.commit("k", Commit(3, {}, STATES, LETTERS)),
    "pending": lambda ledger: ledger.pending("k", Commit(3, {}, STATES)),
    "pending with letters": lambda ledger: ledger.pending("k", Commit(3, {}, STATES, LETTERS)),
    "pending again": lambda ledger: ledger.pending("k", Commit(2, {}, STATES)),
    "confirm": lambda ledger: ledger.confirm("k", 2),
    "confirm with letters": lambda ledger: ledger.confirm("k", 2),
    "drop": lambda ledger: ledger.confirm("k", 1),
    "finish": lambda ledger: ledger.finish("k", "completed"),
}
TABLES = ("keys", "runs", "commits", "outcomes", "documents", "dead_letters", "leases")


@pytest.mark.parametrize("write", WRITES)
async def test_a_ledger_that_lost_its_lease_writes_nothing(url, write):
    """Every write raises and changes nothing, whether it takes one statement or several."""
    letters = LETTERS if "letters" in write else []
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}, STATES, letters))
        if not write.startswith(("commit", "finish")):
            await ledger.pending("k", Commit(2, {}, STATES, letters))
        execute(url, "UPDATE penstock_ledger.leases SET token = 'of another'")
        everything = [f"SELECT {t}::text FROM penstock_ledger.{t} ORDER BY 1" for t in TABLES]  # noqa: S608
        before = [execute(url, statement) for statement in everything]
        with pytest.raises(LedgerBusy, match="this run lost its lease on 'k'"):
            await WRITES[write](ledger)
        assert [execute(url, statement) for statement in everything] == before
        with pytest.raises(LedgerError, match=r"await open\('k'\) first"):
            await WRITES[write](ledger)


async def test_a_holder_that_slept_is_fenced(url, hold):
    """A holder whose lease expired and was taken over cannot commit; the error names the new holder."""
    holder = hold(lease=0.8)
    assert holder.commit() == "1"
    holder.send(signal.SIGSTOP)
    async with PostgresLedger(url) as ledger:
        assert (await open_when_free(ledger)).epoch == 1
        holder.send(signal.SIGCONT)
        told = holder.commit()
        assert told.startswith("LedgerBusy this run lost its lease on 'k'")
        assert f"now process {os.getpid()} on" in told
        assert "await open('k') first" in holder.commit()
        await ledger.commit("k", Commit(2, {"at": "here"}))
        assert (await ledger.open("k")).position == {"at": "here"}


async def test_a_holder_that_slept_and_was_not_taken_over_goes_on(url, hold):
    """An expired lease still belongs to its holder until another ledger takes it."""
    holder = hold(lease=0.3)
    holder.send(signal.SIGSTOP)
    until = "SELECT pg_sleep(greatest(0, extract(epoch FROM expires - clock_timestamp()) + 0.01))"
    execute(url, f"{until} FROM penstock_ledger.leases")
    holder.send(signal.SIGCONT)
    assert holder.commit() == "1"


@pytest.mark.slow
async def test_a_lease_is_renewed_while_the_loop_is_busy(url):
    """A run keeps its lease while a parser blocks the loop for longer than the lease."""
    async with PostgresLedger(url, lease=0.6) as ledger:
        await ledger.open("k")
        time.sleep(1.5)  # noqa: ASYNC251  blocks the loop on purpose
        async with PostgresLedger(url) as second:
            with pytest.raises(LedgerBusy):
                await second.open("k")
        await ledger.commit("k", Commit(1, {}))
