"""Reading ledgers by path or URL, also while a run writes them."""

from __future__ import annotations

import os

import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.errors import GraphError, LedgerCorrupt, LedgerError
from penstock.ledger import PostgresLedger, SqliteLedger, ledger_from, read_status
from penstock.ledger.history import read_dead_letters, read_runs


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """Return the path or URL of a ledger that does not exist yet."""
    return request.getfixturevalue("url") if request.param == "postgres" else str(tmp_path / "run.db")


def letter(n, name="f#1"):
    return DeadLetter("d", f"{name}{n}", "x", "bad\0", "E", b"%d" % n, {"at": n}, "Trace", 2, 1.5)


async def test_status_during_a_run(place):
    """Status, runs and latest letters are the same for both databases."""
    async with ledger_from(place) as ledger:
        await ledger.open("b\0")
        await ledger.commit(
            "b\0", Commit(1, {"at": 1}, [DocumentState("d", "completed", "h")], counts={"completed": 1})
        )
        await ledger.finish("b\0", "completed")
        opened = await ledger.open("a")
        await ledger.commit(
            "a", Commit(3, {"at": 3}, [], [letter(n) for n in range(5)], record={"offset": 9})
        )
        await ledger.pending("a", Commit(4, {"at": 4}))
        first, second = read_status(place)
        assert (first.key, first.run, first.state, first.epoch) == ("a", 1, "running", 3)
        assert (first.position, first.record, first.dead_letters) == ({"at": 3}, {"offset": 9}, 5)
        assert (first.pending, first.holder.pid, first.started_at) == ((4,), os.getpid(), opened.started_at)
        assert (second.key, second.state, second.counts) == ("b\0", "completed", {"completed": 1})
        (run,) = read_runs(place, "b\0")
        assert (run.run, run.state, run.counts) == (1, "completed", {"completed": 1})
        assert read_dead_letters(place, "a", latest=2) == [letter(3), letter(4)]
        assert read_dead_letters(place, "a", latest=2, record="f#12") == [letter(2)]
        assert read_dead_letters(place, "nobody", latest=2) == read_runs(place, "nobody") == []
    first, _ = read_status(place)
    assert (first.state, first.holder) == ("interrupted", None)


async def test_dropping_letters(place):
    """Some or all letters of a key can be dropped, open or not; pending letters stay."""
    async with ledger_from(place) as ledger:
        assert await ledger.drop_dead_letters("k") == 0
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}, [], [letter(n) for n in range(5)]))
        await ledger.pending("k", Commit(2, {}, [], [letter(7)]))
        assert await ledger.drop_dead_letters("k", ["f#10", "f#13", "nobody", "f#17"]) == 2
        assert await ledger.count_dead_letters("k") == 3
    async with ledger_from(place) as ledger:
        assert await ledger.drop_dead_letters("k") == 3
        await ledger.open("k")
        await ledger.confirm("k", 2)
        assert [one.key async for one in ledger.dead_letters("k")] == ["f#17"]
    assert read_status(place)[0].dead_letters == 1


def test_reading_creates_nothing(place):
    """Reading a ledger that does not exist raises, also the second time."""
    for _ in range(2):
        with pytest.raises(LedgerError, match="there is no ledger"):
            read_status(place)


async def test_damage_is_found_by_reading(url):
    """A letter or a run that fails its checksum is reported, not returned."""
    import psycopg

    async with ledger_from(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}, [], [letter(1)]))
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE penstock_ledger.dead_letters SET error = 'none'")
        with pytest.raises(LedgerCorrupt, match="fails its checksum"):
            read_dead_letters(url, "k", latest=1)
        db.execute("UPDATE penstock_ledger.runs SET counts = '{\"completed\":1}'")
        with pytest.raises(LedgerCorrupt, match="fails its checksum"):
            read_runs(url, "k")


def test_what_names_a_ledger(tmp_path):
    """A ledger is named by a path or a known scheme; another scheme is refused without repeating the URL."""
    assert isinstance(ledger_from("postgresql://u:p@h/x"), PostgresLedger)
    assert isinstance(ledger_from("postgres://h/x"), PostgresLedger)
    assert isinstance(ledger_from(tmp_path / "run.db"), SqliteLedger)
    assert str(ledger_from("sqlite:////srv/a%20b.db").path) == "/srv/a b.db"
    assert str(ledger_from("sqlite:///run.db").path) == "run.db"
    with pytest.raises(GraphError, match=r"no ledger is known for mysql://\.\.\.; name") as refused:
        ledger_from("mysql://u:s3cr3t@h/x")
    assert "s3cr3t" not in str(refused.value)
