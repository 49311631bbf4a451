"""The number of settled documents is compared with the number that the source promised."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import AdapterStateChange, BatchProgress, IngestionPipeline
from penstock.adapters import Adapter
from penstock.ledger import MemoryLedger
from penstock.testing import run as virtually

from ..machines import Fault, Killed, Machine  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource, step, wanted  # noqa: TID252

MIXED = [Record(), Record("bad"), Record("gone"), Record("out"), Record(), Record("step"), Record()]


def pipeline(source: ScriptedSource, **options: Any) -> IngestionPipeline:
    options = {"process": [step], "where": wanted, "checkpoint_every": 2, **options}
    return IngestionPipeline(Adapter(source, page_size=3), **options)


async def states(pipeline: IngestionPipeline) -> list[tuple[str, str | None]]:
    """Return the states of a run with their reasons; check the two events with which every run ends."""
    events = [event async for event in pipeline.stream_events()]
    assert isinstance(events[-2], BatchProgress)
    assert isinstance(events[-1], AdapterStateChange)
    return [(e.new_state, e.reason) for e in events if isinstance(e, AdapterStateChange)]


def test_completed_failed_skipped_and_deleted_documents_count() -> None:
    """Each record counts once, so there is no warning."""

    async def main() -> None:
        one = pipeline(ScriptedSource(MIXED, promised=len(MIXED)))
        assert await states(one) == [("running", None), ("completed", None)]
        summary = await pipeline(ScriptedSource(MIXED, promised=len(MIXED))).run()
        assert summary.warning is None

    virtually(main())


@pytest.mark.parametrize("promised", [0, len(MIXED) - 1, len(MIXED) + 1, 1_000_000])
def test_a_wrong_number_is_announced_before_the_end(promised: int) -> None:
    """The state becomes ``incomplete``, with both numbers as its reason, and then ``completed``."""

    async def main() -> None:
        said = f"the source promised {promised:,} documents, but {len(MIXED)} were settled"
        one = pipeline(ScriptedSource(MIXED, promised=promised))
        assert await states(one) == [("running", None), ("incomplete", said), ("completed", said)]
        summary = await pipeline(ScriptedSource(MIXED, promised=promised)).run()
        assert (summary.state, summary.warning) == ("completed", said)

    virtually(main())


@pytest.mark.parametrize(("promised", "warns"), [(None, True), (0, False)])
def test_no_document_at_all_is_a_warning(promised: int | None, warns: bool) -> None:
    """Unless the source promised 0."""

    class Empty(ScriptedSource):
        async def fetch(self, position: Any) -> Any:
            from penstock.abc import Page

            yield Page([], 0, promised=promised)

    async def main() -> None:
        summary = await pipeline(Empty([])).run()
        assert (summary.warning == "the source gave no documents at all") == warns

    virtually(main())


def test_a_killed_run_counts_all_its_processes() -> None:
    """The promise is compared with the counts of the logical run, not with those of its last process."""

    async def main() -> None:
        machine = Machine()
        for fault in (Fault(9), Fault()):
            source = ScriptedSource(MIXED, promised=len(MIXED))
            one = pipeline(source, ledger=machine.ledger(fault))
            try:
                summary = await one.run(machine.file_sink(fault))
            except Killed:
                await machine.lose_power(1)
        assert summary.resumed
        assert summary.warning is None

    virtually(main())


def test_a_later_run_is_not_compared_with_the_promise() -> None:
    """The source promises all its documents, and the run takes only the new ones."""

    async def main() -> None:
        ledger, source = MemoryLedger(), ScriptedSource(MIXED, promised=len(MIXED))
        assert (await pipeline(source, ledger=ledger).run()).warning is None
        again = await pipeline(source, ledger=ledger).run()
        assert (again.nothing_to_do, again.warning) == (True, None)
        source.records += [Record(), Record()]
        source.promised = len(source.records)
        more = await pipeline(source, ledger=ledger).run()
        assert (more.session["completed"], more.warning) == (2, None)

    virtually(main())


def test_a_limited_or_stopped_run_has_no_warning() -> None:
    """The caller wanted fewer documents."""

    async def main() -> None:
        limited = await pipeline(ScriptedSource(MIXED, promised=len(MIXED)), limit=2).run()
        assert (limited.limited, limited.warning) == (True, None)
        stopped = pipeline(ScriptedSource(MIXED, promised=len(MIXED)))
        stopped.stop()
        summary = await stopped.run()
        assert (summary.state, summary.warning) == ("cancelled", None)

    virtually(main())


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("promised", [None, len(MIXED), 10])
def test_a_limit_that_is_lifted_where_the_source_ends_ends_the_run(
    promised: int | None, concurrency: int
) -> None:
    """It is complete then, also in the ledger, and compared with the promise that the limited run got."""

    async def main() -> None:
        ledger = MemoryLedger()

        def one(**options: Any) -> IngestionPipeline:
            return pipeline(
                ScriptedSource(MIXED, promised=promised), ledger=ledger, concurrency=concurrency, **options
            )

        first = await one(limit=6).run()  # ``where`` leaves out one of the seven
        assert (first.limited, first.warning) == (True, None)
        for limit in (None, 100, None):
            more = await one(limit=limit).run()
            assert (more.state, more.limited, more.session["completed"]) == ("completed", False, 0)
            assert (await ledger.open("scripted")).resumed is False
            await ledger.finish("scripted", "completed")
            short = f"the source promised 10 documents, but {len(MIXED)} were settled"
            assert more.warning == (short if promised == 10 and limit is None and more.run == 1 else None)

    virtually(main())


def test_a_run_that_was_stopped_at_its_last_document_is_compared_with_the_promise() -> None:
    """The run that resumes it gets no page with a promise, so the position holds the promise."""

    async def main() -> None:
        ledger = MemoryLedger()

        def stop(events: Any) -> None:
            if any(getattr(event, "doc_id", "") == f"d{len(MIXED) - 1}" for event in events):
                one.stop()

        one = pipeline(ScriptedSource(MIXED, promised=10), ledger=ledger, hooks=[stop])
        assert (await one.run()).state == "cancelled"
        whole = await pipeline(ScriptedSource(MIXED, promised=10), ledger=ledger).run()
        assert (whole.resumed, whole.session["completed"]) == (True, 0)
        assert whole.warning == f"the source promised 10 documents, but {len(MIXED)} were settled"

    virtually(main())
