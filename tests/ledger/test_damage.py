"""A damaged ledger is refused with a clear error, or read correctly; it never looks like a new one."""

from __future__ import annotations

import shutil
import sqlite3
import zlib

import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.errors import LedgerCorrupt, LedgerError
from penstock.ledger import SqliteLedger, read_status
from penstock.testing.faults import damage_and_read

from ..length import LONG  # noqa: TID252  tests are no installed package

COMMITS = 12
DAMAGES = 250 if LONG else 40
"""To each of the two files."""


def documents(run):
    return [DocumentState(f"PMID:{n}:1", "completed", f"{run}{n:063x}") for n in range(300)]


def letter(n):
    return DeadLetter(None, f"f#{n}", "pubmed", "bad", "E", bytes([n]) * 700)


def commit_of(epoch, states):
    return Commit(
        epoch, {"v": 1, "at": epoch}, states, [letter(epoch)], {"offset": epoch}, {"completed": epoch}
    )


async def written(path, *, closed):
    """Write a ledger with a finished and an interrupted run; copy it as ``aclose``, or a kill, leaves it."""
    ledger = SqliteLedger(path / "live" / "run.db")
    ledger.path.parent.mkdir()
    await ledger.open("k")
    await ledger.commit("k", commit_of(1, documents(1)))
    await ledger.finish("k", "completed")
    await ledger.open("k")
    for epoch in range(2, COMMITS + 1):
        await ledger.commit("k", commit_of(epoch, documents(2)[20 * epoch : 20 * epoch + 20]))
    if closed:
        await ledger.aclose()
    (path / "kept").mkdir()
    for file in ledger.path.parent.glob("run.db*"):
        if file.suffix in (".db", ".db-wal"):
            shutil.copy(file, path / "kept")
    await ledger.aclose()
    return path / "kept"


async def read(path):
    """Return everything that a resumed run reads."""
    ledger = SqliteLedger(path)
    try:
        opened = await ledger.open("k")
        letters = [letter async for letter in ledger.dead_letters("k")]
        asked = [(state.doc_id, state.content_hash) for state in documents(1)]
        return opened, letters, await ledger.unchanged("k", [*asked, *((d, "f" + h[1:]) for d, h in asked)])
    finally:
        await ledger.aclose()


async def outcome(path):
    """Return the epoch after checking what was read; a refusal must have an expected cause."""
    try:
        opened, letters, unchanged = await read(path)
    except LedgerError as error:
        assert error.__cause__ is None or isinstance(
            error.__cause__, sqlite3.Error | OSError | UnicodeDecodeError
        )
        raise
    assert opened.run == 2
    assert opened.resumed
    assert opened.position == {"v": 1, "at": opened.epoch}
    assert opened.record == {"offset": opened.epoch}
    assert opened.counts == ({"completed": opened.epoch} if opened.epoch > 1 else {})
    assert letters == [letter(n) for n in range(1, opened.epoch + 1)]
    assert not any(unchanged[300:])
    return opened.epoch


async def outcome_beside(log):
    return await outcome(log.with_name("run.db"))


async def test_damage_to_the_file(tmp_path):
    """After a random flipped bit, zeroed stretch or cut end, a closed ledger is refused or read correctly."""
    folder = await written(tmp_path, closed=True)
    damages = await damage_and_read(folder, "run.db", outcome, lambda epoch: epoch == COMMITS, times=DAMAGES)
    assert min(damages.refused, damages.right) > 0


async def test_damage_to_the_log(tmp_path):
    """After damage to the log, a killed ledger is refused, or read as of some commit."""
    folder = await written(tmp_path, closed=False)
    damages = await damage_and_read(
        folder, "run.db-wal", outcome_beside, lambda epoch: 1 <= epoch <= COMMITS, times=DAMAGES
    )
    assert min(damages.refused, damages.right) > 0


async def test_a_whole_log_is_replayed(tmp_path):
    """A killed process loses no commit."""
    folder = await written(tmp_path, closed=False)
    assert (folder / "run.db-wal").stat().st_size > 0
    assert await outcome(folder / "run.db") == COMMITS


async def test_damage_in_the_middle_of_the_log_is_noticed(tmp_path):
    """A broken frame that two commits follow was damaged after it was written."""
    folder = await written(tmp_path, closed=False)
    log = folder / "run.db-wal"
    data = bytearray(log.read_bytes())
    data[32 + 24 + 100] ^= 1
    log.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match="frame 1 of its write-ahead log is broken"):
        await read(folder / "run.db")


async def test_a_log_without_its_ledger(tmp_path):
    """A deleted ledger whose log still exists is not replaced by a new one."""
    folder = await written(tmp_path, closed=False)
    (folder / "run.db").unlink()
    with pytest.raises(LedgerCorrupt, match=r"put run.db back, or delete run.db-wal"):
        await read(folder / "run.db")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello\n", "not a SQLite database"),
        (b"{}" * 5000, "not a SQLite database"),
        (zlib.compress(bytes(9999)), "not a SQLite database"),
        (b"SQLite format 3\0", "not a SQLite database"),
    ],
)
async def test_a_file_that_is_not_a_ledger(tmp_path, content, says):
    """The file is refused, and not changed."""
    path = tmp_path / "run.db"
    path.write_bytes(content)
    with pytest.raises(LedgerCorrupt, match=says):
        await SqliteLedger(path).open("k")
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["run.db"]


async def test_another_database(tmp_path):
    """Another kind of SQLite database is refused, and not changed."""
    path = tmp_path / "places.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE keys (a)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(LedgerCorrupt, match="not a Penstock ledger"):
        await SqliteLedger(path).open("k")
    with pytest.raises(LedgerCorrupt, match="not a Penstock ledger"):
        read_status(path)
    assert path.read_bytes() == before


async def test_a_newer_ledger(tmp_path):
    """A ledger with a newer schema version is refused; the error names the version."""
    path = (await written(tmp_path, closed=True)) / "run.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match=r"schema version 99.*newer Penstock"):
        await read(path)


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE commits SET position = \'{"v":1,"at":2}\' WHERE epoch = 12',
        "UPDATE commits SET record = '{\"offset\":2}' WHERE epoch = 12",
        "UPDATE commits SET epoch = 13 WHERE epoch = 12",
        "DELETE FROM commits WHERE epoch = 12",
        "UPDATE commits SET position = x'00' WHERE epoch = 12",
        "UPDATE keys SET key = 'j'",
        "UPDATE keys SET epoch = 11",
        "UPDATE runs SET run = 3 WHERE run = 2",
        "DELETE FROM runs WHERE run = 2",
        "DELETE FROM keys",
        "UPDATE dead_letters SET raw = x'00' WHERE epoch = 3",
        "UPDATE dead_letters SET key_id = 77 WHERE epoch = 3",
    ],
)
async def test_rows_that_were_changed(tmp_path, statement):
    """Changed or missing keys, runs, commits and dead letters are found by checksums, counts and references."""
    path = (await written(tmp_path, closed=True)) / "run.db"
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(LedgerCorrupt, match="damaged"):
        await read(path)
