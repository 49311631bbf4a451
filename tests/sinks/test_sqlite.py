"""What the SQLite sink does beyond the promises of all databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import GraphError, SinkError, SinkMismatch
from penstock.ledger import SqliteLedger
from penstock.sinks import SqliteSink, sink_from

ONE = Document(doc_id="d1", source="s", metadata={"year": 2001, "authors": [{"name": "é"}]})


@pytest.fixture
async def sink(tmp_path):
    sink = SqliteSink(tmp_path / "out.db")
    yield sink
    await sink.aclose()


async def test_durable(sink):
    """The database has a write-ahead log and an fsync at each commit."""
    await sink.open(None)
    for setting, value in (("journal_mode", "wal"), ("synchronous", 2)):
        found = await sink._worker.run(lambda name=setting: sink._table.execute(f"PRAGMA {name}"))
        assert found == [(value,)]


async def test_metadata_are_read_with_json_functions(sink):
    """Metadata can be read with JSON functions, as the documentation shows."""
    await sink.open(None)
    await sink.write([ONE])
    await sink.commit(Commit(1, {}))
    with closing(sqlite3.connect(sink.path)) as db:
        assert db.execute(
            "SELECT metadata ->> 'year', author.value ->> 'name'"
            " FROM documents, json_each(metadata, '$.authors') AS author"
        ).fetchall() == [(2001, "é")]


async def test_others_read_while_a_commit_gathers(sink):
    """Other readers see the last commit while the next one is written."""
    await sink.open(None)
    await sink.write([ONE])
    await sink.commit(Commit(1, {}))
    await sink.write([ONE.model_copy(update={"doc_id": f"e{n}"}) for n in range(5000)])
    with closing(sqlite3.connect(sink.path)) as db:
        assert db.execute("SELECT count(*) FROM documents").fetchall() == [(1,)]


async def test_a_ledger_is_no_output(tmp_path):
    """A ledger file is refused as an output."""
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("k")
    sink = SqliteSink(tmp_path / "run.db")
    with pytest.raises(SinkMismatch, match=r"run\.db is a ledger"):
        await sink.open(None)
    await sink.aclose()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".", "it is a folder; name a file"),
        ("text", "it is not a SQLite database"),
    ],
)
async def test_what_cannot_be_an_output(tmp_path, name, says):
    """The error says what is wrong and what to do, and no file is left behind."""
    (tmp_path / "text").write_text("this is text and no database\n" * 100)
    before = sorted(tmp_path.iterdir())
    sink = SqliteSink(tmp_path / name)
    with pytest.raises(SinkError, match=says):
        await sink.open(None)
    await sink.aclose()
    assert sorted(tmp_path.iterdir()) == before


async def test_locked_by_another_program(sink, monkeypatch):
    """The error says that another program has locked the file, and earlier commits stay."""
    monkeypatch.setattr("penstock.sinks.databases.sqlite._BUSY_SECONDS", 0.01)
    await sink.open(None)
    with closing(sqlite3.connect(sink.path)) as db:
        db.execute("BEGIN IMMEDIATE")
        await sink.write([ONE])
        with pytest.raises(SinkError, match=r"locked by another program .*; what was committed is intact"):
            await sink.commit(Commit(1, {}))
        db.execute("ROLLBACK")
    assert await sink.open(None) is None


def test_urls(tmp_path):
    """A URL has three slashes and a relative path, or four and an absolute path."""
    sink = sink_from("sqlite:///a%20b.db?table=x&deleted=delete")
    assert isinstance(sink, SqliteSink)
    assert (str(sink.path), sink.describe()) == ("a b.db", "sqlite:///a b.db?table=x")
    assert str(sink_from("sqlite:////tmp/a.db").path) == "/tmp/a.db"  # noqa: S108
    for url, says in [
        ("sqlite://a.db", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a.db?tabel=x", "unknown parameter 'tabel'; known are table"),
    ]:
        with pytest.raises(GraphError, match=says):
            sink_from(url)
