"""A run that was told to stop waits for documents in flight, but not longer than the grace period."""

from __future__ import annotations

import asyncio

import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import GraphError
from penstock.events import AdapterStateChange, BatchProgress, DocumentCompleted
from penstock.ledger import MemoryLedger
from penstock.sinks import MemorySink
from penstock.testing import no_leaks, run

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

RECORDS = [Record() for _ in range(7)]


class Ingestion:
    """A pipeline with a step that is slow with one document; it is stopped during that step."""

    def __init__(self, *, seconds, grace=10.0, concurrency=1, stubborn=False):
        self.ledger, self.sink = MemoryLedger(), MemorySink()
        self.seconds, self.stubborn = seconds, stubborn
        self.options = {"grace": grace, "concurrency": concurrency, "checkpoint_every": 2}
        self.events = []
        self.pipeline = self.new(hooks=[self.events.extend])

    def new(self, **more):
        source = ScriptedSource(RECORDS, page=2)
        return IngestionPipeline(
            Adapter(source), ledger=self.ledger, process=[self.step], **self.options, **more
        )

    async def step(self, document):
        if document.doc_id == "d3" and self.seconds is not None:
            asyncio.get_running_loop().call_later(1, self.pipeline.stop)
            until = asyncio.get_running_loop().time() + self.seconds
            while (now := asyncio.get_running_loop().time()) < until:
                try:
                    await asyncio.sleep(until - now)
                except asyncio.CancelledError:
                    if not self.stubborn:
                        raise
        return document

    @property
    def ids(self):
        return sorted(document.doc_id for document in self.sink.documents)


async def timed(awaitable):
    began = asyncio.get_running_loop().time()
    summary = await awaitable
    return summary, asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("grace", [0, 2.5, 10.0])
def test_a_hanging_step_is_cut_when_the_grace_period_is_over(concurrency, grace):
    """The run ends as cancelled. Finished documents are committed, and the next run takes the others."""

    async def main():
        job = Ingestion(seconds=1e9, grace=grace, concurrency=concurrency)
        async with no_leaks():
            summary, seconds = await timed(job.pipeline.run(job.sink))
            assert (summary.state, seconds) == ("cancelled", 1 + grace)
            assert summary.reason == (
                f"{grace:g} s after it was stopped, something was unfinished; it comes again"
            )
            assert {"d0", "d1", "d2"} <= set(job.ids) <= {f"d{n}" for n in range(7)} - {"d3"}
            assert summary.counts["completed"] == len(job.ids)
            last = job.events[-1]
            assert isinstance(last, AdapterStateChange)
            assert (last.old_state, last.new_state) == ("running", "cancelled")
            job.seconds = None
            again = await job.new().run(job.sink)
            assert (again.state, again.counts["completed"], again.resumed) == ("completed", 7, True)
            assert job.ids == [f"d{n}" for n in range(7)]

    run(main())


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("grace", [5.0, None])
def test_a_document_that_is_finished_in_time_is_delivered(concurrency, grace):
    """A step that ends within the grace period is not cut. With ``None`` it may take any time."""

    async def main():
        job = Ingestion(seconds=4.0 if grace else 4000.0, grace=grace, concurrency=concurrency)
        async with no_leaks():
            summary, seconds = await timed(job.pipeline.run(job.sink))
        assert (summary.state, summary.reason) == ("cancelled", "stopped by request")
        assert seconds == job.seconds
        assert "d3" in job.ids
        assert isinstance(job.events[-2], BatchProgress)

    run(main())


def test_the_event_stream_ends_with_the_change_to_cancelled():
    """``stream_events`` loses no finished document."""

    async def main():
        job = Ingestion(seconds=1e9, concurrency=3)
        events = [event async for event in job.pipeline.stream_events()]
        assert events == job.events
        assert events[-1].new_state == "cancelled"
        done = {event.document.doc_id for event in events if isinstance(event, DocumentCompleted)}
        job.seconds = None
        done |= {document.doc_id async for document in job.new().iter_results()}
        assert done == {f"d{n}" for n in range(7)}

    run(main())


def test_a_pipeline_stopped_before_it_runs_waits_for_nothing():
    """The run ends at once."""

    async def main():
        job = Ingestion(seconds=1e9)
        job.pipeline.stop()
        summary, seconds = await timed(job.pipeline.run(job.sink))
        assert (summary.state, seconds, job.ids) == ("cancelled", 0, [])

    run(main())


def test_a_stopped_pipeline_resumes_at_its_next_call():
    """One ``stop`` stops one run: the active one, or else the next."""

    async def main():
        job = Ingestion(seconds=1e9)
        states = [(await job.pipeline.run(job.sink)).state]
        job.seconds = None
        states.append((await job.pipeline.run(job.sink)).state)
        job.pipeline.stop()
        states += [(await job.pipeline.run(job.sink)).state for _ in range(2)]
        assert states == ["cancelled", "completed", "cancelled", "completed"]
        assert job.ids == [f"d{n}" for n in range(7)]

    run(main())


def test_a_step_that_ignores_cancellation_is_waited_for():
    """It cannot be cut, and its document comes again."""

    async def main():
        job = Ingestion(seconds=50.0, grace=2.0, stubborn=True)
        summary, seconds = await timed(job.pipeline.run(job.sink))
        assert (summary.state, seconds, job.ids) == ("cancelled", 50, ["d0", "d1", "d2"])

    run(main())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_retryable_failure_while_a_run_is_stopped_is_no_dead_letter(concurrency):
    """The next run tries the document again, and ends with the output of an undisturbed run."""

    async def main():
        job = Ingestion(seconds=None, concurrency=concurrency)
        lost = ["d3"]

        async def step(document):
            if document.doc_id in lost:
                lost.clear()
                job.pipeline.stop()
                raise ConnectionError("for now")
            return document

        job.step = step
        job.pipeline = job.new()
        summary, seconds = await timed(job.pipeline.run(job.sink))
        assert (summary.state, summary.counts["failed"], seconds) == ("cancelled", 0, 0)
        again = await job.new().run(job.sink)
        assert (again.state, again.counts["completed"], again.counts["failed"]) == ("completed", 7, 0)
        assert job.ids == [f"d{n}" for n in range(7)]
        assert not job.ledger._entries["scripted"].letters

    run(main())


def test_a_timeout_in_a_step_fails_its_document():
    """A ``TimeoutError`` of the step is not mistaken for the end of the grace period."""

    async def late(document):
        raise TimeoutError("too late")

    async def main():
        pipeline = IngestionPipeline(Adapter(ScriptedSource(RECORDS[:1])), process=[late], retry=None)
        return await pipeline.run_async()

    assert [failure.error for failure in run(main()).failures] == ["too late"]


@pytest.mark.parametrize("grace", [-1, float("nan")])
def test_a_negative_grace_period_is_refused(grace):
    """The argument is checked when the pipeline is built."""
    with pytest.raises(GraphError, match="grace="):
        IngestionPipeline(Adapter(ScriptedSource(RECORDS)), grace=grace)


@pytest.mark.parametrize("times", [2, 3])
def test_a_second_cancellation_cancels_the_commit_before_the_sink_is_closed(times):
    """No task uses the closed sink, and the next run completes the output."""

    class Slow(MemorySink):
        hanging = True

        async def commit(self, commit):
            if self.documents and self.hanging:
                await asyncio.sleep(1e9)
            return await super().commit(commit)

    async def main():
        ledger, sink = MemoryLedger(), Slow()
        source = ScriptedSource(RECORDS, page=2)
        async with no_leaks():
            task = asyncio.ensure_future(IngestionPipeline(Adapter(source), ledger=ledger).run(sink))
            for _ in range(times):
                await asyncio.sleep(1)
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        sink.hanging = False
        await IngestionPipeline(Adapter(source), ledger=ledger).run(sink)
        assert [document.doc_id for document in sink.documents] == [f"d{n}" for n in range(7)]

    run(main())
