"""Counts, failures and progress of a run from its events, and the graph with its live demand."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from penstock.events import BatchProgress, DocumentCompleted, DocumentFailed, DocumentStarted
from penstock.http.views import Counts, EdgeView, Failure, Figures, GraphView, NodeView, Progress
from penstock.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.events import PipelineEvent
    from penstock.statistics import StageStatistics, Statistics

ERRORS: Final = 20
"""So many of the last failures are shown."""
_ERROR: Final = 500
"""Characters of an error that are shown; the event has all of it."""
_SPAN: Final = 2.0
"""Seconds that live figures are about, at the least, as far as the run is so old."""


class Tally:
    """Counts the events of a run."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.progress: Progress | None = None
        self.errors: deque[Failure] = deque(maxlen=ERRORS)
        self._skipped_before: int | None = None

    def take(self, events: Sequence[PipelineEvent], last: int) -> None:
        """Count events, of which the last one has the number ``last``."""
        counts = self.counts
        kinds = [*map(type, events)]
        started, completed = kinds.count(DocumentStarted), kinds.count(DocumentCompleted)
        counts.started += started
        counts.completed += completed
        if started + completed == len(events):
            return
        for number, event in enumerate(events, last - len(events) + 1):
            if isinstance(event, DocumentFailed):
                self._failed(event, number)
            elif isinstance(event, BatchProgress):
                self._progressed(event)

    def _failed(self, event: DocumentFailed, number: int) -> None:
        if event.will_retry:
            self.counts.retried += 1
        else:
            self.counts.failed += 1
        self.errors.append(
            Failure(
                event=number, timestamp=event.timestamp, doc_id=event.doc_id, adapter=event.adapter,
                error_type=event.error_type, error=redact(event.error)[:_ERROR],
                retry_count=event.retry_count, will_retry=event.will_retry,
            )
        )  # fmt: skip

    def _progressed(self, event: BatchProgress) -> None:
        done = event.completed + event.failed
        if self._skipped_before is None:  # the totals include earlier parts of the logical run
            earlier = done > self.counts.completed + self.counts.failed
            self._skipped_before = event.skipped if earlier else 0
        self.counts.skipped = max(0, event.skipped - self._skipped_before)
        self.progress = Progress(
            timestamp=event.timestamp, completed=event.completed, failed=event.failed,
            skipped=event.skipped, in_flight=event.in_flight, estimated_total=event.estimated_total,
            rate=event.rate, eta_seconds=event.eta_seconds,
        )  # fmt: skip


class LiveGraph:
    """The graph of a run, with what happened since a moment some seconds ago.

    Args:
        output: The name of the last node.
    """

    def __init__(self, output: str) -> None:
        self._output = redact(output)
        self._samples: deque[tuple[float, Statistics]] = deque()

    def view(self, statistics: Statistics, *, live: bool) -> GraphView:
        """Return the graph with these statistics, which are those of now."""
        stages = statistics.stages
        if not stages:
            return GraphView(nodes=[], edges=[], waits_for=None, bottleneck=None)
        seconds, before = self._before(statistics)
        now = [_figures(one, old, seconds) for one, old in zip(stages, before, strict=True)]
        idle = max(0.0, stages[-1].idle - before[-1].idle)
        now.append(now[-1].model_copy(update={"busy": _share(idle, seconds)}))
        nodes = [_node(key, stage) for key, stage in enumerate(stages)]
        nodes.append(_output(len(stages), self._output, stages[-1]))
        if live:
            nodes = [node.model_copy(update={"now": one}) for node, one in zip(nodes, now, strict=True)]
        slowest = max(range(len(now)), key=lambda key: now[key].busy)
        return GraphView(
            nodes=nodes,
            edges=[EdgeView(source=key, target=key + 1) for key in range(len(stages))],
            waits_for=slowest if live and now[slowest].busy > 0 else None,
            bottleneck=_without_places(statistics),
        )

    def _before(self, statistics: Statistics) -> tuple[float, Sequence[StageStatistics]]:
        """Return how long ago the sample to compare with was taken, and its stages; remember this one."""
        now = time.monotonic()
        samples = self._samples
        if samples and len(samples[-1][1].stages) != len(statistics.stages):
            samples.clear()
        if not samples or now - samples[-1][0] >= _SPAN / 2:
            samples.append((now, statistics))
        while len(samples) > 1 and now - samples[1][0] >= _SPAN:
            samples.popleft()
        began, old = samples[0]
        if began == now:  # the first sample: compare with the beginning of the run
            first = statistics.stages[-1]
            return first.waiting + first.idle, [_nothing(stage) for stage in statistics.stages]
        return now - began, old.stages


def _nothing(stage: StageStatistics) -> StageStatistics:
    return type(stage)(stage.name, 0, 0, 0, 0.0)


def _share(seconds: float, span: float) -> float:
    return round(min(1.0, seconds / span), 3) if span > 0 else 0.0


def _figures(stage: StageStatistics, old: StageStatistics, seconds: float) -> Figures:
    delivered = stage.delivered - old.delivered
    return Figures(
        seconds=round(seconds, 3),
        requested=stage.requested - old.requested,
        delivered=delivered,
        rate=round(delivered / seconds, 3) if seconds > 0 else 0.0,
        busy=_share(max(0.0, stage.busy - old.busy), seconds),
    )


def _node(key: int, stage: StageStatistics) -> NodeView:
    return NodeView(
        key=key, name=_name(stage), requested=stage.requested, delivered=stage.delivered,
        requests=stage.requests, buffered=stage.buffered, dropped=stage.dropped,
        busy_seconds=round(stage.busy, 6), waiting_seconds=round(stage.waiting, 6),
        idle_seconds=round(stage.idle, 6), now=None,
    )  # fmt: skip


def _output(key: int, name: str, last: StageStatistics) -> NodeView:
    return NodeView(
        key=key, name=name, requested=last.requested, delivered=last.delivered, requests=last.requests,
        buffered=0, dropped=0, busy_seconds=round(last.idle, 6),
        waiting_seconds=round(last.waiting + last.idle, 6), idle_seconds=0.0, now=None,
    )  # fmt: skip


def _name(stage: StageStatistics) -> str:
    """Return the operators of a stage without the lines of our own code where they were assembled."""
    names = [one.partition(" at ")[0] for one in stage.operators.split(" | ")] if stage.operators else []
    return redact(" | ".join(names) or stage.name)


def _without_places(statistics: Statistics) -> str | None:
    sentence = statistics.bottleneck
    stage = statistics.slowest
    if sentence is None or stage is None or not stage.operators:
        return sentence
    return sentence.replace(stage.operators, _name(stage))
