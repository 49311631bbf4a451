"""A refresh reads everything again and takes what is new or has changed; interrupted, it ends the same."""

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

from ..machines import Fault, Killed, Machine  # noqa: TID252  tests are no installed package
from ..scripted import KINDS, Record, ScriptedSource, step, wanted  # noqa: TID252
from .test_crashes import OUTPUTS, SINKS, outcome, sleepy

BEFORE = [Record(kind) for kind in ("ok", "ok", "bad", "gone", "ok", "out", "ok", "step", "ok")]
AFTER = [
    Record(kind)
    for kind in ("ok", "gone", "ok", "ok", "step", "out", "ok", "step", "bad", "ok", "gone", "ok")
]


class Readable(FaultyLedger):
    """Comparing goes right: several tasks do, and the double can only end one of them, not the process."""

    async def compare(self, key: str, documents: Any) -> Any:
        return await self._ledger.compare(key, documents)


def pipeline(
    machine: Machine,
    records: list[Record],
    fault: Fault,
    *,
    overlapping: bool,
    source: type[ScriptedSource] = ScriptedSource,
    **options: Any,
) -> IngestionPipeline:
    return IngestionPipeline(
        Adapter(source(records), page_size=3), ledger=Readable(machine.books, fault) if overlapping else machine.ledger(fault),
        process=[sleepy if overlapping else step], concurrency=2 if overlapping else 1, where=wanted, retry=None,
        progress_every=2, checkpoint_every=3, **options,
    )  # fmt: skip


async def process(
    machine: Machine,
    records: list[Record],
    fault: Fault,
    kind: str,
    *,
    overlapping: bool = False,
    refresh: bool = True,
    source: type[ScriptedSource] = ScriptedSource,
) -> Any:
    """Run once, as one process; return the summary, or what it ended with."""
    work = pipeline(machine, records, fault, overlapping=overlapping, source=source, refresh=refresh)
    try:
        return await work.run(SINKS[kind](machine, fault))
    except (Killed, LedgerError, SinkError) as error:
        return error
    finally:
        await machine.lose_power(fault.at)


async def read_before(kind: str, records: list[Record], *, overlapping: bool = False) -> Machine:
    machine = Machine()
    await process(machine, records, Fault(), kind, overlapping=overlapping, refresh=False)
    return machine


async def ends_as(machine: Machine, records: list[Record], kind: str, *, overlapping: bool) -> dict[str, Any]:
    """Return how it ends when one more process refreshes, undisturbed."""
    book = machine.books._entries["scripted"]
    ended, counts = not book.running and book.run > 1, book.last and book.last[3]
    await process(machine, records, Fault(), kind, overlapping=overlapping)
    result = await outcome(machine)
    result["counts"] = counts if ended else result["counts"]  # otherwise that was one more refresh
    return {**result, **{name: sorted(result[name]) for name in OUTPUTS if overlapping}}


async def test_what_is_new_changed_unchanged_and_deleted_is_counted() -> None:
    """Of the completed ones the first two and the tombstones, of the skipped ones the unchanged; all add up."""
    machine = await read_before("file", BEFORE)
    assert (await process(machine, AFTER, Fault(), "file", refresh=False)).session[
        "completed"
    ] == 3  # the end only
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
@pytest.mark.parametrize("overlapping", [False, True], ids=["sequential", "overlapping"])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
def test_every_single_fault(kind: str, kill: bool, overlapping: bool) -> None:
    """Killed, or failed once, before or after any call of a refresh: the next refresh ends like an undisturbed one."""

    async def main() -> None:
        machine, counting = await read_before(kind, BEFORE, overlapping=overlapping), Fault()
        await process(machine, AFTER, counting, kind, overlapping=overlapping)
        whole = await outcome(machine)
        whole |= {name: sorted(whole[name]) for name in OUTPUTS if overlapping}
        assert counting.calls > 12
        for at in range(counting.calls):
            for after in (False, True):
                machine, fault = (
                    await read_before(kind, BEFORE, overlapping=overlapping),
                    Fault(at, kill=kill, after=after),
                )
                await process(machine, AFTER, fault, kind, overlapping=overlapping)
                result = await ends_as(machine, AFTER, kind, overlapping=overlapping)
                if (
                    fault.log[at] == "ledger.compare" and not kill
                ):  # as if the source had failed: one more run
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
    """Whatever fails, also in runs that are no refresh, the last refresh leaves what an undisturbed one leaves."""

    async def main() -> None:
        machine = await read_before(kind, before)
        await process(machine, after, Fault(), kind)
        whole = await outcome(machine)
        machine = await read_before(kind, before)
        for at, kill, late, refresh in faults:
            await process(machine, after, Fault(at, kill=kill, after=late), kind, refresh=refresh)
        await process(machine, after, Fault(), kind)
        result = await outcome(machine)
        for name in OUTPUTS:  # the newest of each document
            assert dict(result[name]) == dict(whole[name])
        assert result["tally"] == whole["tally"]
        assert result["dead"] == whole["dead"]

    virtually(main())


class Repeating(ScriptedSource):
    """Gives four documents again and again, each time with another content."""

    def identify(self, raw: Any) -> str:
        return self.known_as(super().identify(raw))

    def parse(self, raw: Any) -> Any:
        return super().parse(raw).map(lambda d: d.model_copy(update={"doc_id": self.known_as(d.doc_id)}))

    def known_as(self, doc_id: str) -> str:
        return f"d{int(doc_id[1:]) % 4}"


def newest(machine: Machine) -> dict[str, dict[str, str]]:
    """Return the content that counts of each document, per output."""
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
def test_documents_that_the_source_gives_several_times(
    records: list[Record], kind: str, faults: list[tuple[int, bool, bool]]
) -> None:
    """A baseline and its updates: the last content counts, before and after any refresh, interrupted or not."""

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
def test_such_a_refresh_that_is_killed_goes_on_to_the_same_lines(kind: str) -> None:
    """Killed before or after any call: the same documents in the same order as without, old contents included."""

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
                if book.run == 1 or book.running:  # otherwise it was killed behind its end
                    await process(machine, records, Fault(), kind, source=Repeating)
                assert await outcome(machine) == wanted, (at, late, counting.log[at])

    virtually(main())


async def test_a_run_that_took_what_is_new_is_ended_where_it_was_interrupted() -> None:
    """What it committed stays; the refresh then begins at the beginning, and finds that unchanged."""
    machine = await read_before("file", BEFORE[:3])
    work = pipeline(machine, AFTER, fault := Fault(), overlapping=False, limit=2)
    assert (await work.run(machine.file_sink(fault))).limited
    await machine.books.aclose()
    summary = await process(machine, AFTER, Fault(), "file")
    assert summary.run == 3
    assert sum(summary.counts[name] for name in ("completed", "failed", "skipped")) == len(AFTER)
    assert summary.counts["unchanged"] >= 2


def test_a_refresh_needs_something_to_compare_with() -> None:
    """Without a ledger, or together with restart, it is refused when it is made."""
    adapter = Adapter(ScriptedSource([]))
    with pytest.raises(GraphError, match="ledger"):
        IngestionPipeline(adapter, refresh=True)
    with pytest.raises(GraphError, match="restart"):
        IngestionPipeline(adapter, ledger=MemoryLedger(), refresh=True, restart=True)


async def test_a_changed_file_is_read_by_a_refresh(tmp_path: Any) -> None:
    """It is refused otherwise; the output has a newer line for what changed, and the old one before it."""

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
