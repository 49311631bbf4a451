"""Runs of a pipeline into each database, with and without a ledger."""

from __future__ import annotations

import tracemalloc

import pytest

from penstock import IngestionPipeline, from_iterable
from penstock.adapters import Adapter
from penstock.document import Document
from penstock.errors import SinkError, SinkMismatch
from penstock.ledger import SqliteLedger

from ..length import LONG, cases  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package
from .conftest import file_size_limit

RECORDS = [Record("gone" if n % 40 == 7 else "ok") for n in range(200)]


def pipeline(ledger, **more):
    source = ScriptedSource(RECORDS)
    return IngestionPipeline(Adapter(source, page_size=7), ledger=ledger, checkpoint_every=20, **more)


def names(database):
    return sorted((int(d.doc_id[1:]), d.deleted) for d in database.documents())


WHOLE = [(n, n % 40 == 7) for n in range(200)]


@pytest.mark.parametrize("with_ledger", [True, False])
async def test_a_run_that_is_stopped_goes_on(database, tmp_path, with_ledger):
    """A stopped run resumes from the commit that the database holds, even without a ledger."""
    ledger = tmp_path / "ledger.db" if with_ledger else None
    stopped = pipeline(ledger, hooks=[lambda _: stopped.stop() if stopped_at() else None])
    seen = 0

    def stopped_at():
        nonlocal seen
        seen += 1
        return seen > 5

    assert (await stopped.run(database.new())).state == "cancelled"
    assert 0 < len(database.documents()) < 200
    summary = await pipeline(ledger).run(database.new())
    assert summary.state == "completed"
    assert summary.session["completed"] < 200
    assert summary.counts["completed"] == 200
    assert names(database) == WHOLE
    again = await pipeline(ledger).run(database.new())
    assert again.nothing_to_do
    assert names(database) == WHOLE


async def test_restart_begins_anew(database, tmp_path):
    """Restart empties both the ledger and the table."""
    ledger = tmp_path / "ledger.db"
    await pipeline(ledger).run(database.new())
    summary = await pipeline(ledger, restart=True).run(database.new())
    assert summary.session["completed"] == 200
    assert names(database) == WHOLE


@pytest.mark.parametrize("at", cases(range(0, 30, 10), range(30)))
async def test_a_fault_in_mid_run(database, tmp_path, at):
    """After a fault the same call resumes the run, and ledger and table agree."""
    database.group = 4  # a commit then takes several calls
    sink = database.new()
    database.break_at(sink, at + 10, after=bool(at % 2))
    with pytest.raises(SinkError, match="as planned"):
        await pipeline(tmp_path / "ledger.db").run(sink)
    await pipeline(tmp_path / "ledger.db").run(database.new())
    assert names(database) == WHOLE
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        opened = await ledger.open("scripted")
        assert opened.epoch == database.held()
        assert await ledger.tally("scripted") == {"completed": 195, "deleted": 5}


async def test_a_table_that_is_behind_its_ledger_is_refused(database, tmp_path):
    """A table that lacks documents which the ledger calls completed is refused."""
    await pipeline(tmp_path / "ledger.db").run(database.new())
    database.table = "another"
    with pytest.raises(
        SinkMismatch, match=r"but .*another.* holds commit 0; use the output of its earlier runs"
    ):
        await pipeline(tmp_path / "ledger.db").run(database.new())


async def test_what_a_crash_can_do_is_explained(database):
    """``explain`` says what a crash does: without a ledger the run resumes from the database's commit."""
    assert "effectively once" in pipeline("x.db").explain(database.new())
    assert "without a ledger, an interrupted run resumes from the position in the output" in pipeline(
        None
    ).explain(database.new())


async def test_any_flow_goes_into_a_database(database):
    """A flow without a position comes again from its beginning, and changes nothing."""
    documents = [Document(doc_id=f"d{n}", source="s", metadata={"n": n}) for n in range(50)]
    for _ in range(2):
        delivered = await from_iterable(documents).into(database.new(), commit_every=7)
        assert delivered.documents == 50
    assert database.documents() == documents


async def test_a_file_size_limit(file_database):
    """The error names the output, earlier commits stay, and the run resumes once the limit is raised."""
    documents = [
        Document(doc_id=f"d{n}", source="s", content=f"{n}" * 2000, metadata={"n": n}) for n in range(600)
    ]
    with (
        file_size_limit(file_database.limit),
        pytest.raises(SinkError, match=r"cannot .* the output .*out\."),
    ):
        await from_iterable(documents).into(file_database.new(), commit_every=20)
    assert len(file_database.documents()) < 600
    await from_iterable(documents).into(file_database.new(), commit_every=20)
    assert file_database.documents() == documents


@pytest.mark.slow
async def test_memory_is_flat(database):
    """Many documents take no more memory of ours than few."""
    small, large = (10_000, 110_000) if LONG else (2_000, 12_000)

    async def peak(first, last):
        tracemalloc.reset_peak()
        flow = from_iterable(
            Document(doc_id=f"d{n}", source="s", content="x" * 200) for n in range(first, last)
        )
        await flow.into(database.new(), commit_every=1000)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        few = await peak(0, small)
        many = await peak(small, large)
    finally:
        tracemalloc.stop()
    assert database.query(f'SELECT count(*) FROM "{database.table}"')[0][0] == large  # noqa: S608
    assert many < few * 1.2 + 500_000
