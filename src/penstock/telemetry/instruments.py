"""The metrics of Penstock: their names, units and labels, and where their values come from.

Both exporters read this list. A label is the name of an adapter, of a stage, or one of a few words; never the
id of a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from penstock.telemetry.counts import ENDED, STATES, AdapterCounts, Counts

if TYPE_CHECKING:
    from penstock.events import BatchProgress

Values = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. ``read`` returns (values of its labels, number) pairs.

    ``name`` has the unit, as Prometheus wants it, but not ``_total``. ``unit`` is for OpenTelemetry.
    """

    kind: Literal["counter", "gauge"]
    name: str
    unit: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Counts], Values]


def _each(value: Callable[[AdapterCounts], float]) -> Callable[[Counts], Values]:
    return lambda counts: [((name,), value(one)) for name, one in counts.by_adapter()]


def _progress(value: Callable[[BatchProgress], float | None]) -> Callable[[Counts], Values]:
    def read(counts: Counts) -> Iterator[tuple[tuple[str, ...], float]]:
        for name, one in counts.by_adapter():
            found = None if one.progress is None else value(one.progress)
            if found is not None:
                yield (name,), found

    return read


def _stage(field: str) -> Callable[[Counts], Values]:
    value = attrgetter(field)
    return lambda counts: [((name, label), value(stage)) for name, label, stage in counts.stages()]


def _outcomes(counts: Counts) -> Values:
    for name, one in counts.by_adapter():
        yield (name, "completed"), one.completed
        yield (name, "failed"), one.failed


def _states(counts: Counts) -> Values:
    for name, one in counts.by_adapter():
        for state in STATES:
            yield (name, state), float(one.state == state)


def _ends(counts: Counts) -> Values:
    for name, one in counts.by_adapter():
        for state in sorted(ENDED):
            yield (name, state), one.ends.get(state, 0)


def _sums(counts: Counts) -> Values:
    for name, one in counts.by_adapter():
        if one.progress is not None:
            for outcome in ("completed", "failed", "skipped"):
                yield (name, outcome), getattr(one.progress, outcome)


_ADAPTER = ("adapter",)
_STAGE = ("adapter", "stage")
INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(
        "counter",
        "penstock_documents_started",
        "{document}",
        "Documents whose processing began.",
        _ADAPTER,
        _each(attrgetter("started")),
    ),
    Instrument(
        "counter",
        "penstock_documents",
        "{document}",
        "Documents by outcome, since this process started.",
        ("adapter", "outcome"),
        _outcomes,
    ),
    Instrument(
        "counter",
        "penstock_document_retries",
        "{attempt}",
        "Attempts at documents that failed and are tried again.",
        _ADAPTER,
        _each(attrgetter("retries")),
    ),
    Instrument(
        "counter",
        "penstock_batches",
        "{batch}",
        "BatchProgress events.",
        _ADAPTER,
        _each(attrgetter("batches")),
    ),
    Instrument(
        "counter",
        "penstock_checkpoints",
        "{checkpoint}",
        "Boundaries at which a commit is intended.",
        _ADAPTER,
        _each(attrgetter("checkpoints")),
    ),
    Instrument(
        "counter",
        "penstock_runs_ended",
        "{run}",
        "Runs by the state in which they ended.",
        ("adapter", "state"),
        _ends,
    ),
    Instrument(
        "gauge",
        "penstock_run_state",
        "1",
        "1 for the state of the adapter's last run, 0 for the others.",
        ("adapter", "state"),
        _states,
    ),
    Instrument(
        "gauge",
        "penstock_run_documents",
        "{document}",
        "Documents of the logical run by outcome, those before a resume included.",
        ("adapter", "outcome"),
        _sums,
    ),
    Instrument(
        "gauge",
        "penstock_run_in_flight_documents",
        "{document}",
        "Documents that are started and not finished.",
        _ADAPTER,
        _progress(attrgetter("in_flight")),
    ),
    Instrument(
        "gauge",
        "penstock_run_estimated_documents",
        "{document}",
        "Documents that the source promises.",
        _ADAPTER,
        _progress(attrgetter("estimated_total")),
    ),
    Instrument(
        "gauge",
        "penstock_run_documents_per_second",
        "{document}/s",
        "Documents per second, as the last BatchProgress says.",
        _ADAPTER,
        _progress(attrgetter("rate")),
    ),
    Instrument(
        "gauge",
        "penstock_run_eta_seconds",
        "s",
        "Seconds until the run ends, as the last BatchProgress says.",
        _ADAPTER,
        _progress(attrgetter("eta_seconds")),
    ),
    Instrument(
        "gauge",
        "penstock_last_event_timestamp_seconds",
        "s",
        "Unix time of the last event.",
        _ADAPTER,
        _each(attrgetter("last_event")),
    ),
    Instrument(
        "counter",
        "penstock_stage_requested_items",
        "{item}",
        "Items that were requested from a stage.",
        _STAGE,
        _stage("requested"),
    ),
    Instrument(
        "counter",
        "penstock_stage_delivered_items",
        "{item}",
        "Items that a stage delivered.",
        _STAGE,
        _stage("delivered"),
    ),
    Instrument(
        "counter",
        "penstock_stage_dropped_items",
        "{item}",
        "Items that an overflow strategy dropped.",
        _STAGE,
        _stage("dropped"),
    ),
    Instrument(
        "gauge",
        "penstock_stage_buffered_items",
        "{item}",
        "Items that are ready for later requests.",
        _STAGE,
        _stage("buffered"),
    ),
    Instrument(
        "counter", "penstock_stage_busy_seconds", "s", "Seconds in a stage alone.", _STAGE, _stage("busy")
    ),
    Instrument(
        "counter",
        "penstock_telemetry_failures",
        "{failure}",
        "Failures of this exporter itself.",
        (),
        lambda counts: [((), counts.failures)],
    ),
)
"""All metrics but the histogram of durations."""
DURATION = "penstock_document_duration_seconds"
DURATION_HELP = "Seconds from the start of a document to its completion."
SUM_OF_DURATIONS = Instrument(
    "counter",
    DURATION,
    "s",
    "The sum of the durations of completed documents.",
    _ADAPTER,
    _each(attrgetter("seconds")),
)
"""In place of the histogram, where there can be none."""
