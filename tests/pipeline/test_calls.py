"""The five calls of ``IngestionPipeline``, its options, and its behaviour when a part fails."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from expression import Ok
from hypothesis import given
from hypothesis import strategies as st

from penstock import IngestionPipeline, from_iterable
from penstock.abc import Page, Source
from penstock.adapters import Adapter
from penstock.document import Document, RawRecord, content_hash
from penstock.errors import GraphError, LedgerBusy, NotAwaited, SinkError, SinkMismatch
from penstock.events import AdapterStateChange, DocumentCompleted
from penstock.ledger import MemoryLedger
from penstock.sinks import JsonLinesSink, MemorySink
from penstock.testing import no_leaks
from penstock.testing import run as virtually

from ..machines import Fault, Machine  # noqa: TID252  tests are no installed package
from ..scripted import POLICY, RECORDS, Plan, Record, ScriptedSource, expected, shown, step, wanted  # noqa: TID252

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from expression import Result

    from penstock.abc import JSON
    from penstock.errors import DocumentError
    from penstock.events import PipelineEvent

SCRIPT = [
    Record(),
    Record("gone"),
    Record("bad"),
    Record("out"),
    Record(),
    Record(flaky=1),
    Record("crash"),
    Record(),
]


class Listed(Source):
    """Documents from a list of (id, text), one a page; the list may grow and change between runs."""

    name: ClassVar[str] = "listed"

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self.rows = list(rows)

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        for i in range(position or 0, len(self.rows)):
            name, text = self.rows[i]
            yield Page([RawRecord(f"list#{i}", text.encode(), {"id": name})], i + 1)

    def identify(self, raw: RawRecord) -> str:
        return str(raw.context["id"])

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        return Ok(
            Document(
                doc_id=raw.context["id"],
                source=self.name,
                content=raw.data.decode(),
                content_hash=content_hash(raw.data),
            )
        )


def listed(count: int, first: int = 0) -> Listed:
    return Listed([(f"a{i}", f"text {i}") for i in range(first, first + count)])


def pipeline_of(source: Source, **options: Any) -> IngestionPipeline:
    return IngestionPipeline(Adapter(source, page_size=3), **options)


def ids(documents: Sequence[Document]) -> list[str]:
    return [document.doc_id for document in documents]


# -- the five calls ----------------------------------------------------------------------------------


@pytest.mark.slow
@given(RECORDS, st.sampled_from([1, 2, 5]))
def test_all_five_calls_agree_with_the_model(records: list[Record], every: int) -> None:
    """Events, results, the eager result, the sink's documents and the ids equal those of a plain loop."""
    plan = Plan(every=every)
    model = expected(plan, ScriptedSource(records))
    gone = [f"d{i}" for i, record in enumerate(records) if record.kind == "gone"]
    completed = [event[1] for event in model.events if event[0] == "C"]
    results = [name for name in completed if name not in gone]

    def pipeline() -> IngestionPipeline:
        return pipeline_of(
            ScriptedSource(records), where=wanted, process=[step], retry=POLICY, progress_every=every
        )

    async def main() -> None:
        assert [shown(event) async for event in pipeline().stream_events()] == model.events
        assert ids([document async for document in pipeline().iter_results()]) == results
        eager = await pipeline().run_async()
        assert ids(eager.documents) == results
        assert [f.doc_id for f in eager.failures] == [e[1] for e in model.events if e[0] == "F" and not e[3]]
        sink = MemorySink()
        summary = await pipeline().run(sink)
        assert ids(sink.documents) == completed
        counts = {"completed": model.completed, "failed": model.failed, "skipped": model.skipped}
        assert summary.counts == {
            **counts,
            "started": model.completed + model.failed,
            "deleted": len(set(completed) & set(gone)),
            "new": len(set(completed) - set(gone)),
            "changed": 0,
            "unchanged": 0,
        }
        assert summary.counts == eager.summary.counts
        assert {k: summary.session[k] for k in summary.counts} == summary.counts
        assert summary.session["retried"] == sum(e[0] == "F" and e[3] for e in model.events)
        assert (summary.state, summary.resumed, summary.ledger) == ("completed", False, None)
        with pytest.warns(DeprecationWarning, match="iter_results"):
            assert await pipeline().run_async_legacy() == results

    virtually(main())


async def test_a_summary_names_sink_ledger_and_key(tmp_path: Path) -> None:
    """It also counts the raw bytes."""
    summary = await pipeline_of(listed(3), ledger=tmp_path / "run.db", key="mine").run(tmp_path / "out.jsonl")
    assert summary.sink == str(tmp_path / "out.jsonl")
    assert summary.ledger == str(tmp_path / "run.db")
    assert (summary.key, summary.run) == ("mine", 1)
    assert summary.bytes_read == sum(len(f"text {i}") for i in range(3))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["doc_id"] for line in lines] == ["a0", "a1", "a2"]


# -- resuming ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_consumer_that_leaves_gets_only_its_last_list_again(kind: str, tmp_path: Path) -> None:
    """``break`` keeps acknowledged documents, and the same pipeline can be run again at once."""
    pipeline = pipeline_of(listed(40), ledger=MemoryLedger() if kind == "memory" else tmp_path / "run.db")
    first: list[str] = []
    async for document in pipeline.iter_results():
        first.append(document.doc_id)
        if len(first) == 20:
            break
    second = [document.doc_id async for document in pipeline.iter_results()]
    assert first + second[second.index("a20") :] == [f"a{i}" for i in range(40)]
    assert second[0] != "a0"
    assert [document async for document in pipeline.iter_results()] == []


@pytest.mark.slow
async def test_a_ledger_in_use_is_refused(tmp_path: Path) -> None:
    """A run beside an unfinished one raises ``LedgerBusy`` and does not wait."""
    pipeline = pipeline_of(listed(5), ledger=tmp_path / "run.db")
    async with aclosing(pipeline.stream_events()) as events:
        await anext(events)
        with pytest.raises(LedgerBusy):
            await pipeline.run()


async def test_documents_before_a_failure_of_the_source_are_kept() -> None:
    """They are committed, and the same call resumes behind them."""
    ledger, sink = MemoryLedger(), MemorySink()
    with pytest.raises(ConnectionError):
        await pipeline_of(ScriptedSource([Record()] * 9, down={6: 9}), ledger=ledger, retry=None).run(sink)
    assert ids(sink.documents) == [f"d{i}" for i in range(6)]
    summary = await pipeline_of(ScriptedSource([Record()] * 9), ledger=ledger).run(sink)
    assert ids(sink.documents) == [f"d{i}" for i in range(9)]
    assert (summary.resumed, summary.run, summary.counts["completed"], summary.session["completed"]) == (
        True,
        1,
        9,
        3,
    )


async def test_stop_before_the_run_begins_takes_nothing() -> None:
    """An early ``stop`` stops the next run, and only that one."""
    ledger, sink = MemoryLedger(), MemorySink()
    pipeline = pipeline_of(listed(5), ledger=ledger)
    pipeline.stop()
    assert (await pipeline.run(sink)).state == "cancelled"
    assert sink.documents == []
    assert (await pipeline.run(sink)).state == "completed"
    assert ids(sink.documents) == [f"a{i}" for i in range(5)]


async def test_a_run_without_new_records_reports_nothing_to_do() -> None:
    """It writes nothing and counts nothing."""
    ledger, sink = MemoryLedger(), MemorySink()
    source = listed(5)
    summaries = [await pipeline_of(source, ledger=ledger).run(sink) for _ in range(3)]
    assert [s.nothing_to_do for s in summaries] == [False, True, True]
    assert [s.session["completed"] for s in summaries] == [5, 0, 0]
    assert [s.state for s in summaries] == ["completed"] * 3
    assert ids(sink.documents) == [f"a{i}" for i in range(5)]


async def test_new_records_are_read_by_a_new_logical_run() -> None:
    """Its counts begin at 0."""
    ledger, sink, source = MemoryLedger(), MemorySink(), listed(3)
    await pipeline_of(source, ledger=ledger).run(sink)
    source.rows += listed(2, first=3).rows
    summary = await pipeline_of(source, ledger=ledger).run(sink)
    assert ids(sink.documents) == [f"a{i}" for i in range(5)]
    assert (summary.run, summary.counts["completed"], summary.nothing_to_do) == (2, 2, False)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_unchanged_documents_of_earlier_runs_are_skipped(concurrency: int) -> None:
    """A document with the same bytes is skipped and counted, with other bytes processed; in one run none is skipped."""
    ledger, sink = MemoryLedger(), MemorySink()
    source = Listed([("x", "one"), ("x", "one"), ("y", "two")])
    await pipeline_of(source, ledger=ledger, concurrency=concurrency).run(sink)
    assert sorted(ids(sink.documents)) == ["x", "x", "y"]
    source.rows += [("x", "one"), ("y", "changed"), ("z", "new"), ("z", "new")]
    summary = await pipeline_of(source, ledger=ledger, concurrency=concurrency).run(sink)
    assert sorted(ids(sink.documents)[3:]) == ["y", "z", "z"]
    assert (summary.counts["skipped"], summary.session["skipped"], summary.counts["completed"]) == (1, 1, 3)
    source.rows += [("x", "one")]
    assert (await pipeline_of(source, ledger=ledger, skip_completed=False).run(sink)).counts["completed"] == 1


async def test_a_failed_document_is_not_skipped_by_the_next_run() -> None:
    """Only completed documents are skipped."""
    ledger, sink, source = MemoryLedger(), MemorySink(), Listed([("x", "one")])

    def refuse(document: Document) -> Document:
        raise ValueError("not today")

    assert (await pipeline_of(source, ledger=ledger, process=[refuse]).run(sink)).counts["failed"] == 1
    source.rows += [("x", "one")]
    assert (await pipeline_of(source, ledger=ledger).run(sink)).counts["completed"] == 1
    assert await ledger_letters(ledger, "listed") == []


async def test_a_dead_letter_holds_the_whole_record() -> None:
    """It has the record's key, bytes and context."""
    ledger, source = MemoryLedger(), ScriptedSource([Record(), Record("bad"), Record("nameless")])
    await pipeline_of(source, ledger=ledger).run(MemorySink())
    await ledger.open("scripted")
    bad, nameless = [letter async for letter in ledger.dead_letters("scripted")]
    assert (bad.doc_id, bad.key, nameless.key) == ("d1", "file#1", "file#2")
    assert (bad.raw, bad.context) == (source.raw(1).data, {"number": 1})


async def ledger_letters(ledger: MemoryLedger, key: str) -> list[str]:
    await ledger.open(key)
    return [letter.key async for letter in ledger.dead_letters(key)]


async def test_a_limit_may_be_raised() -> None:
    """``limit`` counts documents of the logical run: with a larger one, the run is resumed."""
    ledger, sink, source = MemoryLedger(), MemorySink(), listed(10)

    async def run(limit: int | None) -> Any:
        return await pipeline_of(source, ledger=ledger, limit=limit).run(sink)

    assert ((await run(4)).limited, ids(sink.documents)) == (True, ["a0", "a1", "a2", "a3"])
    assert ((await run(4)).nothing_to_do, len(sink.documents)) == (True, 4)
    summary = await run(6)
    assert (summary.counts["completed"], summary.session["completed"], summary.run) == (6, 2, 1)
    summary = await run(None)
    assert (summary.counts["completed"], summary.limited, summary.state) == (10, False, "completed")
    assert ids(sink.documents) == [f"a{i}" for i in range(10)]


async def test_restart_begins_at_the_beginning() -> None:
    """``restart`` empties ledger and output: no document is skipped, and none is there twice."""
    ledger, sink, source = MemoryLedger(), MemorySink(), listed(4)
    await pipeline_of(source, ledger=ledger).run(sink)
    summary = await pipeline_of(source, ledger=ledger, restart=True).run(sink)
    assert ids(sink.documents) == [f"a{i}" for i in range(4)]
    assert (summary.counts["completed"], summary.counts["skipped"], summary.resumed) == (4, 0, False)


async def test_a_restart_whose_output_cannot_be_opened_changes_nothing(tmp_path) -> None:
    """The earlier output, its position and the states stay."""
    ledger, out, source = MemoryLedger(), tmp_path / "out.jsonl", listed(4)
    await pipeline_of(source, ledger=ledger).run(out)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SinkError, match="folder"):
        await pipeline_of(source, ledger=ledger, restart=True).run(JsonLinesSink(tmp_path / "folder"))
    summary = await pipeline_of(listed(6), ledger=ledger).run(out)
    assert summary.counts["completed"] == 2
    assert len(out.read_text().splitlines()) == 6


async def test_without_a_ledger_every_run_starts_at_the_beginning() -> None:
    """A pipeline is cold and may run any number of times."""
    pipeline = pipeline_of(listed(3))
    for _ in range(2):
        assert ids([document async for document in pipeline.iter_results()]) == ["a0", "a1", "a2"]


# -- hooks -------------------------------------------------------------------------------------------


async def test_hooks_get_every_event_before_the_consumer() -> None:
    """A hook gets the events of the stream in order, each list before the consumer gets it."""
    seen: list[PipelineEvent] = []
    taken: list[PipelineEvent] = []

    def hook(events: Sequence[PipelineEvent]) -> None:
        assert len(taken) == len(seen)
        seen.extend(events)

    async for event in pipeline_of(listed(9), hooks=[hook]).stream_events():
        taken.append(event)
    assert [id(event) for event in seen] == [id(event) for event in taken]


@pytest.mark.parametrize("call", range(6))
async def test_a_hook_that_fails_loses_nothing(call: int) -> None:
    """The next run resumes with the documents of the list on which the hook failed."""
    ledger, sink = MemoryLedger(), MemorySink()
    calls = iter(range(100))

    def hook(_: Sequence[PipelineEvent]) -> None:
        if next(calls) == call:
            raise RuntimeError("the hook has had enough")

    with pytest.raises(RuntimeError, match="had enough"):
        await pipeline_of(listed(30), ledger=ledger, hooks=[hook], checkpoint_every=4).run(sink)
    summary = await pipeline_of(listed(30), ledger=ledger).run(sink)
    assert ids(sink.documents) == [f"a{i}" for i in range(30)]
    assert summary.counts["completed"] == 30


# -- failures of the parts ----------------------------------------------------------------------------


async def test_a_sink_is_refused_if_the_ledger_was_used_without_one() -> None:
    """The output would lack the documents that an earlier consumer took."""
    ledger = MemoryLedger()
    await pipeline_of(listed(3), ledger=ledger).run()
    with pytest.raises(SinkMismatch, match="without an output"):
        await pipeline_of(listed(5), ledger=ledger).run(MemorySink())
    sink = MemorySink()
    await pipeline_of(listed(5), ledger=ledger, restart=True).run(sink)
    assert len(sink.documents) == 5


async def test_a_failed_commit_is_raised_and_masks_no_other_error() -> None:
    """The error of the commit ends the run. If the source failed too, its error is raised, with a note."""
    machine = Machine()
    with pytest.raises(SinkError, match="as planned"):
        await pipeline_of(listed(9), ledger=machine.ledger(Fault()), checkpoint_every=2).run(
            machine.file_sink(Fault(4, kill=False))
        )
    machine = Machine()
    source = ScriptedSource([Record()] * 9, down={6: 9})
    fault = Fault(4, kill=False, turns=3)
    with pytest.raises((ConnectionError, SinkError)) as caught:
        await pipeline_of(source, ledger=machine.ledger(Fault()), checkpoint_every=6, retry=None).run(
            machine.file_sink(fault)
        )
    if isinstance(caught.value, ConnectionError):
        assert any("as planned" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("concurrent", [False, True])
async def test_nothing_is_left_behind(*, concurrent: bool, tmp_path: Path) -> None:
    """A run that ends, is left by ``break``, is cancelled or fails leaves no task, generator or file open."""

    async def later(document: Document) -> Document:
        await asyncio.sleep(0)
        return document

    options: dict[str, Any] = {"process": [later], "concurrency": 2} if concurrent else {}
    async with no_leaks():
        await pipeline_of(listed(9), ledger=tmp_path / "a.db", **options).run(tmp_path / "a.jsonl")
        async for _ in pipeline_of(listed(9), ledger=tmp_path / "b.db", **options).stream_events():
            break
        await asyncio.sleep(0.01)
        task = asyncio.ensure_future(pipeline_of(listed(900), ledger=tmp_path / "c.db", **options).run())
        for _ in range(40):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        with pytest.raises(ConnectionError):
            await pipeline_of(ScriptedSource([Record()] * 5, down={3: 9}), retry=None, **options).run(
                JsonLinesSink(tmp_path / "d.jsonl")
            )
        await asyncio.sleep(0.05)


# -- arguments ---------------------------------------------------------------------------------------


def test_invalid_arguments_are_refused_when_the_pipeline_is_built() -> None:
    """Each raises a ``GraphError`` that names it; nothing is opened."""
    adapter = Adapter(listed(3))
    with pytest.raises(GraphError, match="takes an adapter, not Flow"):
        IngestionPipeline(from_iterable([1]))  # type: ignore[arg-type]
    for name in ("concurrency", "progress_every", "checkpoint_every", "limit"):
        for value in (0, -1, 2.5, True):
            with pytest.raises(GraphError, match=name):
                IngestionPipeline(adapter, **{name: value})  # type: ignore[arg-type]


def test_explain_describes_what_a_crash_can_do(tmp_path: Path) -> None:
    """It distinguishes no guarantee, at least once and effectively once; and it names the steps."""
    adapter = Adapter(listed(3))
    assert "no ledger" in IngestionPipeline(adapter).explain()
    with_ledger = IngestionPipeline(adapter, ledger=tmp_path / "x.db", process=[step])
    assert "at least once" in with_ledger.explain()
    assert "effectively once" in with_ledger.explain("out.jsonl")
    assert "step (concurrency 1)" in with_ledger.explain()
    assert not (tmp_path / "x.db").exists()


async def test_the_last_event_is_the_end_of_the_run() -> None:
    """A run that was stopped ends with the change to ``cancelled`` and its reason."""
    pipeline = pipeline_of(listed(30))
    events: list[PipelineEvent] = []
    async for event in pipeline.stream_events():
        events.append(event)
        if isinstance(event, DocumentCompleted):
            pipeline.stop()
    last = events[-1]
    assert isinstance(last, AdapterStateChange)
    assert (last.new_state, last.reason) == ("cancelled", "stopped by request")


def test_async_functions_that_nobody_awaits_end_the_run() -> None:
    """``where``, ``hooks`` and a step that hides its coroutine end the run: otherwise every document would be wrong.

    The name of the argument is in the error, which comes before the first document is delivered.
    """

    async def later(*_: object) -> bool:
        return True

    for name, message in (("where", "where: "), ("hooks", "hooks"), ("process", "write it as an async def")):
        hidden: Any = [lambda *_: later()] if name != "where" else lambda *_: later()
        sink = MemorySink()
        with pytest.raises(NotAwaited, match=message):
            virtually(pipeline_of(listed(3), **{name: hidden}).run(sink))
        assert sink.documents == []
    for name in ("where", "hooks"):
        declared: Any = [later] if name == "hooks" else later
        with pytest.raises(GraphError, match=f"IngestionPipeline.{name}=later. at .*test_calls.py"):
            pipeline_of(listed(3), **{name: declared})
    with pytest.raises(GraphError, match=r"Right: process=\[later\]"):
        pipeline_of(listed(3), process=later)


def test_the_calls_without_await_agree_with_those_that_await() -> None:
    """``pipeline.sync`` gives the same documents and events, outside of a running loop and inside one."""
    wanted = ids(asyncio.run(pipeline_of(listed(5)).run_async()).documents)

    def call() -> None:
        pipeline, sink = pipeline_of(listed(5)), MemorySink()
        assert ids([*pipeline.sync.iter_results()]) == wanted
        assert ids(pipeline.sync.run_async().documents) == wanted
        kinds = [type(event).__name__ for event in pipeline.sync.stream_events()]
        assert kinds.count("DocumentCompleted") == len(wanted)
        pipeline.sync.run(sink)
        assert ids(sink.documents) == wanted

    async def cell() -> None:
        call()

    call()
    asyncio.run(cell())
