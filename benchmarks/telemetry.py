"""What telemetry and the terminal cost a run: the same run with and without each hook.

The run is an ``IngestionPipeline`` over trivial documents without a sink, so every cost of a hook is large beside it.
Two figures say what a hook costs. Its *share* is the processor time of its calls, of the whole run; it decides, because
other programs do not change it much. The *ratio* compares runs with and without the hook, in many short rounds.
``PENSTOCK_TELEMETRY_DOCUMENTS=500000`` makes runs of a million events.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

from events import Trivial
from harness import Row, Way, at_most, measure, per_item
from opentelemetry.sdk.trace import TracerProvider

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.events import BatchProgress
from penstock.progress.bar import LiveProgress
from penstock.telemetry import OpenTelemetry, PrometheusMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.events import PipelineEvent

DOCUMENTS = int(os.environ.get("PENSTOCK_TELEMETRY_DOCUMENTS", "10000"))
TITLE = f"runs of {2 * DOCUMENTS:,} and {10 * DOCUMENTS:,} events with telemetry"
ROUNDS = 25
LONGER, FEWER = 5 * DOCUMENTS, 5
"""Documents and rounds for the shares: longer runs, so that the first and the last frame of a view count little."""


class Screen(io.StringIO):
    """What a terminal gets, in memory."""

    def isatty(self) -> bool:
        return True


async def run(*hooks: Callable[[Sequence[PipelineEvent]], object], documents: int = DOCUMENTS) -> int:
    """Run all documents; return how many completed."""
    pipeline = IngestionPipeline(Adapter(Trivial(documents)), progress_every=1000, hooks=hooks)  # type: ignore[arg-type]
    count = 0
    async with contextlib.aclosing(pipeline._begin(None).chunks()) as chunks:  # noqa: SLF001  what run() does
        async for events in chunks:
            for event in events:
                if type(event) is BatchProgress:
                    count = event.completed
    return count


class Timed:
    """A hook that measures the processor time of another one."""

    def __init__(self, hook: Callable[[Sequence[PipelineEvent]], object]) -> None:
        self._hook = hook
        self.seconds = 0.0

    def __call__(self, events: Sequence[PipelineEvent]) -> None:
        began = time.thread_time()
        self._hook(events)
        self.seconds += time.thread_time() - began


class Drawing(LiveProgress):
    """The live view of a terminal, which measures the processor time of its drawing."""

    def __init__(self) -> None:
        super().__init__(Screen(), width=100)
        self.seconds = 0.0
        refresh = self._live.refresh

        def timed() -> None:
            began = time.thread_time()
            refresh()
            self.seconds += time.thread_time() - began

        self._live.refresh = timed  # type: ignore[method-assign]


def share(runner: asyncio.Runner, make: Callable[[], Any]) -> tuple[float, float]:
    """Return the processor seconds of a hook in one run, and those of the whole run."""
    hook = make()
    timed = Timed(hook)
    began = time.process_time()
    with hook if isinstance(hook, Drawing) else contextlib.nullcontext():
        runner.run(run(timed, documents=LONGER))
    drawn = hook.seconds if isinstance(hook, Drawing) else 0.0
    return timed.seconds + drawn, time.process_time() - began


def shared(what: str, found: Sequence[tuple[float, float]], limit: float) -> Row:
    """Return the row of a hook: the median of its share of a run."""
    ratio = statistics.median(hook / whole for hook, whole in found)
    ours, whole = (statistics.median(one) / LONGER for one in zip(*found, strict=True))
    return Row(
        f"{what}, share of the run",
        per_item(ours),
        per_item(whole),
        f"{ratio:6.3f}",
        f"≤ {limit:g}",
        ratio <= limit,
    )


def rows() -> list[Row]:
    """Return the measured rows."""
    provider = TracerProvider()  # records spans, and exports them nowhere
    makes: dict[str, tuple[float, Callable[[], Any]]] = {
        "Prometheus": (0.05, PrometheusMetrics),
        "OpenTelemetry": (0.1, lambda: OpenTelemetry(tracer_provider=provider)),
        "the terminal's live view": (0.03, Drawing),
    }
    with asyncio.Runner() as runner:
        shares = {name: [share(runner, make) for _ in range(FEWER)] for name, (_, make) in makes.items()}

        def way(name: str, make: Callable[[], Any]) -> Way:
            def once() -> int:
                hook = make()
                with hook if isinstance(hook, Drawing) else contextlib.nullcontext():
                    return runner.run(run(hook))

            return Way(name, once, DOCUMENTS)

        plain = Way("plain", lambda: runner.run(run()), DOCUMENTS)
        found = measure([plain, *(way(name, make) for name, (_, make) in makes.items())], rounds=ROUNDS)
    rows = [shared(name, shares[name], limit) for name, (limit, _) in makes.items()]
    return rows + [at_most(f"{name}, by the run without", found, name, "plain", None) for name in makes]
