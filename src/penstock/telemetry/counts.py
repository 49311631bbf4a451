"""Integers counted in-process: what the exporters of metrics read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple, Protocol

from penstock.errors import GraphError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.runtime.arguments import refuse, text_for
from penstock.telemetry.isolation import Events, Guarded

if TYPE_CHECKING:
    from penstock.statistics import StageStatistics, Statistics

STATES = ("running", "retrying", "completed", "failed", "cancelled")
ENDED = frozenset({"completed", "failed", "cancelled"})
BUCKETS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
)
"""Upper bounds of the histogram of durations, in seconds."""
MOST_ADAPTERS = 100
"""So many names of adapters become labels. Later ones are counted as ``other``."""
_MOST_RUNS = 1000


class _Sorted(NamedTuple):
    """Events of one run: documents that started, durations of completed ones, and all other events."""

    started: int
    durations: list[float]
    others: list[PipelineEvent]


def _sorted(run: str, events: Events) -> _Sorted | None:
    """Sort events by kind; ``None`` if one of them is of another run.

    This is the whole cost of a metric per event, so it is one loop that touches each event once.
    """
    started = 0
    durations: list[float] = []
    others: list[PipelineEvent] = []
    for event in events:
        if event.pipeline_id != run:
            return None
        kind = type(event)
        if kind is DocumentStarted:
            started += 1
        elif kind is DocumentCompleted:
            durations.append(event.duration)  # type: ignore[attr-defined]
        else:
            others.append(event)
    return _Sorted(started, durations, others)


class Watched(Protocol):
    """An ``IngestionPipeline`` or a subscription."""

    def statistics(self) -> Statistics:
        """Return the figures of its stages."""
        ...


@dataclass(slots=True)
class AdapterCounts:
    """What happened to the documents of one adapter in this process. Times are in seconds."""

    buckets: list[int]
    """Completed documents by duration. Not cumulative; the last number is above all bounds."""
    started: int = 0
    completed: int = 0
    failed: int = 0
    """Documents, without attempts that are tried again."""
    retries: int = 0
    batches: int = 0
    checkpoints: int = 0
    seconds: float = 0.0
    """The sum of the durations."""
    last_event: float = 0.0
    state: str = ""
    ends: dict[str, int] = field(default_factory=dict)
    """Runs by the state in which they ended."""
    progress: BatchProgress | None = None
    """The last one."""


class Counts(Guarded):
    """Counts events. It never delays a run by more than the counting, and its failures do not reach the run.

    Args:
        buckets: Upper bounds of the histogram of durations, in seconds, ascending.
    """

    def __init__(self, buckets: Sequence[float] = BUCKETS) -> None:
        super().__init__()
        bounds = [float(one) for one in buckets]
        if not bounds or not all(map(isfinite, bounds)) or any(a >= b for a, b in pairwise(bounds)):
            raise GraphError(f"buckets= must be finite numbers in ascending order, not {list(buckets)!r}")
        self.bounds = bounds
        self.adapters: dict[str, AdapterCounts] = {}
        self._runs: dict[str, AdapterCounts] = {}
        self._watched: dict[str, Callable[[], Statistics]] = {}
        self._seen: dict[str, Statistics] = {}

    def watch(self, name: str, run: Watched) -> None:
        """Export the statistics of a pipeline or a subscription, under the label ``adapter=name``.

        They are read when the metrics are. A second one of the same name replaces the first.

        Raises:
            GraphError: ``run`` has no ``statistics()``.
        """
        text_for("watch", "name", name)
        if not callable(getattr(run, "statistics", None)):
            refuse("watch", "an IngestionPipeline or a subscription", run, "run")
        self._watched[name] = run.statistics

    def stages(self) -> Iterator[tuple[str, str, StageStatistics]]:
        """Yield the name, the label and the figures of each watched stage."""
        for name, statistics in [*self._watched.items()]:
            try:
                self._seen[name] = statistics()
            except Exception as error:  # noqa: BLE001  the run may change while another thread reads: keep the last
                self._failed(error)
            seen = self._seen.get(name)
            for number, stage in enumerate(seen.stages if seen else (), 1):
                yield name, f"{number} {stage.name}", stage

    def by_adapter(self) -> list[tuple[str, AdapterCounts]]:
        """Return the name and the counts of each adapter. It is a copy: events may add one."""
        return [*self.adapters.items()]

    def take(self, events: Events) -> None:
        """Count the events."""
        if not events:
            return
        run = events[0].pipeline_id
        if (of_one_run := _sorted(run, events)) is not None:
            self._count(run, events, of_one_run)
            return
        by_run: dict[str, list[PipelineEvent]] = {}
        for event in events:
            by_run.setdefault(event.pipeline_id, []).append(event)
        for run, group in by_run.items():
            self._count(run, group, _sorted(run, group) or _Sorted(0, [], []))

    def _count(self, run: str, events: Events, kinds: _Sorted) -> None:
        counts = self._runs.get(run) or self._counts_of(run, events)
        counts.started += kinds.started
        if kinds.durations:
            counts.completed += len(kinds.durations)
            self._measure(counts, kinds.durations)
        counts.last_event = max(counts.last_event, events[-1].timestamp)
        for event in kinds.others:
            self._count_other(counts, event)
        self._counted(kinds.others)

    def _counted(self, others: list[PipelineEvent]) -> None:
        """Take the events that are neither a start nor a completion, when all are counted. Does nothing."""

    def _count_other(self, counts: AdapterCounts, event: PipelineEvent) -> None:
        if isinstance(event, DocumentFailed):
            if event.will_retry:
                counts.retries += 1
            else:
                counts.failed += 1
        elif isinstance(event, BatchProgress):
            counts.batches += 1
            counts.checkpoints += event.is_checkpoint
            counts.progress = event
        elif isinstance(event, AdapterStateChange):
            counts.state = event.new_state
            if event.new_state in ENDED:
                counts.ends[event.new_state] = counts.ends.get(event.new_state, 0) + 1
                self._runs.pop(event.pipeline_id, None)

    def _measure(self, counts: AdapterCounts, durations: list[float]) -> None:
        counts.seconds += sum(durations)
        bounds, buckets = self.bounds, counts.buckets
        if len(durations) < len(bounds):
            for duration in durations:
                buckets[bisect_left(bounds, duration)] += 1
            return
        durations.sort()
        below = 0
        for place, bound in enumerate(bounds):
            reached = bisect_right(durations, bound, below)
            buckets[place] += reached - below
            below = reached
        buckets[-1] += len(durations) - below

    def _counts_of(self, run: str, events: Events) -> AdapterCounts:
        """Return the counts of the adapter of a run that is new here."""
        names = (getattr(event, "adapter", None) for event in events)
        name = next((name for name in names if name is not None), None)
        label = str(name or "unknown")
        if label not in self.adapters and len(self.adapters) >= MOST_ADAPTERS:
            label = "other"
        counts = self.adapters.get(label)
        if counts is None:
            counts = self.adapters[label] = AdapterCounts([0] * (len(self.bounds) + 1))
        if name is not None:
            if len(self._runs) >= _MOST_RUNS:
                del self._runs[next(iter(self._runs))]
            self._runs[run] = counts
        return counts
