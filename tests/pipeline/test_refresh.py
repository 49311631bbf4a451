"""A refresh reads the whole source again and takes new and changed documents, also when it was interrupted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import IngestionPipeline
from penstock.adapters import Adapter, pubmed
from penstock.errors import GraphError, LedgerError, SinkError, SourceError
from penstock.ledger import MemoryLedger
from penstock.sinks import MemorySink
from penstock.testing import run as virtually
from penstock.testing.faults import FaultyLedger

from ..length import sampled  # noqa: TID252  tests are no installed package
from ..machines import Fault, Killed, Machine  # noqa: TID252
from ..scripted import KINDS, Record, ScriptedSource, step, wanted  # noqa: TID252
from .test_crashes import OUTPUTS, SINKS, outcome, sleepy

BEFORE = [Record(kind) for kind in ("ok", "ok", "bad", "gone", "ok", "out", "ok", "step", "ok")]
AFTER = [
    Record(kind)
    for kind in ("ok", "gone", "ok", "ok", "step", "out", "ok", "step", "bad", "ok", "gone", "ok")
]


class Readable(FaultyLedger):
    """A faulty ledger whose ``compare`` works: several tasks call it, and a fault would end only one of them."""

    async def compare(self, key: str, documents: Any) -> Any:
        return await self._ledger.compare(key, documents)


def pipeline(
    machine: Machine,
    records: list[Record],
    fault: Fault,
    *,
    concurrent: bool,
    source: type[ScriptedSource] = ScriptedSource,
    **options: Any,
) -> IngestionPipeline:
    return IngestionPipeline(
        Adapter(source(records), page_size=3), ledger=Readable(machine.books, fault) if concurrent else machine.ledger(fault),
        process=[sleepy if concurrent else step], concurrency=2 if concurrent else 1, where=wanted, retry=None,
        progress_every=2, checkpoint_every=3, **options,
    )  # fmt: skip


async def process(
    machine: Machine,
    records: list[Record],
    fault: Fault,
    kind: str,
    *,
    concurrent: bool = False,
    refresh: bool = True,
    source: type[ScriptedSource] = ScriptedSource,
) -> Any:
    """Run once, as one process; return the summary or the error."""
    work = pipeline(machine, records, fault, concurrent=concurrent, source=source, refresh=refresh)
    try:
        return await work.run(SINKS[kind](machine, fault))
    except (Killed, LedgerError, SinkError) as error:
        return error
    finally:
        await machine.lose_power(fault.at)


async def read_before(kind: str, records: list[Record], *, concurrent: bool = False) -> Machine:
    machine = Machine()
    await process(machine, records, Fault(), kind, concurrent=concurrent, refresh=False)
    return machine


async def ends_as(machine: Machine, records: list[Record], kind: str, *, concurrent: bool) -> dict[str, Any]:
    """Return the outcome after one more refresh, which is not disturbed."""
    book = machine.books._entries["scripted"]
    ended, counts = not book.running and book.run > 1, book.last and book.last[3]
    await process(machine, records, Fault(), kind, concurrent=concurrent)
    result = await outcome(machine)
    result["counts"] = (
        counts if ended else result["counts"]
    )  # otherwise the last process was one more refresh
    return {**result, **{name: sorted(result[name]) for name in OUTPUTS if concurrent}}


async def test_new_changed_unchanged_and_deleted_documents_are_counted() -> None:
    """New, changed and deleted documents make up the completed ones; all counts make up the records."""
    machine = await read_before("file", BEFORE)
    assert (await process(machine, AFTER, Fault(), "file", refresh=False)).session[
        "completed"
    ] == 3  # the records at the end only
    machine = await read_before("file", BEFORE)
    summary = await process(machine, AFTER, Fault(), "file")
    assert summary.counts == {
        "started": 9, "completed": 6, "failed": 3, "skipped": 3, "deleted": 2,
        "new": 3, "changed": 1, "unchanged": 2,
    }  # fmt: skip
    counts = summary.counts
    assert counts["completed"] == counts["new"] + counts["changed"] + counts["deleted"]
    assert counts["completed"] + counts["failed"] + counts["skipped"] == len(AFTER)
    again = await process(machine, AFTER, Fault(), "file")
    assert again.counts["completed"] == 0
    assert again.counts["unchanged"] == counts["completed"] + counts["unchanged"]


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("concurrent", [False, True], ids=["sequential", "concurrent"])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
def test_every_single_fault(kind: str, kill: bool, concurrent: bool) -> None:
    """A refresh is killed, or fails once, before or after any call: the next refresh ends like an undisturbed one.

    Every day each case takes every fourth call; the cases of one output together take every call.
    """

    async def main() -> None:
        machine, counting = await read_before(kind, BEFORE, concurrent=concurrent), Fault()
        await process(machine, AFTER, counting, kind, concurrent=concurrent)
        whole = await outcome(machine)
        whole |= {name: sorted(whole[name]) for name in OUTPUTS if concurrent}
        assert counting.calls > 12
        for at in sampled(range(counting.calls), 4, 2 * kill + concurrent):
            for after in (False, True):
                machine, fault = (
                    await read_before(kind, BEFORE, concurrent=concurrent),
                    Fault(at, kill=kill, after=after),
                )
                await process(machine, AFTER, fault, kind, concurrent=concurrent)
                result = await ends_as(machine, AFTER, kind, concurrent=concurrent)
                if (
                    fault.log[at] == "ledger.compare" and not kill
                ):  # counts as a failure of the source: one more run
                    result["counts"] = whole["counts"]
                assert result == whole, (at, after, fault.log[at])

    virtually(main())


@given(
    st.lists(st.sampled_from(KINDS).map(Record), max_size=8),
    st.lists(st.sampled_from(KINDS).map(Record), max_size=8),
    st.sampled_from(sorted(SINKS)),
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.booleans(), st.booleans()), max_size=3),
)
def test_any_series_of_faults(
    before: list[Record], after: list[Record], kind: str, faults: list[tuple[int, bool, bool, bool]]
) -> None:
    """Runs and refreshes are killed or fail; the last refresh ends like an undisturbed one."""

    async def main() -> None:
        machine = await read_before(kind, before)
        await process(machine, after, Fault(), kind)
        whole = await outcome(machine)
        machine = await read_before(kind, before)
        for at, kill, late, refresh in faults:
            await process(machine, after, Fault(at, kill=kill, after=late), kind, refresh=refresh)
        await process(machine, after, Fault(), kind)
        result = await outcome(machine)
        for name in OUTPUTS:  # the last content of each document
            assert dict(result[name]) == dict(whole[name])
        assert result["tally"] == whole["tally"]
        assert result["dead"] == whole["dead"]

    virtually(main())


class Repeating(ScriptedSource):
    """Repeats four documents, each time with another content."""

    def identify(self, raw: Any) -> str:
        return self.known_as(super().identify(raw))

    def parse(self, raw: Any) -> Any:
        return super().parse(raw).map(lambda d: d.model_copy(update={"doc_id": self.known_as(d.doc_id)}))

    def known_as(self, doc_id: str) -> str:
        return f"d{int(doc_id[1:]) % 4}"


def newest(machine: Machine) -> dict[str, dict[str, str]]:
    """Return the last content of each document, by output."""
    outputs = {
        "file": machine.file,
        "rows": machine.base.rows.values(),
        "others": machine.other.rows.values(),
    }
    return {name: {d.doc_id: d.content_hash for d in held} for name, held in outputs.items()}


@given(
    st.lists(st.sampled_from([*KINDS, "ok", "gone"]).map(Record), max_size=12),
    st.sampled_from(sorted(SINKS)),
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), max_size=3),
)
def test_a_source_that_repeats_documents(
    records: list[Record], kind: str, faults: list[tuple[int, bool, bool]]
) -> None:
    """The last content of each document counts, before and after any refresh, interrupted or not."""

    async def main() -> None:
        fresh, machine, undisturbed = Machine(), Machine(), Machine()
        await process(fresh, records, Fault(), kind, refresh=False, source=Repeating)
        for one in (machine, undisturbed):
            await process(one, records[:5], Fault(), kind, refresh=False, source=Repeating)
        await process(undisturbed, records, Fault(), kind, source=Repeating)
        for at, kill, late in faults:
            await process(machine, records, Fault(at, kill=kill, after=late), kind, source=Repeating)
        await process(machine, records, Fault(), kind, source=Repeating)
        assert newest(undisturbed) == newest(machine) == newest(fresh)
        tally = (await outcome(fresh))["tally"]
        assert (await outcome(machine))["tally"] == (await outcome(undisturbed))["tally"] == tally

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
def test_a_killed_refresh_of_repeated_documents_writes_the_same_lines(kind: str) -> None:
    """Killed before or after any call: the same documents in the same order, old contents included."""

    async def main() -> None:
        records, counting = [Record() for _ in range(14)], Fault()
        whole = Machine()
        await process(whole, records, Fault(), kind, refresh=False, source=Repeating)
        await process(whole, records, counting, kind, source=Repeating)
        wanted = await outcome(whole)
        for at in range(counting.calls):
            for late in (False, True):
                machine = Machine()
                await process(machine, records, Fault(), kind, refresh=False, source=Repeating)
                await process(machine, records, Fault(at, kill=True, after=late), kind, source=Repeating)
                book = machine.books._entries["scripted"]
                if book.run == 1 or book.running:  # otherwise it was killed after its end
                    await process(machine, records, Fault(), kind, source=Repeating)
                assert await outcome(machine) == wanted, (at, late, counting.log[at])

    virtually(main())


async def test_an_interrupted_run_that_was_no_refresh_is_ended_by_a_refresh() -> None:
    """Its documents stay. The refresh reads the source from the beginning and finds them unchanged."""
    machine = await read_before("file", BEFORE[:3])
    work = pipeline(machine, AFTER, fault := Fault(), concurrent=False, limit=2)
    assert (await work.run(machine.file_sink(fault))).limited
    await machine.books.aclose()
    summary = await process(machine, AFTER, Fault(), "file")
    assert summary.run == 3
    assert sum(summary.counts[name] for name in ("completed", "failed", "skipped")) == len(AFTER)
    assert summary.counts["unchanged"] >= 2


def test_a_refresh_needs_something_to_compare_with() -> None:
    """Without a ledger, or together with restart, it is refused when the pipeline is built."""
    adapter = Adapter(ScriptedSource([]))
    with pytest.raises(GraphError, match="ledger"):
        IngestionPipeline(adapter, refresh=True)
    with pytest.raises(GraphError, match="restart"):
        IngestionPipeline(adapter, ledger=MemoryLedger(), refresh=True, restart=True)


async def test_a_changed_file_is_read_by_a_refresh(tmp_path: Any) -> None:
    """An ordinary run refuses the file. The refresh adds a line for the changed record; the old line stays."""

    def write(*titles: str) -> None:
        records = "".join(
            f"<PubmedArticle><MedlineCitation><PMID Version='1'>{n}</PMID><Article><ArticleTitle>{title}"
            "</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
            for n, title in enumerate(titles, 1)
        )
        (tmp_path / "a.xml").write_text(f"<PubmedArticleSet>{records}</PubmedArticleSet>")

    sink, ledger = MemorySink(), MemoryLedger()
    write("one", "two", "three")
    source = pubmed(tmp_path / "a.xml")
    await IngestionPipeline(source, ledger=ledger).run(sink)
    write("one", "TWO", "three", "four")
    with pytest.raises(SourceError, match="has changed"):
        await IngestionPipeline(source, ledger=ledger).run(sink)
    summary = await IngestionPipeline(source, ledger=ledger, refresh=True).run(sink)
    assert [d.title for d in sink.documents] == ["one", "two", "three", "TWO", "four"]
    assert {k: summary.counts[k] for k in ("new", "changed", "unchanged")} == {
        "new": 1,
        "changed": 1,
        "unchanged": 2,
    }
    assert summary.session == summary.counts | {"retried": 0}
