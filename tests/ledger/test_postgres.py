"""What only a ledger in PostgreSQL can meet: leases, servers that stop, passwords, and other versions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import psycopg
import pytest

from penstock import IngestionPipeline
from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.adapters import Adapter
from penstock.errors import GraphError, LedgerBusy, LedgerCorrupt, LedgerError
from penstock.ledger import PostgresLedger, postgres_rows, postgres_schema
from penstock.testing.faults import CuttingProxy

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

HERE = Path(__file__).parent


def execute(url, statement, *values):
    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(statement, values)
        return cursor.fetchall() if cursor.description else None


class Holder:
    """Another process that holds the key ``k``."""

    def __init__(self, url, lease):
        command = [sys.executable, HERE / "hold_postgres.py", url, str(lease)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.began = self.hear()

    def hear(self):
        return self.process.stdout.readline().strip()

    def commit(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.hear()

    def send(self, what):
        self.process.send_signal(what)

    def end(self):
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()


@pytest.fixture
def hold(url):
    """Return a function that starts another holder."""
    holders = []

    def start(lease=30.0):
        holders.append(Holder(url, lease))
        return holders[-1]

    yield start
    for holder in holders:
        holder.end()


def large(epoch):
    states = [DocumentState(f"{epoch}/{n}", "completed", f"{n:064x}") for n in range(500)]
    return Commit(epoch, {"at": epoch}, states, [DeadLetter(None, f"f#{epoch}", "x", "e", "E", b"raw")])


async def goes_on(url, epoch):
    async with PostgresLedger(url) as ledger:
        opened = await ledger.open("k")
        assert (opened.epoch, opened.position) == (epoch, {"at": epoch})
        assert await ledger.tally("k") == {"completed": 500 * epoch}
        assert [letter.key async for letter in ledger.dead_letters("k")] == [
            f"f#{n}" for n in range(1, epoch + 1)
        ]
        await ledger.commit("k", large(epoch + 1))


# -- leases


async def test_a_second_process_is_refused(url, hold):
    """It is told who holds the key and since when; another key is free; and after closing, this one is."""
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
    """A lease belongs to one ledger object, whose own keys may be opened again."""
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
    """The server ends the session of a killed process: nobody waits for its lease, and its commits are there."""
    holder = hold(lease=3600)
    assert [holder.commit(), holder.commit()] == ["1", "2"]
    holder.send(signal.SIGKILL)
    holder.process.wait()
    async with PostgresLedger(url) as ledger:
        opened = await ledger.open("k")
        assert (opened.run, opened.epoch, opened.resumed) == (1, 2, True)
        await ledger.commit("k", Commit(3, {}))


async def test_a_holder_killed_amid_a_statement_is_taken_over(url, hold):
    """The server ends a statement of a killed process in a second, whatever it waits for; nothing of it is there."""
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


SAYS = [DocumentState("d", "failed", "h")]
LETTERS = [DeadLetter("d", "r", "x", "e", "E", b"raw")]
WRITES = {
    "commit": lambda ledger: ledger.commit("k", Commit(3, {}, SAYS)),
    "commit with letters": lambda ledger: ledger.commit("k", Commit(3, {}, SAYS, LETTERS)),
    "pending": lambda ledger: ledger.pending("k", Commit(3, {}, SAYS)),
    "pending with letters": lambda ledger: ledger.pending("k", Commit(3, {}, SAYS, LETTERS)),
    "pending again": lambda ledger: ledger.pending("k", Commit(2, {}, SAYS)),
    "confirm": lambda ledger: ledger.confirm("k", 2),
    "confirm with letters": lambda ledger: ledger.confirm("k", 2),
    "drop": lambda ledger: ledger.confirm("k", 1),
    "finish": lambda ledger: ledger.finish("k", "completed"),
}
TABLES = ("keys", "runs", "commits", "outcomes", "documents", "dead_letters", "leases")


@pytest.mark.parametrize("write", WRITES)
async def test_who_lost_the_lease_writes_nothing(url, write):
    """Neither in one statement nor in several."""
    letters = LETTERS if "letters" in write else []
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", Commit(1, {}, SAYS, letters))
        if not write.startswith(("commit", "finish")):
            await ledger.pending("k", Commit(2, {}, SAYS, letters))
        execute(url, "UPDATE penstock_ledger.leases SET token = 'of another'")
        everything = [f"SELECT {t}::text FROM penstock_ledger.{t} ORDER BY 1" for t in TABLES]  # noqa: S608
        before = [execute(url, statement) for statement in everything]
        with pytest.raises(LedgerBusy, match="this run lost its lease on 'k'"):
            await WRITES[write](ledger)
        assert [execute(url, statement) for statement in everything] == before
        with pytest.raises(LedgerError, match=r"await open\('k'\) first"):
            await WRITES[write](ledger)


async def open_when_free(ledger):
    while True:
        try:
            return await ledger.open("k")
        except LedgerBusy:
            await asyncio.sleep(0.05)


async def test_a_holder_that_slept_is_fenced(url, hold):
    """Who let the lease expire cannot commit any more once it was taken over, and is told so."""
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
    """A lease that expired is still its holder's as long as nobody else wants it."""
    holder = hold(lease=0.3)
    holder.send(signal.SIGSTOP)
    until = "SELECT pg_sleep(greatest(0, extract(epoch FROM expires - clock_timestamp()) + 0.01))"
    execute(url, f"{until} FROM penstock_ledger.leases")
    holder.send(signal.SIGCONT)
    assert holder.commit() == "1"


async def test_a_lease_is_renewed_while_the_loop_is_busy(url):
    """A parser that blocks the loop for longer than the lease does not lose it."""
    async with PostgresLedger(url, lease=0.6) as ledger:
        await ledger.open("k")
        time.sleep(1.5)  # noqa: ASYNC251  this is what it is about
        async with PostgresLedger(url) as second:
            with pytest.raises(LedgerBusy):
                await second.open("k")
        await ledger.commit("k", Commit(1, {}))


# -- servers that stop


async def test_a_server_that_crashes(url, postgres_server, caplog):
    """One clear error, the last commit intact, and the next ledger, or this one, goes on."""
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
    await goes_on(url, 2)  # the lease of an hour went with its session
    assert not caplog.records
    await ledger.aclose()


async def commit_on(ledger, epoch):
    while True:
        await ledger.commit("k", large(epoch))
        epoch += 1


async def test_a_server_that_crashes_in_mid_run(url, postgres_server, tmp_path):
    """One clear error; the next run goes on from the last commit, and the output is that of an undisturbed one."""

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
    """Cut in the midst of a commit, all of it is there or nothing, and the run goes on."""
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
    assert not caplog.records  # or they would be on a terminal
    await goes_on(url, epoch)


class Counting:
    """Counts how often the other side is waited for."""

    def __init__(self, db):
        self.waits, self._wait = 0, db.wait
        db.wait = self

    def __call__(self, *args, **kwargs):
        self.waits += 1
        return self._wait(*args, **kwargs)


async def test_a_commit_is_one_message(url):
    """A thread beside a busy loop waits for its turn at each answer, so there is one."""
    states = [DocumentState(f"d{n}", "completed", f"{n:064x}") for n in range(1000)]
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        counting = Counting(ledger._store._db)
        await ledger.commit("k", Commit(1, {}, states))
        assert counting.waits == 1
        await ledger.pending("k", Commit(2, {}, states))
        await ledger.confirm("k", 2)
        assert counting.waits == 3
        asked = [(state.doc_id, state.content_hash) for state in states]
        await ledger.unchanged("k", asked)
        assert counting.waits == 4


async def test_look_ups_never_read_the_whole_table(url):
    """Not even of a table without statistics, as one is that was only just filled."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        for epoch in range(1, 21):
            states = [DocumentState(f"{epoch}/{n}", "completed", f"{n:064x}") for n in range(1000)]
            await ledger.commit("k", Commit(epoch, {}, states))
        await ledger.finish("k", "completed")
        await ledger.open("k")
        asked = [(f"{n // 10}/{n % 10}", f"{n % 10:064x}") for n in range(10, 200)]
        assert all(await ledger.unchanged("k", asked))
    plan = execute(url, "EXPLAIN " + postgres_rows._COMPARE, "{a}", "{}", 1)
    assert "doc_id = asked.id" in next(line for (line,) in plan if "Index Cond" in line)


async def test_what_the_server_refuses_amid_a_commit(url):
    """Whatever part of it fails, nothing is committed, and the ledger can go on."""
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
    """It says where nobody answered and what to look at."""
    ledger = PostgresLedger(f"postgresql://tester@127.0.0.1:{unused_tcp_port}/x")
    with pytest.raises(
        LedgerError, match=r"cannot open the ledger postgresql://tester@127.0.0.1:.*server runs"
    ):
        await ledger.open("k")
    await ledger.aclose()


# -- secrets, and what is no ledger


SECRETS = ["s3cr3t", "p%40ss%2Fw0rd", "s3c/r3t@x", "s3cr3t:1"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form", ["postgresql://me:{}@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x?password={}"]
)
async def test_a_password_is_never_shown(secret, form):
    """Not in the repr, nor in an error, nor in its traceback, however badly it was written."""
    ledger = PostgresLedger(form.format(secret))
    with pytest.raises(LedgerError) as refused:
        await ledger.open("k")
    told = repr(ledger) + ledger.place + "".join(traceback.format_exception(refused.value))
    for part in (secret, "s3c", "w0rd", "r3t"):
        assert part not in told
    await ledger.aclose()


def test_what_is_no_url():
    """Said when the pipeline is built, without the words that were given."""
    with pytest.raises(GraphError, match="takes a URL such as"):
        PostgresLedger("host=x password=s3cr3t")
    with pytest.raises(GraphError, match="lease must be positive"):
        PostgresLedger("postgresql://x/y", lease=0)


async def test_a_schema_that_is_no_ledger(url):
    """Somebody else's schema of that name is not touched."""
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
    """Positions, runs and commits carry checksums; what does not fit is never taken for a fresh start."""
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
    """Its checksum covers what would be parsed again."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
        execute(url, "UPDATE penstock_ledger.dead_letters SET raw = 'other'")
        with pytest.raises(LedgerCorrupt, match="fails its checksum"):
            [letter async for letter in ledger.dead_letters("k")]


async def test_texts_that_no_index_holds(url):
    """Identifiers of any length are told apart, whatever they begin with."""
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
    """With what to do about it; and it stays as it is."""
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


def add_note(db):
    db.execute("ALTER TABLE penstock_ledger.runs ADD COLUMN note text")


def fail_midway(db):
    add_note(db)
    db.execute("SELECT 1 / 0")


@pytest.fixture
def next_version(monkeypatch):
    """Let this Penstock be the next version, which migrates by the function given."""

    def become(migrate):
        monkeypatch.setattr(postgres_schema, "VERSION", 2)
        monkeypatch.setitem(postgres_schema._MIGRATIONS, 1, migrate)

    return become


async def test_an_older_ledger_is_migrated(url, next_version, hold):
    """In one transaction: half a migration leaves the older version; while a run holds it, it is refused."""
    async with PostgresLedger(url) as ledger:
        await ledger.open("k")
        await ledger.commit("k", large(1))
    holder = hold()
    next_version(fail_midway)
    async with PostgresLedger(url) as ledger:
        with pytest.raises(LedgerBusy, match=f"schema version 1, and process {holder.process.pid} on"):
            await ledger.open("k")
    holder.process.stdin.close()
    holder.process.wait()
    async with PostgresLedger(url) as ledger:
        with pytest.raises(LedgerError, match="division by zero"):
            await ledger.open("k")
    assert execute(url, "SELECT version FROM penstock_ledger.meta") == [(1,)]
    next_version(add_note)
    await goes_on(url, 1)
    assert execute(url, "SELECT version FROM penstock_ledger.meta") == [(2,)]
    await goes_on(url, 2)


async def test_two_processes_create_it_at_once(url):
    """Whoever comes second finds what the first one made."""
    ledgers = [PostgresLedger(url) for _ in range(4)]
    opened = await asyncio.gather(*(ledger.open(f"k{n}") for n, ledger in enumerate(ledgers)))
    assert [one.run for one in opened] == [1] * 4
    for ledger in ledgers:
        await ledger.aclose()
