"""Errors of the system are explained, and commits are kept."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
from contextlib import contextmanager

import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.errors import LedgerBusy, LedgerError
from penstock.ledger import SqliteLedger, read_status

from .. import forks  # noqa: TID252  tests are no installed package


def large(epoch):
    states = [DocumentState(f"{epoch}/{n}", "completed", f"{n:064x}") for n in range(1000)]
    return Commit(
        epoch, {"at": epoch}, states, [DeadLetter(None, f"f#{epoch}", "x", "e", "E", os.urandom(99_000))]
    )


@contextmanager
def file_size_limit(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def commit_until_refused(ledger):
    """Return the error, and the last epoch that was committed."""
    opened = await ledger.open("k")
    for epoch in range(opened.epoch + 1, 1000):
        try:
            await ledger.commit("k", large(epoch))
        except LedgerError as error:
            return str(error), epoch - 1
    raise AssertionError


async def goes_on(path, epoch):
    async with SqliteLedger(path) as ledger:
        opened = await ledger.open("k")
        assert (opened.epoch, opened.position) == (epoch, {"at": epoch} if epoch else None)
        assert await ledger.tally("k") == ({"completed": 1000 * epoch} if epoch else {})
        await ledger.commit("k", large(epoch + 1))


async def test_a_folder(tmp_path):
    """A folder cannot be a ledger."""
    with pytest.raises(LedgerError, match=r"is a folder; name a file, such as .*run\.db"):
        await SqliteLedger(tmp_path).open("k")


async def test_a_missing_folder(tmp_path):
    """Reading a ledger creates no folder; a run creates those that are missing."""
    path = tmp_path / "no" / "where" / "run.db"
    with pytest.raises(LedgerError, match="there is no ledger at"):
        read_status(path)
    assert not path.parent.exists()
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
    assert path.exists()


def test_status_of_a_missing_ledger(tmp_path):
    """``read_status`` raises, and does not create a ledger."""
    with pytest.raises(LedgerError, match="there is no ledger at"):
        read_status(tmp_path / "run.db")
    assert list(tmp_path.iterdir()) == []


async def test_a_file_size_limit(tmp_path):
    """SQLite only reports "disk I/O error"; our error names the limit. The last commit is kept."""
    path = tmp_path / "run.db"
    async with SqliteLedger(path) as ledger:
        with file_size_limit(1 << 20):
            told, epoch = await commit_until_refused(ledger)
        assert "disk I/O error" in told
        assert "may write files of 1048576 bytes at most; raise the limit (ulimit -f)" in told
        assert str(path) in told
        assert epoch > 0
        assert (await ledger.open("k")).epoch == epoch
        await ledger.commit("k", large(epoch + 1))
    await goes_on(path, epoch + 1)


async def test_a_file_size_limit_at_the_first_open(tmp_path):
    """A ledger that cannot be created leaves no file."""
    path = tmp_path / "run.db"
    ledger = SqliteLedger(path)
    with file_size_limit(4096), pytest.raises(LedgerError, match="raise"):
        await ledger.open("k")
    await ledger.aclose()
    assert not path.exists()
    await goes_on(path, 0)


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk(small_disk):
    """The error names the full disk; the last commit is kept, and the run goes on when there is space."""
    path = small_disk / "run.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    ledger = SqliteLedger(path)
    told, epoch = await commit_until_refused(ledger)
    assert f"cannot write to the ledger {path}: the disk is full; free some space and run again" in told
    await ledger.aclose()
    (status,) = read_status(path)
    assert status.epoch == epoch
    ballast.unlink()
    await goes_on(path, epoch)


AS_NOBODY = """
import asyncio, os, sys, tempfile
from penstock.ledger import SqliteLedger, read_status
from penstock.errors import LedgerError
async def warm_up(folder):  # import the modules that are imported late
    async with SqliteLedger(folder + "/x.db") as ledger:
        await ledger.open("k")
with tempfile.TemporaryDirectory() as folder:
    asyncio.run(warm_up(folder))
if os.geteuid() == 0:
    os.seteuid(65534)
async def main(path):
    try:
        print([status.key for status in read_status(path)])
    except LedgerError as error:
        print(error)
    try:
        await SqliteLedger(path).open("k")
    except LedgerError as error:
        print(error)
asyncio.run(main(sys.argv[1]))
"""


def as_nobody(path):
    ran = forks.finish("-c", AS_NOBODY, path, folder="/")
    assert not ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o777, 0o444), (0o555, 0o666), (0o555, 0o444)])
async def test_a_read_only_ledger(open_folder, folder_mode, file_mode):
    """A ledger or folder without write permission is refused for a run, but can be read."""
    path = open_folder / "there" / "run.db"
    path.parent.mkdir()
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
    path.chmod(file_mode)
    path.parent.chmod(folder_mode)
    seen, refused = as_nobody(path)
    path.parent.chmod(0o755)
    assert seen == "['k']"
    assert refused.startswith(f"cannot open the ledger {path}: ")
    assert "permission" in refused or "readonly" in refused


async def test_a_database_that_another_program_locked(tmp_path, monkeypatch):
    """A lock of another program on the database raises after some seconds."""
    monkeypatch.setattr("penstock.ledger.sqlite.connection._BUSY_SECONDS", 0.0)
    path = tmp_path / "run.db"
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy, match="locked by another program"):
            await ledger.commit("k", Commit(1, {}))
        other.execute("ROLLBACK")
        other.close()
        await ledger.commit("k", Commit(1, {}))


async def test_a_cancelled_commit_still_runs(tmp_path):
    """A commit is written even if it is cancelled, while it runs or while it waits for its turn."""
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("k")
        commits = [asyncio.ensure_future(ledger.commit("k", large(epoch))) for epoch in (1, 2, 3)]
        await asyncio.sleep(0)
        for commit in commits:
            commit.cancel()
        await asyncio.wait(commits)
        assert all(commit.cancelled() for commit in commits)
        assert (await ledger.open("k")).epoch == 3
        assert await ledger.tally("k") == {"completed": 3000}


async def test_a_cancelled_commit_that_fails_is_reported_by_the_next_call(tmp_path):
    """The next call raises the error of a cancelled commit."""
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("k")
        task = asyncio.ensure_future(ledger.commit("k", Commit(0, {})))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        with pytest.raises(LedgerError, match="epoch 0"):
            await ledger.open("k")
        await ledger.commit("k", Commit(1, {}))


async def test_closing_during_a_commit(tmp_path):
    """A cancelled close goes on in the background; the next call waits for it."""
    ledger = SqliteLedger(tmp_path / "run.db")
    await ledger.open("k")
    commit = asyncio.ensure_future(ledger.commit("k", large(1)))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(ledger.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await commit
    opened = await ledger.open("k")
    assert (opened.epoch, opened.resumed) == (1, True)
    await ledger.aclose()


def test_one_ledger_in_several_loops(tmp_path):
    """A ledger can be used in several event loops, one after another, as in the cells of a notebook."""
    ledger = SqliteLedger(tmp_path / "run.db")
    asyncio.run(ledger.open("k"))
    asyncio.run(ledger.commit("k", Commit(1, {})))
    asyncio.run(ledger.aclose())
    assert [status.epoch for status in read_status(tmp_path / "run.db")] == [1]
