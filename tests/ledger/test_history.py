"""Reading earlier runs and dead letters of a SQLite ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from penstock.abc import Commit, DeadLetter
from penstock.errors import LedgerCorrupt, LedgerError
from penstock.ledger import SqliteLedger
from penstock.ledger.history import RunRecord, read_dead_letters, read_runs

POSITION = {"v": 1, "nodes": {}}


def letter(number: int) -> DeadLetter:
    return DeadLetter(
        f"d{number}", f"f#{number}", "pubmed", "no PMID", "DocumentError", b"<x/>", {"n": number}
    )


async def write(path: Path) -> None:
    """Write a completed run with four letters, and an unfinished run with a pending letter."""
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, POSITION, (), [letter(n) for n in range(4)], counts={"failed": 4}))
        await ledger.finish("k", "completed")
        await ledger.open("k")
        await ledger.pending("k", Commit(2, POSITION, (), [letter(9)]))


async def test_runs_come_in_their_order(tmp_path: Path) -> None:
    """Completed runs have their end and their counts; a running one has neither."""
    await write(tmp_path / "l.db")
    first, second = read_runs(tmp_path / "l.db", "k")
    assert (first.run, first.state, first.counts) == (1, "completed", {"failed": 4})
    assert first.ended_at is not None
    assert first.ended_at >= first.started_at
    assert second == RunRecord(2, "running", second.started_at, None, {})


async def test_the_latest_committed_letters_come_oldest_first(tmp_path: Path) -> None:
    """At most ``latest`` letters are returned, whole; pending letters are left out."""
    await write(tmp_path / "l.db")
    assert read_dead_letters(tmp_path / "l.db", "k", latest=2) == [letter(2), letter(3)]
    assert len(read_dead_letters(tmp_path / "l.db", "k", latest=99)) == 4


async def test_a_key_that_is_not_known_has_no_history(tmp_path: Path) -> None:
    """Runs and letters of an unknown key are empty lists, not an error."""
    await write(tmp_path / "l.db")
    assert read_runs(tmp_path / "l.db", "other") == []
    assert read_dead_letters(tmp_path / "l.db", "other", latest=1) == []


def test_a_missing_ledger_is_an_error(tmp_path: Path) -> None:
    """Reading a ledger that does not exist raises, and does not create it."""
    with pytest.raises(LedgerError, match="no ledger"):
        read_runs(tmp_path / "gone.db", "k")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "read"),
    [
        ("UPDATE runs SET started_at = started_at + 1 WHERE run = 1", lambda path: read_runs(path, "k")),
        ("UPDATE dead_letters SET raw = x'00'", lambda path: read_dead_letters(path, "k", latest=1)),
    ],
)
async def test_damage_is_found(tmp_path: Path, damage: str, read) -> None:
    """A row that fails its checksum is reported, not returned."""
    path = tmp_path / "l.db"
    await write(path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(LedgerCorrupt, match="checksum"):
        read(path)
