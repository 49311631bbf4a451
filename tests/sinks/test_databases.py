# ruff: noqa: S608 - tables are those of the tests
"""What the sinks of all databases promise."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import GraphError, PositionError, SinkError, SinkMismatch
from penstock.sinks import JsonLinesSink, SeveralSinks, sink_from
from penstock.sinks.databases.rows import RowGroups, RowMaker, TableOptions, version_order
from penstock.sinks.files.lines import encode_lines

from .. import forks  # noqa: TID252  tests are no installed package
from ..length import LONG, cases, sampled  # noqa: TID252  tests are no installed package

KILLS = int(os.environ.get("PENSTOCK_SINK_KILLS", "3" if LONG else "1"))
"""How often each database's writer is killed. Before a release: 200."""


def document(n, size=10, **more):
    return Document(doc_id=f"d{n}", source="test", title="t" * size, metadata={"n": n}, **more)


def documents(first, last, size=10):
    return [document(n, size) for n in range(first, last)]


def version(n, v, **more):
    return Document(
        doc_id=f"r{n}.{v}", record_id=f"r{n}", version=str(v), source="test", metadata={"n": n}, **more
    )


@pytest.fixture
async def sink(database):
    """Return a sink of each kind of database, not open yet."""
    sink = database.new()
    yield sink
    await sink.aclose()


# -- commits


async def test_documents_position_and_epoch_are_one(database, sink):
    """``open`` returns the last commit, and the table holds only its documents."""
    assert await sink.open(None) is None
    await sink.write(documents(0, 3))
    record = await sink.commit(Commit(1, {"v": 1, "nodes": {"é": [1]}}, counts={"completed": 3}))
    await sink.write(documents(3, 5000))
    sink = await database.crash(sink)
    held = await sink.open(record)
    assert (held.epoch, held.position, held.counts) == (1, {"v": 1, "nodes": {"é": [1]}}, {"completed": 3})
    assert database.content(sink) == encode_lines(documents(0, 3))
    await sink.write(documents(3, 5))
    await sink.commit(Commit(2, {}))
    await sink.aclose()
    assert (await sink.open(record)).epoch == 2
    await sink.aclose()


@pytest.mark.parametrize("seed", range(8 if LONG else 4))
async def test_any_crash_leaves_the_last_commit(database, seed):
    """After a crash at any moment the table holds exactly the documents of its epoch."""
    database.group = (None, 40)[seed % 2]
    rng, sink = random.Random(seed), database.new()
    await sink.open(None)
    epoch, committed, n = 0, 0, 0
    for _ in range(rng.randrange(5, 25)):
        choice = rng.random()
        if choice < 0.5:
            more = rng.choice([1, 2, 50, 700])
            await sink.write(documents(n, n + more, size=rng.choice([1, 300, 3000])))
            n += more
        elif choice < 0.8:
            epoch, committed = epoch + 1, n
            await sink.commit(Commit(epoch, {"at": n}))
        else:
            sink = await database.crash(sink)
            held = await sink.open(None)
            assert (held.epoch, held.position) == (epoch, {"at": committed}) if held else epoch == 0
            assert [d.metadata["n"] for d in database.documents()] == list(range(committed))
            n = committed
    await sink.aclose()


async def test_the_last_epoch_may_come_again(database, sink):
    """A database may get its last epoch again, with the same documents and more: it upserts them."""
    await sink.open(None)
    await sink.write(documents(0, 5))
    await sink.commit(Commit(1, {}))
    await sink.write(documents(5, 9))
    await sink.commit(Commit(2, {"at": 9}))
    await sink.aclose()
    await sink.open({"format": "database", "epoch": 1})
    await sink.write(documents(5, 12))
    await sink.commit(Commit(2, {"at": 12}))
    assert database.content(sink) == encode_lines(documents(0, 12))
    with pytest.raises(SinkError, match="holds commit 2; commit 1 comes too late"):
        await sink.commit(Commit(1, {}))


async def test_beside_a_file(database, tmp_path):
    """A file and a database resume from the lower commit of the two."""
    several = SeveralSinks(database.new(), JsonLinesSink(tmp_path / "a.jsonl"))
    await several.open(None)
    first = await several.commit(Commit(1, {}))
    await several.write(documents(0, 3))
    await several.commit(Commit(2, {}))  # the ledger never got this record
    await several.aclose()
    await several.open(json.loads(json.dumps(first)))
    await several.write(documents(0, 4))
    await several.commit(Commit(2, {}))
    assert database.content(several) == (tmp_path / "a.jsonl").read_bytes() == encode_lines(documents(0, 4))
    await several.aclose()


async def test_a_position_that_is_not_json(sink):
    """A position that is not JSON is refused before anything is committed."""
    await sink.open(None)
    with pytest.raises(PositionError, match="JSON"):
        await sink.commit(Commit(1, {"at": object()}))


# -- foreign and missing tables


async def test_a_foreign_table_is_refused(database):
    """A table that Penstock did not create is refused, even with restart."""
    database.query(f'CREATE TABLE "{database.table}" (x INTEGER)')
    for restart in (False, True):
        sink = database.new()
        with pytest.raises(SinkMismatch, match="a table that Penstock did not create; choose another"):
            await sink.open(None, restart=restart)
        await sink.aclose()
    assert database.query(f'SELECT count(*) FROM "{database.table}"') == [(0,)]


async def test_a_foreign_table_of_commits_is_refused(database):
    """A table ``penstock_commits`` that Penstock did not create is refused."""
    database.query("CREATE TABLE penstock_commits (x INTEGER)")
    sink = database.new()
    with pytest.raises(SinkMismatch, match="penstock_commits that Penstock did not create"):
        await sink.open(None)
    await sink.aclose()


async def test_two_tables_in_one_database(database):
    """Two tables in one database have separate commits."""
    for n, table in enumerate(("one", "two"), 1):
        database.table = table
        sink = database.new()
        assert await sink.open(None) is None
        await sink.write(documents(0, n))
        await sink.commit(Commit(n, {}))
        await sink.aclose()
    assert database.query("SELECT table_name, epoch FROM penstock_commits ORDER BY epoch") == [
        (database.known_as("one"), 1), (database.known_as("two"), 2),
    ]  # fmt: skip


async def test_names_are_quoted(database):
    """A table may have any name."""
    database.table = "we\"ird'; DROP TABLE x --%s"
    sink = sink_from(f"{database.base}?table=we%22ird'%3B%20DROP%20TABLE%20x%20--%25s")
    await sink.open(None)
    await sink.write([document(1)])
    await sink.commit(Commit(1, {}))
    assert database.content(sink) == encode_lines([document(1)])
    await sink.aclose()
    sink = sink_from(f"{database.base}?table=we%22ird'%3B%20DROP%20TABLE%20x%20--%25s&deleted=delete")
    await sink.open(None, restart=True)
    await sink.write([document(1), document(1, deleted=True), document(2)])
    await sink.commit(Commit(1, {}))
    assert database.content(sink) == encode_lines([document(2)])
    await sink.aclose()


async def test_restart_empties(database, sink):
    """Restart empties the table, and creates it again if the choices are others."""
    await sink.open(None)
    await sink.write(documents(0, 5))
    await sink.commit(Commit(7, {"at": 5}))
    await sink.aclose()
    for other in ({}, {"raw": "true", "versions": "keep"}):
        sink = database.new(**other)
        assert await sink.open({"any": "thing"}, restart=True) is None
        assert database.documents() == []
        assert database.held() == 0
        await sink.write(documents(0, 2))
        await sink.commit(Commit(1, {}))
        await sink.aclose()
    with pytest.raises(SinkMismatch, match=r"was begun with versions='keep', other columns \(raw\)"):
        await database.new().open(None)


@pytest.mark.parametrize("harm", ["DROP TABLE {}", "ALTER TABLE {} DROP COLUMN title"])
async def test_what_was_committed_must_be_there(database, sink, harm):
    """A table that is gone, or has lost a column, is refused and not silently created again."""
    await sink.open(None)
    await sink.write(documents(0, 3))
    await sink.commit(Commit(1, {}))
    await sink.aclose()
    database.query(harm.format(f'"{database.table}"'))
    with pytest.raises(SinkMismatch, match=r"is gone, but commit 1|has lost its columns title"):
        await sink.open(None)


async def test_a_column_of_the_users_own_does_not_disturb(database, sink):
    """The sink leaves a column alone that the user has added."""
    await sink.open(None)
    await sink.aclose()
    database.query(f'ALTER TABLE "{database.table}" ADD COLUMN mine INTEGER')
    await sink.open(None)
    await sink.write(documents(0, 3))
    await sink.commit(Commit(1, {}))
    assert database.content(sink) == encode_lines(documents(0, 3))


async def test_the_users_own_constraint_is_named_in_the_error(database, sink):
    """If rows break a constraint that the user has added, the error says which, not that a transaction was aborted."""
    await sink.open(None)
    await sink.aclose()
    database.query(f'CREATE UNIQUE INDEX mine ON "{database.table}" (title)')
    await sink.open(None)
    with pytest.raises(SinkError, match=r"(?i)unique|duplicate") as caught:
        await run_on(sink, database)
    assert "aborted" not in str(caught.value)


async def test_a_database_that_is_behind_its_record_is_refused(sink):
    """A database that is older than its record is refused."""
    await sink.open(None)
    await sink.commit(Commit(1, {}))
    await sink.aclose()
    with pytest.raises(SinkMismatch, match="holds commit 1, but 3 was made to it"):
        await sink.open({"format": "database", "epoch": 3})


@pytest.mark.parametrize("group", [None, 2, 1])
@pytest.mark.parametrize("deleted", ["mark", "delete"])
async def test_a_foreign_commit_is_noticed(database, group, deleted):
    """If another program has committed, this run commits nothing, even when its commit takes several statements."""
    database.group = group
    sink = database.new(deleted=deleted)
    await sink.open(None)
    await sink.commit(Commit(1, {}))
    await database.change_meanwhile(sink, "UPDATE penstock_commits SET epoch = 5")
    await sink.write(documents(0, 3))
    with pytest.raises(SinkMismatch, match="no longer holds commit 1: another program"):
        await sink.commit(Commit(2, {}))
    await sink.aclose()
    assert database.documents() == []
    assert database.held() == 5


# -- what a row is


async def test_a_newer_version_takes_the_place_of_the_older(database, sink):
    """A newer version, by the value of its number, replaces an older one, in any order, in one commit or several."""
    await sink.open(None)
    await sink.write([version(1, 9), version(1, 10), version(1, 2), version(2, 1), document(3)])
    await sink.commit(Commit(1, {}))
    assert [d.doc_id for d in database.documents()] == ["r1.10", "r2.1", "d3"]
    await sink.write([version(1, 9), version(2, 3), document(3, size=4)])
    await sink.commit(Commit(2, {}))
    assert [d.doc_id for d in database.documents()] == ["r1.10", "r2.3", "d3"]
    assert database.documents()[2].title == "tttt"  # without versions the later one stays


async def test_all_versions_are_kept_if_asked_for(database):
    """With versions='keep' the table has one row per ``doc_id``."""
    sink = database.new(versions="keep")
    await sink.open(None)
    await sink.write([version(1, 9), version(1, 10), version(1, 10, title="again")])
    await sink.commit(Commit(1, {}))
    assert [(d.doc_id, d.title) for d in database.documents()] == [("r1.10", "again"), ("r1.9", "")]
    await sink.aclose()


@pytest.mark.parametrize("group", [None, 3])
async def test_rows_that_are_there_and_new_ones(database, group):
    """Rows that exist are updated and new ones inserted, in any order of commits and in later runs."""
    database.group = group
    stands, epoch = {}, 0
    for run in range(3):
        sink = database.new()
        await sink.open(None)
        for first, last in [(0, 5), (5, 9), (2, 7), (9, 10), (0, 10), (10, 14)]:
            epoch += 1
            size = run * 100 + epoch
            await sink.write(documents(first, last, size))
            await sink.commit(Commit(epoch, {"at": epoch}))
            stands |= dict.fromkeys(range(first, last), size)
        await sink.aclose()
        assert {d.metadata["n"]: len(d.title) for d in database.documents()} == stands
        assert database.held() == epoch


@pytest.mark.parametrize("deleted", ["mark", "delete"])
async def test_a_tombstone_marks_or_deletes(database, deleted):
    """A tombstone marks or deletes its row, but not a row of a newer version."""
    sink = database.new(deleted=deleted)
    await sink.open(None)
    await sink.write([version(1, 1), version(2, 5), version(3, 1), version(4, 1)])
    await sink.write([version(3, 1, deleted=True), version(4, 1, deleted=True), version(4, 2)])
    await sink.commit(Commit(1, {}))
    await sink.write([version(1, 1, deleted=True), version(2, 4, deleted=True), version(9, 1, deleted=True)])
    await sink.commit(Commit(2, {}))
    found = {d.doc_id: d.deleted for d in database.documents()}
    left = {"r2.5": False, "r4.2": False}
    marked = {"r1.1": True, "r3.1": True, "r9.1": True}
    assert found == (left if deleted == "delete" else left | marked)
    await sink.aclose()


ANY = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans(), st.booleans()), max_size=12)


@pytest.mark.parametrize("shape", list(itertools.product(["replace", "keep"], ["mark", "delete"])))
@given(steps=ANY, group=st.sampled_from([None, 2]))
@settings(
    max_examples=12 if LONG else 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_groups_have_the_result_of_single_rows(database, shape, steps, group):
    """Versions and tombstones in any order, with or without commits between, end as in a model that takes row by row."""
    versions, deleted = shape
    model = {}
    for n, v, gone, _ in steps:
        key = n if versions == "replace" else (n, v)
        if key in model and model[key][0] > v:
            continue
        if gone and deleted == "delete":
            model.pop(key, None)
        else:
            model[key] = (v, gone, n)

    async def main():
        database.group = group
        sink, epoch = database.new(versions=versions, deleted=deleted), 0
        await sink.open(None, restart=True)
        for k, (n, v, gone, commit) in enumerate(steps):
            await sink.write([version(n, v, deleted=gone)])
            if commit:
                epoch += 1
                await sink.commit(Commit(epoch, {"k": k}))
        await sink.commit(Commit(epoch + 1, {}))
        await sink.aclose()

    asyncio.run(main())
    found = sorted((d.metadata["n"], d.version, d.deleted) for d in database.documents())
    assert found == sorted((n, str(v), gone) for v, gone, n in model.values())


@given(steps=ANY, group=st.integers(1, 4))
def test_groups_hold_no_key_twice(steps, group):
    """A group has no key twice, and no more rows than its maximum."""
    groups = RowGroups(TableOptions(deleted="delete"), group)
    rows = RowMaker(TableOptions()).rows([version(n, v, deleted=gone) for n, v, gone, _ in steps])
    for each in [*(groups.add([row]) for row in rows), groups.take()]:
        for ready in each:
            assert len(ready) <= group
            keys = [row[0] for row in ready]
            assert len(keys) == len(set(keys))


def test_versions_sort_by_their_numbers():
    """Versions sort by the values of their numbers."""
    versions = ["", "0", "1", "2", "9", "10", "2024-03-01", "2024-11-02", "v1.9", "v1.10"]
    shuffled = random.Random(1).sample(versions, len(versions))
    assert sorted(shuffled, key=version_order) == versions
    assert version_order("007") == version_order("7")


async def test_difficult_text(database, sink):
    """Quotes, tabs, backslashes and line ends stay. A lone surrogate becomes U+FFFD, in PostgreSQL a NUL too."""
    hard = "a\"'\\N\\.\\\t\n\r\x0b%s{}\U0001f9ec\x1b[31m"
    odd = Document(
        doc_id="x\0", source="s", title="a\ud800b\0", content=hard, version="\0",
        metadata={"t": "\udfff\0\\u0000", hard: [hard, None, 1.5]},
    )  # fmt: skip
    await sink.open(None)
    await sink.write([odd, document(1, content=hard)])
    await sink.commit(Commit(1, {"at": hard}))
    found = database.documents()[0]
    nul = database.nul
    assert (found.doc_id, found.title, found.content) == (f"x{nul}", f"a\ufffdb{nul}", hard)
    assert found.metadata == {"t": f"\ufffd{nul}\\u0000", hard: [hard, None, 1.5]}
    assert database.documents()[1] == document(1, content=hard)
    await sink.aclose()
    assert (await sink.open(None)).position == {"at": hard}


async def test_raw_bytes_only_when_asked_for(database):
    """Raw bytes are stored only on request."""
    sink = database.new(raw="true")
    await sink.open(None)
    raw = bytes(range(256)) * 3
    await sink.write([document(1, raw=raw), document(2)])
    await sink.commit(Commit(1, {}))
    found = database.query(f'SELECT raw FROM "{database.table}" ORDER BY doc_id')
    assert [value and bytes(value) for (value,) in found] == [raw, None]
    await sink.aclose()


async def test_metadata_that_are_not_json(database, sink):
    """The error names the document, and none of its batch is taken."""
    await sink.open(None)
    with pytest.raises(SinkError, match="'odd' cannot be written as JSON"):
        await sink.write([document(1), Document(doc_id="odd", source="s", metadata={"f": object()})])
    await sink.write([document(2)])
    await sink.commit(Commit(1, {}))
    assert database.content(sink) == encode_lines([document(2)])


async def test_a_cancelled_write_has_taken_its_documents(database, sink):
    """A cancelled write has taken its documents, a cancelled commit still happens, and nothing is written twice."""
    await sink.open(None)
    for call in (sink.write(documents(0, 3000, 5000)), sink.commit(Commit(1, {"at": 3000}))):
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    await sink.write(documents(3000, 3001))
    await sink.commit(Commit(2, {}))
    assert len(database.documents()) == 3001


# -- faults


async def run(sink, until, steps=60):
    """Continue from the sink's commit, as a driver does, with writes of various sizes and some commits."""
    held = await sink.open(None)
    epoch, at = (held.epoch, held.position["at"]) if held else (0, 0)
    rng = random.Random(at)
    while at < until:
        last = min(until, at + rng.randrange(1, steps))
        await sink.write(documents(at, last, size=rng.choice([1, 2000])))
        at = last
        if rng.random() < 0.6 or at == until:
            epoch += 1
            await sink.commit(Commit(epoch, {"at": at}))


@pytest.mark.parametrize("group", cases([3], [None, 3]))  # with 3 a commit is of several statements
@pytest.mark.parametrize("after", [False, True])
async def test_every_statement_failing_once(database, after, group):
    """If any statement fails, the error says why, the sink writes nothing more, and the next run completes the table.

    Every day each case takes every sixth statement.
    """
    database.group = group
    for at in sampled(itertools.count(), 6, 3 * after):
        sink = database.new()
        database.break_at(sink, at, after=after)
        try:
            await sink.open(None, restart=True)
            await run_on(sink, database)
        except SinkError as error:
            assert "as planned" in str(error)
            with pytest.raises(SinkError, match=r"as planned|not open"):
                await sink.write(documents(0, 5000))
            with pytest.raises(SinkError, match=r"as planned|not open"):
                await sink.commit(Commit(99, {}))
            await sink.aclose()
        else:
            await sink.aclose()
            break
        sink = database.new()
        await run(sink, 12)
        await sink.aclose()
        assert [d.metadata["n"] for d in database.documents()] == list(range(12)), at
    assert at > 10


async def run_on(sink, database):
    """Write and commit the first documents."""
    for epoch, (first, last) in enumerate([(0, 3), (3, 4), (4, 12)], 1):
        await sink.write(documents(first, last))
        await sink.commit(Commit(epoch, {"at": last}))


WRITER = Path(__file__).with_name("write_database_until_killed.py")


def test_a_killed_process_loses_nothing_it_committed(database):
    """A run that is killed again and again ends with the table of an undisturbed run."""
    total, rng, killed = 1000 + 300 * KILLS, random.Random(KILLS), 0
    command = [WRITER, database.base + f"?table={database.table}", str(total)]
    for _ in range(KILLS):
        process = forks.start(*command)
        for _ in range(rng.randrange(1, 6)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert forks.finish(*command).returncode == 0
    found = database.documents()
    assert [d.metadata["n"] for d in found] == list(range(total))
    assert all(len(d.title) == d.metadata["n"] * 31 % 2000 for d in found)
    assert killed == KILLS  # no kill came too late


HOLD = """
import asyncio, sys
from penstock.sinks import sink_from
async def main():
    sink = sink_from(sys.argv[1])
    await sink.open(None)
    sys.stdout.write("open\\n")
    sys.stdout.flush()
    sys.stdin.read()
asyncio.run(main())
"""


def started(command):
    process = forks.start(*command)
    assert process.stdout.readline() == b"open\n"
    return process


@pytest.mark.slow
async def test_two_processes_on_one_table(database):
    """The second process gets an error that names the first, and can write once the first was killed."""
    command = ["-c", HOLD, database.base + f"?table={database.table}"]
    process = started(command)
    sink = database.new()
    with pytest.raises(
        SinkError, match=r"is being written by .*since.*; wait for it or stop it, then run again"
    ):
        await sink.open(None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    await sink.open(None)
    await sink.aclose()


# -- names


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("versions=all", "versions is 'replace' or 'keep', not 'all'"),
        ("deleted=maybe", "deleted is 'mark' or 'delete', not 'maybe'"),
        ("raw=yes", "raw is true or false"),
        ("table=", "a name of 1 to 63 bytes"),
        ("table=" + "x" * 64, "a name of 1 to 63 bytes"),
        ("table=a%00b", "a name of 1 to 63 bytes"),
        ("table=Penstock_Commits", "is Penstock's own"),
    ],
)
def test_choices_are_checked_at_once(database, query, says):
    """Unknown choices are refused before anything is opened."""
    with pytest.raises(GraphError, match=says):
        sink_from(f"{database.base}?{query}")
