"""Real processes: one of them holds a ledger, and a killed one loses no commit."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from penstock.abc import Commit, DeadLetter
from penstock.errors import LedgerBusy
from penstock.ledger import SqliteLedger, read_status

from .. import forks  # noqa: TID252  tests are no installed package
from ..length import LONG  # noqa: TID252  tests are no installed package

HERE = Path(__file__).parent
KILLS = 12 if LONG else 2


def start(script, path):
    return forks.start(HERE / script, path, text=True)


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds ``run.db``."""
    process = start("hold.py", tmp_path / "run.db")
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


async def test_a_second_process_is_refused(holder, tmp_path):
    """The error names the holder and the time; when the holder is gone, the ledger is free."""
    path = tmp_path / "run.db"
    ledger = SqliteLedger(path)
    with pytest.raises(LedgerBusy) as refused:
        await ledger.open("k")
    told = str(refused.value)
    assert f"process {holder.pid} on {socket.gethostname()} since {time.strftime('%Y-')}" in told
    assert str(path) in told
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (await ledger.open("k")).resumed
    await ledger.aclose()


async def test_a_second_ledger_in_the_same_process_is_refused(tmp_path):
    """Also through a symbolic link to the same file; after closing, the ledger is free."""
    path = tmp_path / "run.db"
    (tmp_path / "link.db").symlink_to(path)
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
        await ledger.open("another key")
        second = SqliteLedger(tmp_path / "link.db")
        with pytest.raises(LedgerBusy, match=f"this process {os.getpid()}"):
            await second.open("k")
        await second.aclose()
        await ledger.commit("k", Commit(1, {}))
    assert (await second.open("k")).epoch == 1
    await second.aclose()


async def test_a_closed_ledger_leaves_one_file(tmp_path):
    """A closed ledger leaves no log and no lock."""
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("k")
        assert (tmp_path / "run.db.lock").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["run.db"]


def test_status_during_a_run(holder, tmp_path):
    """``read_status`` needs no lock and names the holder; after a kill it calls the run interrupted."""
    (status,) = read_status(tmp_path / "run.db")
    assert (status.key, status.run, status.state, status.epoch) == ("k", 1, "running", 0)
    assert status.holder.pid == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    (status,) = read_status(tmp_path / "run.db")
    assert (status.state, status.holder) == ("interrupted", None)


def kill_after(process, target, seconds):
    """Kill ``process`` ``seconds`` after it printed ``target``; return the last epoch that it printed."""
    reported = 0
    while reported < target:
        reported = int(process.stdout.readline())
    time.sleep(seconds)  # so that the kill does not always follow a commit
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()  # communicate() would miss what readline() has buffered
    process.communicate()
    return max([reported, *(int(line) for line in rest.split("\n")[:-1])])


async def test_a_killed_process_loses_nothing_it_committed(tmp_path):
    """A ledger that was killed at any instant holds every commit that was printed, and at most one more."""
    rng = random.Random(7)
    path = tmp_path / "run.db"
    reported = 0
    for _ in range(KILLS):
        process = start("commit_until_killed.py", path)
        reported = kill_after(process, reported + rng.randrange(1, 40), rng.random() / 300)
        reported = await check(path, reported)


async def check(path, reported):
    async with SqliteLedger(path) as ledger:
        opened = await ledger.open("k")
        epoch = opened.epoch
        assert epoch in (reported, reported + 1)
        assert (opened.position["at"], opened.record) == (epoch, {"offset": epoch})
        assert await ledger.tally("k") == {"completed": 40 * epoch}
        expected = [DeadLetter(None, f"f#{n}", "x", "bad", "E", b"%d" % n) for n in range(1, epoch + 1)]
        assert [letter async for letter in ledger.dead_letters("k")] == expected
        in_this_run = opened.position["run"] == opened.run
        first = opened.position["first"] if in_this_run else epoch + 1
        asked = [(f"d{n}", f"{n:064x}") for n in range(40, 40 * (epoch + 1))]
        assert await ledger.unchanged("k", asked) == [n < 40 * first for n in range(40, 40 * (epoch + 1))]
        return epoch
