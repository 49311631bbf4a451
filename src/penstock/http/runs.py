"""One run of a pipeline in the server: its state, its journal, and the task that drives it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.http.figures import LiveGraph, Tally
from penstock.http.journal import Journal
from penstock.http.views import ENDED, EventRange, GraphView, RunDetail, RunView
from penstock.pipeline_file.places import STDOUT
from penstock.redact import redact, redact_json
from penstock.sinks import sink_from
from penstock.statistics import Statistics
from penstock.system import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.abc import Sink
    from penstock.http.records import Record
    from penstock.ingest.run import Ingestion
    from penstock.ingest.summary import RunSummary
    from penstock.pipeline import Hook, IngestionPipeline
    from penstock.pipeline_file import PipelineFile

Asked = Literal["cancel", "shutdown"]
CLIENT_LEFT = "the client closed the connection"
NOTHING = GraphView(nodes=[], edges=[], waits_for=None, bottleneck=None)


def sink_of(file: PipelineFile) -> Sink | None:
    """Return the sink for all outputs of a file but standard output; ``None`` if there is no other."""
    if STDOUT not in file.outputs:
        return file.sink()
    others = [output for output in file.outputs if output != STDOUT]
    return sink_from(others, columns=file.model.columns, include_raw=file.model.raw) if others else None


class Turns:
    """Lets a run and the client that it is bound to take turns: the run goes on when all was sent."""

    def __init__(self) -> None:
        self._sent = 0
        self._changed = asyncio.Event()

    def sent(self, number: int) -> None:
        """Note that the client was sent all events up to a number."""
        self._sent = number
        self._changed.set()

    async def wait(self, number: int) -> None:
        """Wait until the client was sent all events up to a number."""
        while self._sent < number:
            self._changed.clear()
            await self._changed.wait()


class Run:
    """A run.

    Args:
        record: What is stored of it.
        folder: Where its files are.
        run_bytes: Bytes of events to keep.
        save: Stores the record.
    """

    def __init__(self, record: Record, folder: Path, run_bytes: int, save: Callable[[Record], None]) -> None:
        self.record = record
        self.folder = folder
        self.journal = Journal(folder / "events", run_bytes)
        self.journal.over = True
        self.turns = Turns() if record.kind == "stream" else None
        self.task: asyncio.Task[None] | None = None
        self._save = save
        self._asked: Asked | None = None
        self._tally: Tally | None = None
        self._graph: LiveGraph | None = None
        self._pipeline: IngestionPipeline | None = None
        self._ingestion: Ingestion | None = None

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.record.state in ENDED

    # -- drive

    def start(self, file: PipelineFile, hooks: Sequence[Hook]) -> None:
        """Start the task of the run. Its journal is open."""
        record = self.record
        record.state, record.reason, record.ended_at = "running", None, None
        record.started_at = record.started_at or time.time()
        self._tally = Tally()
        self.journal.over = False
        self.task = asyncio.get_running_loop().create_task(
            self._drive(file, hooks), name=f"penstock run {record.id}"
        )

    async def _drive(self, file: PipelineFile, hooks: Sequence[Hook]) -> None:
        record = self.record
        try:
            summary = await self._transfer(file, hooks)
        except asyncio.CancelledError:
            self._over("cancelled" if self._asked == "cancel" else "interrupted", record.reason)
            raise
        except Exception as error:  # noqa: BLE001  it is what the run ended with
            self._over("failed", redact(f"{type(error).__name__}: {error}"))
        else:
            state = "completed" if summary.state == "completed" else "cancelled"
            if state == "cancelled" and self._asked != "cancel":
                state = "interrupted"
            record.summary = redact_json(asdict(summary))
            self._over(state, summary.reason)

    async def _transfer(self, file: PipelineFile, hooks: Sequence[Hook]) -> RunSummary:
        assert self._tally is not None  # noqa: S101  start has set it
        pipeline = self._pipeline = file.build(hooks=hooks).pipeline
        pipeline._plan.adapter.source.check()  # noqa: SLF001  these lines do what IngestionPipeline.run does
        sink = pipeline._sink_from(sink_of(file))  # noqa: SLF001
        if self._asked:
            pipeline.stop()
        self._graph = LiveGraph(sink.describe() if sink is not None else "client")
        run = self._ingestion = pipeline._begin(sink)  # noqa: SLF001
        async with Ended(run.chunks()) as chunks:
            async for events in chunks:
                last = self.journal.append(events, at_once=self.turns is not None)
                self._tally.take(events, last)
                if self.turns is not None:
                    await self.turns.wait(last)
        return run.summary()

    def _over(self, state: str, reason: str | None) -> None:
        record = self.record
        record.state = state  # type: ignore[assignment]
        record.reason, record.ended_at = reason, time.time()
        if self._tally is not None:
            record.counts, record.progress = self._tally.counts, self._tally.progress
            record.errors = [*self._tally.errors]
        record.graph, record.events = self._view_graph(live=False), self._range()
        self._save(record)
        self.journal.end()

    # -- stop

    def cancel(self) -> None:
        """Take no new input; documents in flight are finished and committed."""
        if not self.ended:
            self._asked = "cancel"
            self.record.state = "stopping"
            self._stop()

    def shut_down(self) -> None:
        """Do the same, but the next server continues the run."""
        if not self.ended and self._asked is None:
            self._asked = "shutdown"
            self._stop()

    def abandon(self, reason: str) -> None:
        """End the run at once: nobody waits for it any more. What was sent is committed."""
        if not self.ended and self.task is not None:
            self._asked = "cancel"
            self.record.reason = reason
            self.task.cancel()

    def _stop(self) -> None:
        if self._pipeline is not None:
            self._pipeline.stop()

    # -- show

    def view(self) -> RunView:
        """Return the run without its graph."""
        return RunView(**self._facts())

    def detail(self, dead_letters: int | None) -> RunDetail:
        """Return the run with its graph."""
        live = self._tally is not None and not self.ended
        return RunDetail(
            **self._facts(),
            graph=self._view_graph(live=True) if live else self.record.graph or NOTHING,
            errors=[*self._tally.errors] if live and self._tally is not None else self.record.errors,
            dead_letters=dead_letters,
            summary=self.record.summary,
        )

    def _facts(self) -> dict[str, Any]:
        record, tally = self.record, self._tally
        live = tally if not self.ended else None
        names = (
            "id",
            "pipeline",
            "kind",
            "state",
            "reason",
            "created_at",
            "started_at",
            "ended_at",
            "restarts",
        )
        return {
            **{name: getattr(record, name) for name in names},
            "events": self._range(),
            "counts": live.counts if live else record.counts,
            "progress": live.progress if live else record.progress,
        }

    def _range(self) -> EventRange:
        journal = self.journal
        return EventRange(first=journal.first, last=journal.last) if journal.opened else self.record.events

    def statistics(self) -> Statistics:
        """Return the figures of its stages."""
        return Statistics(()) if self._ingestion is None else self._ingestion.statistics()

    def _view_graph(self, *, live: bool) -> GraphView:
        if self._ingestion is None or self._graph is None:
            return NOTHING
        return self._graph.view(self.statistics(), live=live)
