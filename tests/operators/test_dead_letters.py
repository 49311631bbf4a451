"""``dead_letters``: the dead letter is in the ledger before its event is passed on."""

from __future__ import annotations

from typing import Any

import pytest

import penstock.operators as op
from penstock import DocumentFailed, IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import GraphError, LedgerError
from penstock.ledger import MemoryLedger
from penstock.sinks import MemorySink
from penstock.testing import RecordingLedger
from penstock.testing import run as virtually

from ..scripted import POLICY, Record, ScriptedSource  # noqa: TID252  tests are no installed package

SCRIPT = [Record(), Record("bad"), Record(flaky=1), Record("crash"), Record(), Record("nameless")]


def test_each_failure_is_there_with_its_bytes() -> None:
    """Failures that will be retried are not stored; events pass unchanged."""

    async def main() -> None:
        ledger, plain = MemoryLedger(), Adapter(ScriptedSource(SCRIPT)) | op.retry(POLICY)
        events = await (
            Adapter(ScriptedSource(SCRIPT)) | op.retry(POLICY) | op.dead_letters(ledger)
        ).to_list()
        failed = [e for e in events if isinstance(e, DocumentFailed) and not e.will_retry]
        await ledger.open("dead letters")
        letters = [letter async for letter in ledger.dead_letters("dead letters")]
        assert [(one.key, one.raw, one.error) for one in letters] == [(e.key, e.raw, e.error) for e in failed]
        assert len(failed) == 3
        assert [type(e) for e in events] == [type(e) for e in await plain.to_list()]

    virtually(main())


def test_it_is_durable_before_it_is_passed_on() -> None:
    """A consumer that sees the event finds its letter in the ledger."""

    async def main() -> None:
        ledger = RecordingLedger(seconds=5)
        async for event in Adapter(ScriptedSource(SCRIPT)) | op.dead_letters(ledger):
            if isinstance(event, DocumentFailed):
                assert event.key in {one.key for commit in ledger.commits for one in commit.dead_letters}
        assert ledger.commits

    virtually(main())


def test_without_failures_the_ledger_is_not_even_opened() -> None:
    """Without a failure, the ledger is not opened."""

    async def main() -> None:
        ledger = RecordingLedger()
        await (Adapter(ScriptedSource([Record(), Record()])) | op.dead_letters(ledger)).run()
        assert ledger.opened == 0

    virtually(main())


def test_a_ledger_that_fails_ends_the_flow_and_names_the_operator() -> None:
    """If a letter cannot be stored, the flow fails."""

    class Full(MemoryLedger):
        async def commit(self, key: str, commit: Any) -> None:
            raise LedgerError("the disk is full")

    async def main() -> None:
        flow = Adapter(ScriptedSource(SCRIPT)) | op.dead_letters(Full())
        async with flow.subscribe() as subscription:
            await subscription.request(1)  # the state change that begins the run
            await subscription.request(2)  # the first document
            await subscription.request(1)  # the start of the one that fails
            for _ in range(2):
                with pytest.raises(LedgerError, match="full") as caught:
                    await subscription.request(100)
                assert any("dead_letters at" in note for note in caught.value.__notes__)

    virtually(main())


@pytest.mark.parametrize("limit", [None, 3])
def test_the_key_of_a_pipeline_is_refused(limit: int | None) -> None:
    """The pipeline's position and the record of its output stay, so it can resume."""

    async def main() -> None:
        ledger, sink = MemoryLedger(), MemorySink()
        first = await IngestionPipeline(Adapter(ScriptedSource(SCRIPT)), ledger=ledger, limit=limit).run(sink)
        with pytest.raises(LedgerError, match="give dead_letters another key="):
            await (Adapter(ScriptedSource(SCRIPT)) | op.dead_letters(ledger, key="scripted")).run()
        again = await IngestionPipeline(Adapter(ScriptedSource(SCRIPT)), ledger=ledger).run(sink)
        assert again.resumed == (limit is not None)
        assert first.session["completed"] + again.session["completed"] == len(sink.documents) == 3

    virtually(main())


def test_what_is_no_ledger_is_refused() -> None:
    """An argument that is no ledger is refused when the graph is built; the error shows the right form."""
    with pytest.raises(GraphError, match=r"dead_letters takes a Ledger, not str"):
        op.dead_letters("run.db")  # type: ignore[arg-type]
