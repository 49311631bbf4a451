"""What telemetry and the terminal cost a run: the same run with and without each hook.

The run is an ``IngestionPipeline`` over trivial documents without a sink, so every cost of a hook is large beside it.
Processor time decides: other programs on the machine do not count. A hook costs the same for each event, however many
there are; ``PENSTOCK_TELEMETRY_DOCUMENTS=500000`` measures a million events.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

from events import Trivial
from harness import Row, Way, at_most, measure
from opentelemetry.sdk.trace import TracerProvider

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.events import BatchProgress
from penstock.progress.bar import LiveProgress
from penstock.telemetry import OpenTelemetry, PrometheusMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.events import PipelineEvent

DOCUMENTS = int(os.environ.get("PENSTOCK_TELEMETRY_DOCUMENTS", "60000"))
TITLE = f"{2 * DOCUMENTS:,} events of a run with telemetry, by the same run without"
ROUNDS = 9


class Screen(io.StringIO):
    """What a terminal gets, in memory."""

    def isatty(self) -> bool:
        return True


async def run(*hooks: Callable[[Sequence[PipelineEvent]], object]) -> int:
    """Run all documents; return how many completed."""
    pipeline = IngestionPipeline(Adapter(Trivial(DOCUMENTS)), progress_every=1000, hooks=hooks)  # type: ignore[arg-type]
    count = 0
    async with contextlib.aclosing(pipeline._begin(None).chunks()) as chunks:  # noqa: SLF001  what run() does
        async for events in chunks:
            for event in events:
                if type(event) is BatchProgress:
                    count = event.completed
    return count


def rows() -> list[Row]:
    """Return the measured rows."""
    with asyncio.Runner() as runner:

        def way(name: str, *make: Callable[[], Any]) -> Way:
            return Way(name, lambda: runner.run(run(*(one() for one in make))), DOCUMENTS)

        def watched() -> int:
            with LiveProgress(Screen(), width=100) as view:
                return runner.run(run(view))

        provider = TracerProvider()  # records spans, and exports them nowhere
        ways = [
            way("plain"),
            way("prometheus", PrometheusMetrics),
            way("opentelemetry", lambda: OpenTelemetry(tracer_provider=provider)),
            Way("terminal", watched, DOCUMENTS),
        ]
        found = measure(ways, rounds=ROUNDS)
    return [
        at_most("Prometheus", found, "prometheus", "plain", 1.05, by_cpu=True),
        at_most("OpenTelemetry", found, "opentelemetry", "plain", 1.1, by_cpu=True),
        at_most("the terminal's live view", found, "terminal", "plain", 1.03, by_cpu=True),
    ]
