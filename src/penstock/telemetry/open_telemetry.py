"""Metrics and spans for OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from penstock.errors import MissingExtra
from penstock.events import AdapterStateChange, BatchProgress
from penstock.telemetry.counts import ENDED, Counts
from penstock.telemetry.instruments import INSTRUMENTS, SUM_OF_DURATIONS, Instrument

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Span, TracerProvider

    from penstock.events import PipelineEvent

_NANOSECONDS = 1_000_000_000
_MOST_SPANS = 1000


class OpenTelemetry(Counts):
    """A hook that counts events for observable instruments, and makes spans.

    The instruments show the same counts as ``PrometheusMetrics``, under the same names with a dot behind
    ``penstock``: ``penstock.documents`` and so on. The histogram of durations is absent, because no
    instrument that is observed can be one; ``penstock.document_duration_seconds`` is their sum.

    Each run is a span ``penstock.run``. Its parent is the span that was current where the run was started.
    Between two ``BatchProgress`` lies a span ``penstock.batch`` in it. A run that failed has the status of an
    error. A run that was abandoned has no event for its end: ``close()`` ends its span.

    Args:
        meter_provider: The one that the program has set, by default.
        tracer_provider: The same for spans.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """

    def __init__(
        self, *, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise MissingExtra("OpenTelemetry", "opentelemetry") from error
        super().__init__()
        self._tracer = trace.get_tracer("penstock", tracer_provider=tracer_provider)
        self._trace = trace
        self._open: dict[str, _RunSpan] = {}
        meter = metrics.get_meter("penstock", meter_provider=meter_provider)
        for one in (*INSTRUMENTS, SUM_OF_DURATIONS):
            kind = "counter" if one.kind == "counter" else "gauge"
            create = getattr(meter, f"create_observable_{kind}")
            name = one.name.replace("penstock_", "penstock.", 1)
            create(name, callbacks=[self._observer(one)], unit=one.unit, description=one.help)

    def _counted(self, others: list[PipelineEvent]) -> None:
        """Make spans of the events that begin or end something."""
        for event in others:
            if type(event) is BatchProgress:
                self._batch(event)
            elif type(event) is AdapterStateChange:
                self._change(event)

    def close(self) -> None:
        """End the spans of runs that were abandoned."""
        while self._open:
            self._open.popitem()[1].span.end()

    def _observer(self, one: Instrument) -> Callable[[CallbackOptions], Iterator[Observation]]:
        from opentelemetry.metrics import Observation

        def observe(_: CallbackOptions) -> Iterator[Observation]:
            for labels, value in one.read(self):
                yield Observation(value, dict(zip(one.labels, labels, strict=True)))

        return observe

    def _change(self, event: AdapterStateChange) -> None:
        if event.pipeline_id not in self._open and event.new_state in ENDED:  # it never ran
            return
        run = self._run_of(event)
        reason = {"reason": event.reason} if event.reason else {}
        run.span.set_attribute("penstock.adapter", event.adapter)
        run.span.add_event(event.new_state, reason, timestamp=_nanoseconds(event))
        if event.new_state in ENDED:
            del self._open[event.pipeline_id]
            run.span.set_attribute("penstock.state", event.new_state)
            if event.new_state == "failed":
                run.span.set_status(self._trace.StatusCode.ERROR, event.reason)
            run.span.end(_nanoseconds(event))

    def _batch(self, event: BatchProgress) -> None:
        run, now = self._run_of(event), _nanoseconds(event)
        attributes = {
            f"penstock.{name}": getattr(event, name)
            for name in ("completed", "failed", "skipped", "in_flight", "is_checkpoint")
        }
        context = self._trace.set_span_in_context(run.span)
        span = self._tracer.start_span("penstock.batch", context, attributes=attributes, start_time=run.batch)
        span.end(now)
        run.batch = now

    def _run_of(self, event: PipelineEvent) -> _RunSpan:
        """Return the span of the run of ``event``; begin one for a run that continues after a break.

        Such a run does not say that it is running, because it was before.
        """
        run = self._open.get(event.pipeline_id)
        if run is None:
            if len(self._open) >= _MOST_SPANS:
                self._open.pop(next(iter(self._open))).span.end()
            began, attributes = _nanoseconds(event), {"penstock.pipeline_id": event.pipeline_id}
            span = self._tracer.start_span("penstock.run", attributes=attributes, start_time=began)
            run = self._open[event.pipeline_id] = _RunSpan(span, began)
        return run


class _RunSpan:
    """The span of a run, and when its current batch began (Unix time in nanoseconds)."""

    __slots__ = ("batch", "span")

    def __init__(self, span: Span, began: int) -> None:
        self.span = span
        self.batch = began


def _nanoseconds(event: PipelineEvent) -> int:
    return int(event.timestamp * _NANOSECONDS)
