"""What the PostgreSQL sink does beyond the promises of all databases."""

from __future__ import annotations

import subprocess
import sys
import traceback

import psycopg
import pytest

from penstock import IngestionPipeline, from_iterable
from penstock.abc import Commit
from penstock.adapters import Adapter
from penstock.document import Document
from penstock.errors import GraphError, SinkError, install_command
from penstock.sinks import PostgresSink, SeveralSinks, sink_from
from penstock.sinks.databases import postgres
from penstock.testing.faults import CuttingProxy

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package
from .databases import PostgresKind

DOCUMENTS = [
    Document(doc_id=f"d{n}", source="s", content="x" * 500, metadata={"n": n, "year": 2000 + n % 20})
    for n in range(400)
]


@pytest.fixture
def database(postgres_server):
    return PostgresKind(postgres_server)


async def test_metadata_are_read_as_jsonb(database):
    """Metadata can be queried as JSONB, as the documentation shows."""
    await from_iterable(DOCUMENTS).into(database.new())
    rows = database.query(
        "SELECT metadata ->> 'year', count(*) FROM documents WHERE metadata @> '{\"year\": 2001}' GROUP BY 1"
    )
    assert rows == [("2001", 20)]


async def test_a_table_in_a_schema(database):
    """The table of commits is in the schema of the table."""
    database.query('CREATE SCHEMA "Other one"')
    sink = sink_from(f"{database.base}?table=Other%20one.articles")
    await from_iterable(DOCUMENTS).into(sink)
    assert database.query('SELECT count(*) FROM "Other one".articles') == [(400,)]
    assert database.query('SELECT table_name, epoch FROM "Other one".penstock_commits') == [("articles", 1)]


async def test_two_outputs_at_once(database):
    """Two tables can be written at once: each has its own lock."""
    sink = SeveralSinks(*(sink_from(f"{database.base}?table={name}") for name in ("a", "b")))
    await sink.open(None)
    await sink.write(DOCUMENTS)
    await sink.commit(Commit(1, {}))
    await sink.aclose()
    assert database.query("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == [(400, 400)]


async def test_the_holder_of_a_table_is_named(database, monkeypatch):
    """After a wait the error names the server's session that holds the table."""
    monkeypatch.setattr("penstock.sinks.databases.postgres._LOCK_SECONDS", 0.1)
    first, second = database.new(), database.new()
    await first.open(None)
    with pytest.raises(SinkError, match=r"by server process \d+ \(penstock from 127\.0\.0\.1\) since \d{4}-"):
        await second.open(None)
    await first.aclose()
    await second.open(None)
    await second.aclose()


# -- the server goes away


@pytest.mark.parametrize("way", ["restart", "commit"])
async def test_a_wait_for_another_session_ends(database, monkeypatch, way):
    """A reader in a long transaction keeps the table from being emptied, and a lock keeps rows from coming."""
    monkeypatch.setattr(postgres, "_LOCK_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "_WRITE_SECONDS", 0.3)
    sink = database.new()
    await sink.open(None)
    await sink.commit(Commit(1, {}))
    await sink.write([Document(doc_id="d", source="test")])
    with psycopg.connect(database.base, application_name="stopped") as other:
        lock = "SHARE" if way == "commit" else "ACCESS SHARE"
        other.execute(f"LOCK TABLE documents IN {lock} MODE")
        held = rf"it is held by server process {other.info.backend_pid} \(stopped from .*\), since \d{{4}}-"
        waiting = sink.open(None, restart=True) if way == "restart" else sink.commit(Commit(2, {}))
        with pytest.raises(SinkError, match=held):
            await waiting
        other.rollback()
    assert (await sink.open(None)).epoch == 1
    await sink.aclose()


def pipeline(ledger, hooks=()):
    source = ScriptedSource([Record()] * 300)
    return IngestionPipeline(Adapter(source, page_size=7), ledger=ledger, checkpoint_every=20, hooks=hooks)


@pytest.mark.slow
@pytest.mark.parametrize("with_ledger", [True, False])
async def test_a_server_that_crashes_in_mid_run(database, tmp_path, with_ledger):
    """If the server crashes, the error says so, the last commit is intact, and the next run continues from it."""
    ledger, crashed = tmp_path / "ledger.db" if with_ledger else None, False

    def crash(events):
        nonlocal crashed
        if not crashed and len(events) and database.held() > 1:
            crashed = True
            database.server.restart("immediate")

    with pytest.raises(SinkError, match=r"cannot write to .*PostgreSQL says.*what was committed is intact"):
        await pipeline(ledger, [crash]).run(database.new())
    held, there = database.held(), len(database.documents())
    assert held > 0
    assert 0 < there < 300
    summary = await pipeline(ledger).run(database.new())
    assert summary.session["completed"] == 300 - there
    assert len(database.documents()) == 300


@pytest.mark.parametrize("sent", [0, 200, 2_000, 5_000, 20_000, 60_000, 100_000, 160_000])
async def test_a_connection_that_is_cut(database, sent):
    """If the connection is cut after any number of bytes, the error is clear, and the next run completes the table."""
    host, port = "127.0.0.1", database.server.port
    with CuttingProxy(host, port) as proxy:
        url = database.base.replace(f":{port}/", f":{proxy.port}/")
        proxy.cut_after(sent)
        with pytest.raises(SinkError, match=r"cannot (open|write to) the output postgresql://127") as caught:
            await from_iterable(DOCUMENTS).into(PostgresSink(url), commit_every=50)
        assert "\n" not in str(caught.value)
    await from_iterable(DOCUMENTS).into(database.new(), commit_every=50)
    assert database.documents() == DOCUMENTS


async def test_a_commit_whose_answer_is_lost(database):
    """If the server commits and its answer is lost, the next run finds the commit."""
    sink = database.new()
    await sink.open(None)
    insert_and_advance = sink._table.insert_and_advance

    def lose_answer(groups, values):
        assert insert_and_advance(groups, values) == 1  # one statement, which commits
        raise psycopg.OperationalError("consuming input failed: connection reset")

    sink._table.insert_and_advance = lose_answer
    await sink.write(DOCUMENTS)
    with pytest.raises(SinkError, match="connection reset; check that the server can be reached"):
        await sink.commit(Commit(1, {"at": 400}))
    await sink.aclose()
    again = database.new()
    assert (await again.open(None)).position == {"at": 400}
    await again.aclose()


async def test_no_server(tmp_path):
    """The error says in one sentence which server could not be reached."""
    sink = PostgresSink("postgresql://somebody@127.0.0.1:9/db")
    with pytest.raises(
        SinkError, match=r"cannot open the output postgresql://127\.0\.0\.1:9/db\?table=documents"
    ):
        await sink.open(None)
    await sink.aclose()


async def test_a_role_that_may_not_create_tables(database):
    """The error quotes the server."""
    database.query(
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    )
    database.query("GRANT USAGE ON SCHEMA public TO reader")
    sink = PostgresSink(database.base.replace("tester@", "reader@"))
    with pytest.raises(SinkError, match="permission denied for schema public"):
        await sink.open(None)
    await sink.aclose()


# -- secrets

SECRET = "hunter2secret"  # noqa: S105  of the tests

WITH_SECRETS = [
    f"postgresql://u:{SECRET}@127.0.0.1:9/db",
    f"postgresql://u@127.0.0.1:9/db?password={SECRET}",
    f"postgresql://u:{SECRET}@127.0.0.1:{SECRET}/db",
    f"postgresql://u:a/{SECRET}@127.0.0.1:9/db",
    f"postgresql://u:a?{SECRET}@127.0.0.1:9/db",
    f"postgresql://u:a@{SECRET}@127.0.0.1:9/db",
    f"postgresql://u:a:{SECRET}@127.0.0.1:9/db",
    f"postgresql://u:{SECRET}@127.0.0.1:9/db?unknown={SECRET}",
    f"postgresql://u:{SECRET}@127.0.0.1:9/db?raw=maybe",
    f"postgresql://u:{SECRET}@127.0.0.1:9/db?versions=all",
    f"postgresql://u:{SECRET}%zz@127.0.0.1:9/db",
    f"mysql://u:{SECRET}@127.0.0.1/db",
    f"sqlite://u:{SECRET}@127.0.0.1/db",
]


@pytest.mark.parametrize("url", WITH_SECRETS)
async def test_a_password_is_never_shown(url):
    """No name, error or traceback shows a password."""
    said = []
    try:
        sink = sink_from(url)
        said += [sink.describe(), repr(sink)]
        await sink.open(None)
    except (GraphError, SinkError) as error:
        lines = traceback.format_exception(error)
        said += [line for line in lines if "sink_from(url)" not in line]
    assert said
    assert SECRET not in "".join(said)


async def test_a_wrong_password_is_not_shown_either(database):
    """The error about a wrong password does not show the password."""
    url = database.base.replace("tester@", f"nobody:{SECRET}@")
    sink = PostgresSink(url)
    with pytest.raises(SinkError, match='role "nobody" does not exist') as caught:
        await sink.open(None)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    await sink.aclose()


def test_without_psycopg_it_says_how_to_get_it():
    """The error names the extra; importing the sinks needs no driver."""
    code = (
        "import sys; sys.modules['psycopg'] = sys.modules['duckdb'] = None\n"
        "from penstock.sinks import sink_from\n"
        "for url in ('postgresql://h/d', 'duckdb:///a.duckdb'):\n"
        "    try: sink_from(url)\n    except Exception as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert install_command("postgres") in said
    assert install_command("duckdb") in said
