"""What a source promised is held against what a run settled: silent zero is an error."""

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
    """Return the states of a run with their reasons; the last two events must be those of every end."""
    events = [event async for event in pipeline.stream_events()]
    assert isinstance(events[-2], BatchProgress)
    assert isinstance(events[-1], AdapterStateChange)
    return [(e.new_state, e.reason) for e in events if isinstance(e, AdapterStateChange)]


def test_completed_failed_skipped_and_deleted_are_what_was_promised() -> None:
    """Each record counts once, whatever became of it, and then nothing is said."""

    async def main() -> None:
        one = pipeline(ScriptedSource(MIXED, promised=len(MIXED)))
        assert await states(one) == [("running", None), ("completed", None)]
        summary = await pipeline(ScriptedSource(MIXED, promised=len(MIXED))).run()
        assert summary.warning is None

    virtually(main())


@pytest.mark.parametrize("promised", [0, len(MIXED) - 1, len(MIXED) + 1, 1_000_000])
def test_another_number_is_said_before_the_end(promised: int) -> None:
    """The run goes to ``incomplete`` with both numbers, and ends as every run does."""

    async def main() -> None:
        said = f"the source promised {promised:,} documents, but {len(MIXED)} were settled"
        one = pipeline(ScriptedSource(MIXED, promised=promised))
        assert await states(one) == [("running", None), ("incomplete", said), ("completed", said)]
        summary = await pipeline(ScriptedSource(MIXED, promised=promised)).run()
        assert (summary.state, summary.warning) == ("completed", said)

    virtually(main())


@pytest.mark.parametrize(("promised", "warns"), [(None, True), (0, False)])
def test_silent_zero(promised: int | None, warns: bool) -> None:
    """No document at all is a mistake somewhere, unless the source says that it has none."""

    class Empty(ScriptedSource):
        async def fetch(self, position: Any) -> Any:
            from penstock.abc import Page

            yield Page([], 0, promised=promised)

    async def main() -> None:
        summary = await pipeline(Empty([])).run()
        assert (summary.warning == "the source gave no documents at all") == warns

    virtually(main())


def test_a_run_that_was_killed_counts_all_of_it() -> None:
    """The sums of the logical run are held against the promise, not those of its last process."""

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


def test_a_later_run_takes_only_what_is_new() -> None:
    """The source still speaks of all that it has, so the numbers of that run say nothing."""

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


def test_a_limit_and_a_stop_are_no_shortfall() -> None:
    """Whoever asked for less gets less, without a warning."""

    async def main() -> None:
        limited = await pipeline(ScriptedSource(MIXED, promised=len(MIXED)), limit=2).run()
        assert (limited.limited, limited.warning) == (True, None)
        stopped = pipeline(ScriptedSource(MIXED, promised=len(MIXED)))
        stopped.stop()
        summary = await stopped.run()
        assert (summary.state, summary.warning) == ("cancelled", None)

    virtually(main())
