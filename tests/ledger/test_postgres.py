"""What only happens to PostgreSQL ledgers: servers that stop, passwords, and other versions."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from penstock import IngestionPipeline
from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.adapters import Adapter
from penstock.errors import GraphError, LedgerBusy, LedgerCorrupt, LedgerError
from penstock.ledger import PostgresLedger
from penstock.ledger.postgres import schema as postgres_schema
from penstock.ledger.postgres import tables as postgres_tables
from penstock.testing.faults import CuttingProxy

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package
from .postgres_ways import execute, goes_on, large, open_when_free

# -- servers that stop


async def test_a_server_that_crashes(url, postgres_server, caplog):
    """The call raises one clear error; the last commit is intact, and any ledger can go on."""
    ledger = PostgresLedger(url, lease=3600)
    await ledger.open("k")
    await ledger.commit("k", large(1))
    postgres_server.restart("immediate")
    with pytest.raises(
        LedgerError, match=r"lost the connection to the ledger .*; what was committed is kept"
    ):
        await ledger.commit("k", large(2))
    with pytest.raises(LedgerError, match=r"await open\('k'\) first"):
        await ledger.commit("k", large(2))
    opened = await ledger.open("k")
    assert (opened.epoch, opened.resumed) == (1, True)
    await ledger.commit("k", large(2))
    postgres_server.restart("immediate")
    await goes_on(url, 2)  # the lease of an hour ended with its session
    assert not caplog.records
    await ledger.aclose()


async def commit_on(ledger, epoch):
    while True:
        await ledger.commit("k", large(epoch))
        epoch += 1


async def test_a_server_that_crashes_during_a_run(url, postgres_server, tmp_path):
    """The run raises one clear error; the next run ends with the output of an undisturbed run."""

    def pipeline(ledger, hooks=()):
        source = ScriptedSource([Record()] * 300)
        return IngestionPipeline(
            Adapter(source, page_size=7), ledger=ledger, checkpoint_every=20, hooks=hooks
        )

    crashed = False

    def crash(events):
        nonlocal crashed
        if not crashed and (output := tmp_path / "out.jsonl").exists() and output.stat().st_size > 10_000:
            crashed = True
            postgres_server.restart("immediate")

    with pytest.raises(LedgerError, match=r"lost the connection to the ledger .*what was committed is kept"):
        await pipeline(url, [crash]).run(str(tmp_path / "out.jsonl"))
    summary = await pipeline(url).run(str(tmp_path / "out.jsonl"))
    assert 0 < summary.session["completed"] < 300
    await pipeline(None).run(str(tmp_path / "whole.jsonl"))
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("sent", [0, 10, 100, 1000, 5000, 30_000, 50_000, 55_000, 58_000, 60_000])
async def test_a_connection_that_is_cut(url, postgres_server, sent, caplog):
    """If the connection is cut during a commit, all or nothing of it is stored, and the next run goes on."""
    port = postgres_server.port
    with CuttingProxy("127.0.0.1", port) as proxy:
        ledger = PostgresLedger(url.replace(f":{port}/", f":{proxy.port}/"))
        await ledger.open("k")
        await ledger.commit("k", large(1))
        proxy.cut_after(sent)
        with pytest.raises(
            LedgerError, match=r"lost the connection to the ledger .*what was committed is kept"
        ):
            await commit_on(ledger, 2)
        await ledger.aclose()
    async with PostgresLedger(url) as ledger:
        epoch = (await open_when_free(ledger)).epoch
    assert epoch in (1, 2, 3)
    assert not caplog.records  # a terminal would show them
    await goes_on(url, epoch)


class Counting:
    """Counts how often the connection waits for the server."""

    def __init__(self, db):
        self.waits, self._wait = 0, db.wait
        db.wait = self

    def __call__(self, *args, **kwargs):
        self.waits += 1
        return self._wait(*args, **kwargs)


async def test_a_commit_is_one_message(url):
    """A commit waits for one answer only, because each answer costs a thread beside a busy loop some time."""
    states = [DocumentState(f"d{n}", "completed", f"{n:064x}") for n in range(1000)]
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        counting = Counting(ledger._store._tables.db)
        await ledger.commit("k", Commit(1, {}, states))
        assert counting.waits == 1
        await ledger.pending("k", Commit(2, {}, states))
        await ledger.confirm("k", 2)
        assert counting.waits == 3
        asked = [(state.doc_id, state.content_hash) for state in states]
        await ledger.unchanged("k", asked)
        assert counting.waits == 4


async def test_look_ups_never_read_the_whole_table(url):
    """Look-ups use the index even without statistics, as in a table that was just filled."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        for epoch in range(1, 21):
            states = [DocumentState(f"{epoch}/{n}", "completed", f"{n:064x}") for n in range(1000)]
            await ledger.commit("k", Commit(epoch, {}, states))
        await ledger.finish("k", "completed")
        await ledger.open("k")
        asked = [(f"{n // 10}/{n % 10}", f"{n % 10:064x}") for n in range(10, 200)]
        assert all(await ledger.unchanged("k", asked))
    with_path = f"{url}?options=-csearch_path%3Dpenstock_ledger"
    plan = execute(with_path, "EXPLAIN " + postgres_tables._COMPARE, "{a}", "{}", 1)
    assert "doc_id = asked.id" in next(line for (line,) in plan if "Index Cond" in line)


async def test_a_statement_that_fails_during_a_commit(url):
    """If any part of a commit fails, nothing is committed, and the ledger can go on."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
        for table in ("outcomes", "dead_letters", "commits", "keys"):
            broken = f"ALTER TABLE penstock_ledger.{table} ADD CONSTRAINT broken CHECK (key_id < 0) NOT VALID"
            execute(url, broken)
            with pytest.raises(LedgerError, match='violates check constraint "broken"'):
                await ledger.commit("k", large(2))
            execute(url, f"ALTER TABLE penstock_ledger.{table} DROP CONSTRAINT broken")
            assert execute(url, "SELECT max(epoch) FROM penstock_ledger.outcomes") == [(1,)]
        await ledger.commit("k", large(2))
    await goes_on(url, 2)


async def test_no_server_at_all(unused_tcp_port):
    """The error names the server that did not answer, and what to check."""
    ledger = PostgresLedger(f"postgresql://tester@127.0.0.1:{unused_tcp_port}/x")
    with pytest.raises(
        LedgerError, match=r"cannot open the ledger postgresql://tester@127.0.0.1:.*server runs"
    ):
        await ledger.open("k")
    await ledger.aclose()


# -- secrets, and schemas that are not ledgers


SECRETS = ["s3cr3t", "p%40ss%2Fw0rd", "s3c/r3t@x", "s3cr3t:1"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form", ["postgresql://me:{}@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x?password={}"]
)
async def test_a_password_is_never_shown(secret, form):
    """No repr, error or traceback shows a password, even one with unquoted characters."""
    ledger = PostgresLedger(form.format(secret))
    with pytest.raises(LedgerError) as refused:
        await ledger.open("k")
    told = repr(ledger) + ledger.place + "".join(traceback.format_exception(refused.value))
    for part in (secret, "s3c", "w0rd", "r3t"):
        assert part not in told
    await ledger.aclose()


def test_arguments_that_are_refused():
    """A bad URL or lease is refused when the ledger is created; the error does not repeat the URL."""
    for wrong in ("run.db", "host=x password='s3cr3t", "me:s3cr3t@x/y"):
        with pytest.raises(GraphError, match="postgresql://") as refused:
            PostgresLedger(wrong)
        assert "s3cr3t" not in str(refused.value)
    assert "s3cr3t" not in PostgresLedger("host=x password=s3cr3t").place
    with pytest.raises(GraphError, match="lease must be positive"):
        PostgresLedger("postgresql://x/y", lease=0)


async def test_a_schema_that_is_not_a_ledger(url):
    """A schema of that name without a ledger is refused, and not changed."""
    execute(url, "CREATE SCHEMA penstock_ledger")
    async with PostgresLedger(url) as ledger:
        with pytest.raises(LedgerCorrupt, match="is not a Penstock ledger"):
            await ledger.open("k")


DAMAGE = [
    "UPDATE penstock_ledger.keys SET epoch = 1",
    "UPDATE penstock_ledger.runs SET started_at = 0",
    "DELETE FROM penstock_ledger.runs",
    "UPDATE penstock_ledger.commits SET position = '{}' WHERE epoch = 2",
    "DELETE FROM penstock_ledger.commits WHERE epoch = 2",
    "DELETE FROM penstock_ledger.dead_letters WHERE epoch = 1",
    "DROP TABLE penstock_ledger.documents",
    "DELETE FROM penstock_ledger.meta",
]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_refused(url, damage):
    """Keys, runs, commits and dead letters have checksums or counts; damage never looks like a new ledger."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
        await ledger.commit("k", large(2))
    execute(url, damage)
    async with PostgresLedger(url) as ledger:
        with pytest.raises(LedgerCorrupt):  # noqa: PT012  a table is missed when it is needed
            await ledger.open("k")
            await ledger.unchanged("k", [("a", "b")])


async def test_a_damaged_dead_letter_is_refused(url):
    """The checksum covers the raw bytes, which a replay parses again."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
        execute(url, "UPDATE penstock_ledger.dead_letters SET raw = 'other'")
        with pytest.raises(LedgerCorrupt, match="fails its checksum"):
            [letter async for letter in ledger.dead_letters("k")]


async def test_texts_that_are_too_long_for_an_index(url):
    """Identifiers of any length are told apart, even if they begin alike."""
    names = [
        "é" * 900 + "a",
        "é" * 9000 + "b",
        "é" * 9000 + "c",
        "x" * 2000,
        "x" * 2001,
        "\1h",
        "\0",
        "\0010",
        "\1",
    ]
    async with PostgresLedger(url) as ledger:
        for key in names:
            await ledger.open(key)
        states = [DocumentState(name, "completed", f"h{n}", error=name) for n, name in enumerate(names)]
        letters = [DeadLetter(name, name, "x", name, "E", b"") for name in names]
        await ledger.commit(names[1], Commit(1, {}, [], letters))
        assert [letter async for letter in ledger.dead_letters(names[1])] == letters
        await ledger.commit(names[1], Commit(2, {}, states))
        assert await ledger.count_dead_letters(names[1]) == 0
        assert await ledger.states(names[1], names) == states
        await ledger.finish(names[1], "completed")
        await ledger.open(names[1])
        asked = [(name, f"h{n}") for n, name in enumerate(names)]
        assert await ledger.unchanged(names[1], asked) == [True] * len(names)
        assert await ledger.unchanged(names[1], [(name, "h9") for name in names]) == [False] * len(names)
        assert (await ledger.open(names[2])).epoch == 0


# -- versions


async def test_a_newer_ledger_is_refused(url):
    """A newer version is refused with advice, and not changed."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
    newer = postgres_schema.VERSION + 1
    execute(url, "UPDATE penstock_ledger.meta SET version = %s", newer)
    async with PostgresLedger(url) as ledger:
        with pytest.raises(
            LedgerError, match=f"schema version {newer}, and this Penstock knows none above .*newer"
        ):
            await ledger.open("k")
    assert execute(url, "SELECT version FROM penstock_ledger.meta") == [(newer,)]


VERSION = postgres_schema.VERSION


def add_note(db):
    db.execute("ALTER TABLE penstock_ledger.runs ADD COLUMN note text")


def fail_midway(db):
    add_note(db)
    db.execute("SELECT 1 / 0")


@pytest.fixture
def next_version(monkeypatch):
    """Return a function that makes this Penstock the next version, with the given migration."""

    def become(migrate):
        monkeypatch.setattr(postgres_schema, "VERSION", VERSION + 1)
        monkeypatch.setitem(postgres_schema._MIGRATIONS, VERSION, migrate)

    return become


async def test_an_older_ledger_is_migrated(url, next_version, hold):
    """A migration is one transaction; it is refused while a run holds a key."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
    holder = hold()
    next_version(fail_midway)
    async with PostgresLedger(url) as ledger:
        with pytest.raises(
            LedgerBusy, match=f"schema version {VERSION}, and process {holder.process.pid} on"
        ):
            await ledger.open("k")
    holder.process.stdin.close()
    holder.process.wait()
    async with PostgresLedger(url) as ledger:
        with pytest.raises(LedgerError, match="division by zero"):
            await ledger.open("k")
    assert execute(url, "SELECT version FROM penstock_ledger.meta") == [(VERSION,)]
    next_version(add_note)
    await goes_on(url, 1)
    assert execute(url, "SELECT version FROM penstock_ledger.meta") == [(VERSION + 1,)]
    await goes_on(url, 2)


async def test_a_ledger_of_version_1_gets_its_index(url):
    """Version 2 finds the letters of records that kill by an index, which a migration adds."""
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'penstock_ledger' ORDER BY indexname"
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
    wanted = execute(url, indexes)
    execute(url, "DROP INDEX penstock_ledger.deadly_letters")
    execute(url, "UPDATE penstock_ledger.meta SET version = 1")
    await goes_on(url, 1)
    assert execute(url, indexes) == wanted
    assert execute(url, "SELECT version FROM penstock_ledger.meta") == [(VERSION,)]


async def test_several_ledgers_create_the_tables_at_once(url):
    """One ledger creates the tables; the others use them."""
    ledgers = [PostgresLedger(url) for _ in range(4)]
    opened = await asyncio.gather(*(ledger.open(f"k{n}") for n, ledger in enumerate(ledgers)))
    assert [one.run for one in opened] == [1] * 4
    for ledger in ledgers:
        await ledger.aclose()
