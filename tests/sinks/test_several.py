"""Several outputs of one run. Crashes are tested in ``tests/pipeline``."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import Document, IngestionPipeline
from penstock.abc import Commit
from penstock.adapters import Adapter
from penstock.errors import GraphError, SinkError, SinkMismatch
from penstock.sinks import JsonLinesSink, MemorySink, SeveralSinks, sink_from

from ..machines import Base, DatabaseSink  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource  # noqa: TID252


def document(n: int) -> Document:
    return Document(doc_id=f"d{n}", source="test")


def three(folder: Path, base: Base) -> SeveralSinks:
    return SeveralSinks(JsonLinesSink(folder / "a.jsonl"), DatabaseSink(base), MemorySink())


async def test_each_gets_everything(tmp_path: Path) -> None:
    """After a commit all outputs hold the same documents."""
    base, sink = Base("one"), three(tmp_path, Base("unused"))
    sink = three(tmp_path, base)
    await sink.open(None)
    await sink.write([document(1), document(2)])
    record = await sink.commit(Commit(1, {}))
    assert record["epoch"] == 1
    assert [part["name"] for part in record["sinks"]] == [str(tmp_path / "a.jsonl"), "database one", "memory"]
    await sink.aclose()
    assert len((tmp_path / "a.jsonl").read_bytes().splitlines()) == 2
    assert list(base.rows) == ["d1", "d2"] == [d.doc_id for d in sink.sinks[2].documents]


async def test_a_database_that_is_one_commit_ahead_takes_it_again(tmp_path: Path) -> None:
    """After a kill between the database's commit and the ledger's, the database takes the same epoch again."""
    base = Base("one")
    sink = three(tmp_path, base)
    await sink.open(None)
    first = await sink.commit(Commit(1, {}))
    await sink.write([document(1)])
    await sink.commit(Commit(2, {}))  # the ledger never got this record
    await sink.aclose()
    await sink.open(first)
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    await sink.write([document(1), document(2)])
    await sink.commit(Commit(2, {}))
    assert list(base.rows) == ["d1", "d2"]


@pytest.mark.parametrize(("held", "epoch"), [(0, 1), (1, 3), (5, 3), (2, 0)])
async def test_a_database_of_another_ledger_is_refused(tmp_path: Path, held: int, epoch: int) -> None:
    """A database that is behind, or more than one commit ahead, is refused."""
    base = Base("one", held=Commit(held, {}) if held else None)
    sink = SeveralSinks(DatabaseSink(base), MemorySink())
    parts = [
        {"name": "database one", "record": None},
        {"name": "memory", "record": {"format": "memory", "count": 0, "last": None}},
    ]
    record = {"format": "several", "epoch": epoch, "sinks": parts} if epoch else None
    with pytest.raises(SinkMismatch, match=f"holds commit {held}, but the ledger .* at {epoch}"):
        await sink.open(record)


async def test_a_database_of_a_short_run_into_it_alone_is_refused(tmp_path: Path) -> None:
    """A first commit with a position is refused: the first commit of several outputs has none."""
    folder, alone = tmp_path, Adapter(ScriptedSource([Record()]))
    table = f"sqlite:///{folder / 'out.db'}"
    await IngestionPipeline(alone, ledger=folder / "one.db").run(table)
    both = IngestionPipeline(Adapter(ScriptedSource([Record("gone")])), ledger=folder / "two.db")
    with pytest.raises(SinkMismatch, match="holds commit 1, but the ledger and the other outputs are at 0"):
        await both.run([table, folder / "out.jsonl"])


@pytest.mark.parametrize("record", [{"offset": 3}, {"format": "several", "epoch": 1, "sinks": []}, 7])
async def test_other_outputs_than_before_are_refused(tmp_path: Path, record: object) -> None:
    """A record of other outputs is refused."""
    with pytest.raises(SinkMismatch, match="name the same ones"):
        await three(tmp_path, Base("one")).open(record)


async def test_if_one_cannot_be_opened_the_others_are_released(tmp_path: Path) -> None:
    """If one output cannot be opened, the others are released for other processes."""
    (tmp_path / "b.jsonl").write_text("somebody's\n")
    sink = SeveralSinks(JsonLinesSink(tmp_path / "a.jsonl"), JsonLinesSink(tmp_path / "b.jsonl"))
    with pytest.raises(SinkMismatch):
        await sink.open(None)
    again = JsonLinesSink(tmp_path / "a.jsonl")
    await again.open(None)
    await again.aclose()


async def test_all_are_closed_though_one_fails(tmp_path: Path) -> None:
    """Closing closes all outputs, even if one fails, and raises its error."""

    class Stuck(MemorySink):
        async def aclose(self) -> None:
            await super().aclose()
            raise SinkError("stuck")

        def describe(self) -> str:
            return "stuck"

    last = JsonLinesSink(tmp_path / "a.jsonl")
    sink = SeveralSinks(Stuck(), last)
    await sink.open(None)
    with pytest.raises(SinkError, match="stuck"):
        await sink.aclose()
    with pytest.raises(SinkError, match="not open"):
        await last.write([document(1)])


def test_what_makes_no_sense_is_refused_at_once(tmp_path: Path) -> None:
    """A single sink, the same output twice, and several outputs without a ledger are refused."""
    with pytest.raises(GraphError, match="two or more"):
        SeveralSinks(MemorySink())
    with pytest.raises(GraphError, match="named twice"):
        sink_from([tmp_path / "a.jsonl", str(tmp_path / "a.jsonl")])
    with pytest.raises(GraphError, match="need a ledger"):
        IngestionPipeline(Adapter(ScriptedSource([Record()]))).explain([MemorySink(), tmp_path / "a.jsonl"])


def test_a_list_of_one_is_that_one(tmp_path: Path) -> None:
    """A list of one target means that target, and ``explain`` says what a crash does to several."""
    assert isinstance(sink_from([tmp_path / "a.jsonl"]), JsonLinesSink)
    pipeline = IngestionPipeline(Adapter(ScriptedSource([Record()])), ledger=tmp_path / "ledger.db")
    assert "the lowest commit" in pipeline.explain([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
