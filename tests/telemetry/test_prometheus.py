"""Metrics for Prometheus, compared with the events of real runs."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock import (
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    IngestionPipeline,
    RetryPolicy,
)
from penstock.adapters import Adapter
from penstock.document import Document
from penstock.errors import GraphError, MissingExtra
from penstock.sinks import MemorySink
from penstock.telemetry import PrometheusMetrics
from penstock.telemetry.counts import MOST_ADAPTERS
from penstock.testing import run as virtually

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from penstock import PipelineEvent

SCRIPT = [Record(), Record("bad"), Record("out"), Record(flaky=1), Record("crash"), *[Record()] * 40]


def values(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    """Return every sample as Prometheus would read it: (name, values of its labels) to number."""
    text = prometheus_client.generate_latest(metrics.registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ran(
    metrics: PrometheusMetrics, **options: Any
) -> tuple[list[PipelineEvent], dict[tuple[str, ...], float]]:
    """Run the script; return its events, and the samples at its end."""
    seen: list[PipelineEvent] = []
    pipeline = IngestionPipeline(
        Adapter(ScriptedSource(SCRIPT)),
        where=lambda document: document.metadata.get("kind") != "out",
        retry=RetryPolicy(attempts=3, jitter=False),
        hooks=[metrics, seen.extend],
        **options,
    )
    metrics.watch("scripted", pipeline)

    async def main() -> dict[tuple[str, ...], float]:
        await pipeline.run(MemorySink())
        return values(metrics)

    return seen, virtually(main())


def test_the_counts_are_those_of_the_events() -> None:
    """Each counter equals a count over the events that another hook collected."""
    metrics = PrometheusMetrics()
    events, found = ran(metrics, progress_every=10)
    kinds = Counter(type(event).__name__ for event in events)
    failed = [event for event in events if isinstance(event, DocumentFailed)]
    last = [event for event in events if isinstance(event, BatchProgress)][-1]
    assert found["penstock_documents_started_total", "scripted"] == kinds["DocumentStarted"]
    assert found["penstock_documents_total", "scripted", "completed"] == kinds["DocumentCompleted"]
    assert (
        found["penstock_documents_total", "scripted", "failed"] == sum(not e.will_retry for e in failed) > 0
    )
    assert found["penstock_document_retries_total", "scripted"] == sum(e.will_retry for e in failed) > 0
    assert found["penstock_batches_total", "scripted"] == kinds["BatchProgress"] > 1
    assert found["penstock_run_documents", "scripted", "skipped"] == last.skipped
    assert found["penstock_runs_ended_total", "scripted", "completed"] == 1
    assert found["penstock_run_state", "scripted", "completed"] == 1
    assert found["penstock_run_state", "scripted", "running"] == 0
    assert found["penstock_last_event_timestamp_seconds", "scripted"] == events[-1].timestamp
    assert found["penstock_document_duration_seconds_count", "scripted"] == kinds["DocumentCompleted"]
    stages = {
        key[2]: value for key, value in found.items() if key[0] == "penstock_stage_delivered_items_total"
    }
    assert max(stages.values()) >= len(events)
    assert found["penstock_telemetry_failures_total",] == 0


def completed(duration: float, run: str = "r", adapter: str = "a") -> DocumentCompleted:
    return DocumentCompleted(1.0, run, "d", adapter, Document(doc_id="d", source="a"), duration)


@pytest.mark.parametrize("length", [1, 500])
def test_the_histogram_is_that_of_prometheus(length: int) -> None:
    """Buckets and sum are those of a ``Histogram`` of prometheus-client, in short lists and in long ones."""
    durations = [n * 0.7 % 13 for n in range(500)] + [0.0, 0.5, 1.0, 99.0]
    metrics, model = PrometheusMetrics(buckets=[0.5, 1, 5]), prometheus_client.CollectorRegistry()
    theirs = prometheus_client.Histogram("model", "", buckets=[0.5, 1, 5], registry=model)
    events = [completed(duration) for duration in durations]
    for n in range(0, len(events), length):
        metrics(events[n : n + length])
    for duration in durations:
        theirs.observe(duration)
    found = values(metrics)
    for bound in ("0.5", "1.0", "5.0", "+Inf"):
        wanted = model.get_sample_value("model_bucket", {"le": bound})
        assert found["penstock_document_duration_seconds_bucket", "a", bound] == wanted
    assert found["penstock_document_duration_seconds_sum", "a"] == pytest.approx(sum(durations))


def test_one_list_may_hold_events_of_several_runs() -> None:
    """Each event counts for the adapter of its run."""
    metrics = PrometheusMetrics()
    metrics(
        [
            completed(1, "r1", "a"),
            completed(1, "r2", "b"),
            completed(1, "r1", "a"),
            DocumentStarted(1, "r3", "d", "b"),
        ]
    )
    found = values(metrics)
    assert found["penstock_documents_total", "a", "completed"] == 2
    assert found["penstock_documents_total", "b", "completed"] == 1
    assert found["penstock_documents_started_total", "b"] == 1


def test_labels_are_bounded() -> None:
    """However many adapters there are, only the first become labels; no label is the id of a document."""
    metrics = PrometheusMetrics()
    for n in range(MOST_ADAPTERS + 50):
        metrics([completed(1, f"r{n}", f"a{n}")])
    found = values(metrics)
    assert found["penstock_documents_total", "other", "completed"] == 50
    assert sum(key[0] == "penstock_documents_started_total" for key in found) == MOST_ADAPTERS + 1
    assert not any("d" in key[1:] for key in found)


def test_what_cannot_be_counted_ends_no_run() -> None:
    """A failure of the exporter is a metric, not an exception."""
    metrics = PrometheusMetrics()
    metrics([object()])  # type: ignore[list-item]
    assert values(metrics)["penstock_telemetry_failures_total",] == 1


def test_prometheus_reads_them_over_http() -> None:
    """``start_http_server`` serves the registry on the loopback address."""
    metrics = PrometheusMetrics()
    metrics([completed(1)])
    server, thread = metrics.start_http_server(0)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            assert b'penstock_documents_total{adapter="a",outcome="completed"} 1.0' in answer.read()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_registry_may_be_that_of_the_program() -> None:
    """A given registry is used, and refuses a second exporter instead of showing each metric twice."""
    registry = prometheus_client.CollectorRegistry()
    assert PrometheusMetrics(registry).registry is registry
    with pytest.raises(ValueError, match="Duplicated"):
        PrometheusMetrics(registry)


def test_wrong_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets ascend, only what has statistics is watched, and a missing library names its command."""
    with pytest.raises(GraphError, match="ascending"):
        PrometheusMetrics(buckets=[2, 1])
    with pytest.raises(GraphError, match="an IngestionPipeline or a subscription"):
        PrometheusMetrics().watch("a", object())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"\[prometheus\]"):
        PrometheusMetrics()


async def test_a_subscription_can_be_watched() -> None:
    """The stages of any flow are exported, under the name that the caller gives."""
    from penstock import from_iterable

    metrics = PrometheusMetrics()
    async with from_iterable(range(10)).map(str).buffer(4).subscribe() as subscription:
        metrics.watch("numbers", subscription)
        await subscription.request(3)
        await asyncio.sleep(0)
        found = values(metrics)
    assert sum(value for key, value in found.items() if key[0] == "penstock_stage_buffered_items") <= 4
    assert {key[1] for key in found if key[0].startswith("penstock_stage")} == {"numbers"}
