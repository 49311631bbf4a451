"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtra
from penstock.telemetry.counts import BUCKETS, Counts
from penstock.telemetry.instruments import DURATION, DURATION_HELP, INSTRUMENTS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric


class PrometheusMetrics(Counts):
    """A hook that counts events, and a collector that shows the counts to prometheus-client.

    It counts plain integers; metrics are made when Prometheus reads them. One instance may serve any number
    of pipelines: they are told apart by the label ``adapter``.

    Args:
        registry: Where the metrics are registered: a new registry by default. Pass
            ``prometheus_client.REGISTRY`` for the registry that the rest of your program uses.
        buckets: Upper bounds of the histogram of durations, in seconds, ascending.

    Raises:
        MissingExtra: prometheus-client is not installed.
        ValueError: the registry has these metrics already.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, buckets: Sequence[float] = BUCKETS
    ) -> None:
        try:
            from prometheus_client import CollectorRegistry, metrics_core
        except ImportError as error:
            raise MissingExtra("PrometheusMetrics", "prometheus") from error
        super().__init__(buckets)
        self._core = metrics_core
        self.registry = CollectorRegistry() if registry is None else registry
        self.registry.register(self)

    def start_http_server(self, port: int, address: str = "127.0.0.1", **options: Any) -> tuple[Any, Any]:
        """Serve the metrics at ``http://address:port/metrics``, as prometheus-client does.

        Returns:
            The server and its thread: ``server.shutdown()``, then ``server.server_close()``, ends both.
        """
        from prometheus_client import start_http_server

        found: tuple[Any, Any] = start_http_server(port, address, registry=self.registry, **options)
        return found

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without values."""
        for one in INSTRUMENTS:
            family: Any = getattr(self._core, f"{one.kind.capitalize()}MetricFamily")
            yield family(one.name, one.help, labels=one.labels)
        yield self._core.HistogramMetricFamily(DURATION, DURATION_HELP, labels=["adapter"])

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with the values of this moment."""
        *families, durations = self.describe()
        for one, family in zip(INSTRUMENTS, families, strict=True):
            to: Any = family
            for labels, value in one.read(self):
                to.add_metric(labels, value)
            yield family
        bounds = [*map(str, self.bounds), "+Inf"]
        for name, counts in self.by_adapter():
            to = durations
            to.add_metric([name], [*zip(bounds, accumulate(counts.buckets), strict=True)], counts.seconds)
        yield durations
