"""Metrics and spans for OpenTelemetry, read by the exporters of its own SDK."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock import AdapterStateChange, BatchProgress, IngestionPipeline, from_iterable
from penstock.adapters import Adapter
from penstock.errors import MissingExtra
from penstock.sinks import MemorySink
from penstock.telemetry import OpenTelemetry, PrometheusMetrics
from penstock.telemetry.instruments import INSTRUMENTS

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock import PipelineEvent
    from penstock.document import Document

SCRIPT = [*[Record()] * 20, Record("bad"), Record(flaky=1)]


class Backend:
    """An SDK that keeps spans and metrics in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.hook = OpenTelemetry(meter_provider=self.meters, tracer_provider=self.tracers)

    def spans(self, name: str) -> list[Any]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def values(self) -> dict[tuple[str, ...], float]:
        data: Any = self.reader.get_metrics_data()
        return {
            (metric.name, *map(str, point.attributes.values())): point.value
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Return an SDK with the hook."""
    one = Backend()
    yield one
    one.tracers.shutdown()
    one.meters.shutdown()


async def ran(*hooks: Any, **options: Any) -> list[PipelineEvent]:
    seen: list[PipelineEvent] = []
    pipeline = IngestionPipeline(
        Adapter(ScriptedSource(SCRIPT)), hooks=[*hooks, seen.extend], progress_every=5, **options
    )
    for hook in hooks:
        hook.watch("scripted", pipeline)
    await pipeline.run(MemorySink())
    return seen


async def test_the_instruments_show_what_prometheus_shows(backend: Backend) -> None:
    """Both exporters give the same numbers for the same run, under the same names and labels."""
    prometheus = PrometheusMetrics()
    await ran(backend.hook, prometheus)
    found = backend.values()
    for one in INSTRUMENTS:
        if one.name == "penstock_stage_busy_seconds":
            continue  # a measured time
        name = one.name.replace("_", ".", 1)
        wanted = {(name, *labels): value for labels, value in one.read(prometheus)}
        assert {key: value for key, value in found.items() if key[0] == name} == wanted, name
    assert found["penstock.documents", "scripted", "completed"] == 21
    assert backend.hook.failures == 0


async def test_a_run_and_its_batches_are_spans(backend: Backend) -> None:
    """The run lies in the span around it, each ``BatchProgress`` ends a span in the run, and times are those of events."""
    tracer = backend.tracers.get_tracer("test")
    with tracer.start_as_current_span("job") as job:
        events = await ran(backend.hook)
    (run,) = backend.spans("penstock.run")
    batches = backend.spans("penstock.batch")
    progress = [event for event in events if isinstance(event, BatchProgress)]
    states = [event for event in events if isinstance(event, AdapterStateChange)]
    assert run.parent.span_id == job.get_span_context().span_id
    assert {batch.parent.span_id for batch in batches} == {run.context.span_id}
    assert [batch.attributes["penstock.completed"] for batch in batches] == [
        one.completed for one in progress
    ]
    assert [batch.end_time for batch in batches] == [int(one.timestamp * 1e9) for one in progress]
    assert (run.start_time, run.end_time) == tuple(
        int(one.timestamp * 1e9) for one in (states[0], states[-1])
    )
    assert run.attributes["penstock.state"] == "completed"
    assert run.status.is_unset


async def test_a_failed_run_is_an_error_and_an_abandoned_one_ends_with_close(backend: Backend) -> None:
    """The status of a failed run gives the reason; ``close`` ends the span of a run that was left."""
    down = Adapter(ScriptedSource([Record()] * 3, down={0: 9}))
    with pytest.raises(ConnectionError):
        await IngestionPipeline(down, hooks=[backend.hook], retry=None).run(MemorySink())
    (run,) = backend.spans("penstock.run")
    assert not run.status.is_ok
    assert "page 0 is down" in run.status.description

    events = IngestionPipeline(Adapter(ScriptedSource(SCRIPT)), hooks=[backend.hook]).stream_events()
    await anext(events)
    await events.aclose()
    backend.hook.close()
    assert len(backend.spans("penstock.run")) == 2
    assert backend.hook.failures == 0


async def test_a_run_that_goes_on_after_a_break_is_a_span(backend: Backend) -> None:
    """It says in no event that it is running, because it was running before the break."""
    seen = await ran()
    running, *others = [event for event in seen if isinstance(event, BatchProgress | AdapterStateChange)]
    assert isinstance(running, AdapterStateChange)
    for event in others:
        backend.hook([event])
    (run,) = backend.spans("penstock.run")
    assert (run.attributes["penstock.state"], run.attributes["penstock.adapter"]) == ("completed", "scripted")
    assert run.start_time == int(others[0].timestamp * 1e9)


async def test_a_span_around_a_run_is_the_parent_in_its_steps(backend: Backend) -> None:
    """Context variables reach ``map_async`` and the steps of a pipeline, also those that run at once."""
    tracer = backend.tracers.get_tracer("test")

    async def step(item: Any) -> Any:
        with tracer.start_as_current_span("step"):
            await asyncio.sleep(0)
        return item

    async def process(document: Document) -> Document:
        found: Document = await step(document)
        return found

    with tracer.start_as_current_span("job") as job:
        await from_iterable(range(5)).map_async(step, concurrency=3).to_list()
        await ran(process=[process], concurrency=3)
    steps = backend.spans("step")
    assert len(steps) == 5 + 21
    assert {span.parent.span_id for span in steps} == {job.get_span_context().span_id}
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_missing_library_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without opentelemetry-api the error is the command that installs it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match=r"\[opentelemetry\]"):
        OpenTelemetry()
