"""The pipelines and runs of a server: start, resume, stop and forget them."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from penstock.errors import PenstockError
from penstock.http.frames import Frames
from penstock.http.problems import Problem
from penstock.http.records import FILE, Record, boot
from penstock.http.runs import Run
from penstock.http.views import Kind, PipelineView
from penstock.pipeline_file.places import STDOUT, shown
from penstock.redact import redact
from penstock.system import FileLock

if TYPE_CHECKING:
    from penstock.http.limits import Limits
    from penstock.pipeline import Hook
    from penstock.pipeline_file import PipelineFile
    from penstock.telemetry import PrometheusMetrics

LOGGER = logging.getLogger("penstock.http")
_PATIENCE: Final = 5.0
"""Seconds beyond the grace of its pipeline that a run gets to end."""


class Service:
    """Runs pipelines, and remembers the runs in a folder; an async context manager.

    Args:
        files: The pipelines by name.
        state: The folder; one server at a time may use it.
        limits: What clients may use.
        hooks: Called with the events of every run.
        resume: Whether runs that an earlier server left unfinished go on.

    Raises:
        PenstockError: on entering: another server uses the folder.
    """

    def __init__(
        self,
        files: Mapping[str, PipelineFile],
        state: Path,
        limits: Limits,
        *,
        hooks: Sequence[Hook] = (),
        resume: bool = True,
    ) -> None:
        self.files = dict(files)
        self.limits = limits
        self.frames = Frames()
        self.streams = 0
        """Clients that read events now."""
        self.stopping = asyncio.Event()
        self.ready = False
        self._state = state
        self._resume = resume
        self._runs: dict[str, Run] = {}
        self._by_key: dict[str, Run] = {}
        self._lock = FileLock(state / "server.lock")
        self._opening = asyncio.Lock()
        self.metrics = _metrics()
        self._hooks: list[Hook] = [*hooks] if self.metrics is None else [self.metrics, *hooks]

    # -- begin and end

    async def __aenter__(self) -> Self:
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if holder := self._lock.acquire():
            raise PenstockError(
                f"{holder} serves with the folder {self._state}: choose another one (--state)"
            )
        for record, folder in _records(self._state):
            self._know(Run(record, folder, self.limits.run_bytes, self._saver(folder)))
        for run in self.runs()[::-1]:
            if not run.ended or run.record.state == "interrupted":
                await self._take_up(run)
        self._forget()
        self.ready = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()
        tasks = [run.task for run in self._runs.values() if run.task is not None and not run.task.done()]
        if tasks:
            grace = max(file.model.grace for file in self.files.values())
            await asyncio.wait(tasks, timeout=grace + _PATIENCE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for run in self._runs.values():
            run.journal.close()
        self._lock.release()

    def stop(self) -> None:
        """Begin to end: runs take no new input, streams end, and nothing new begins."""
        self.ready = False
        self.stopping.set()
        for run in self._runs.values():
            if run.record.kind == "stream":
                run.abandon("the server stops")
            else:
                run.shut_down()
            if run.journal.opened:
                run.journal.wake()

    def _know(self, run: Run) -> None:
        self._runs[run.record.id] = run
        if run.record.idempotency_key:
            self._by_key[run.record.idempotency_key] = run

    async def _take_up(self, run: Run) -> None:
        """Continue a run of an earlier server, or show that it was interrupted."""
        record = run.record
        await self.opened(run)
        newer = any(
            other.record.pipeline == record.pipeline and other.record.created_at > record.created_at
            for other in self._runs.values()
        )
        if record.kind == "stream" or record.state == "stopping":
            record.state, record.reason = "cancelled", record.reason or "the server was stopped"
        elif self._resume and not newer and self._may_run(record.pipeline):
            if record.boot != boot():  # a power cut may have taken the end of the journal
                run.journal.skip()
            record.restarts += 1
            self._go(run)
            return
        elif record.state != "interrupted":
            record.state, record.reason = "interrupted", "the server was stopped"
        record.ended_at = record.ended_at or time.time()
        record.save(run.folder)

    def _may_run(self, name: str) -> bool:
        file = self.files.get(name)
        return file is not None and STDOUT not in file.outputs and len(self._active()) < self.limits.runs

    # -- runs

    def runs(self) -> list[Run]:
        """Return all runs, the newest first."""
        return sorted(self._runs.values(), key=lambda run: run.record.created_at, reverse=True)

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            Problem: there is none of this id.
        """
        found = self._runs.get(run_id)
        if found is None:
            raise Problem(404, "no-such-run", "there is no run of this id, or it is forgotten")
        return found

    async def opened(self, run: Run) -> Run:
        """Return the run with its journal open."""
        async with self._opening:
            if not run.journal.opened:
                await asyncio.to_thread(run.journal.open)
        return run

    async def start(self, name: str, kind: Kind, key: str | None = None) -> tuple[Run, bool]:
        """Start a run, and return it with ``True``; or return the run that was started with this key.

        Raises:
            Problem: there is no such pipeline, it cannot run now, or the key was used for another one.
        """
        if key is not None and (known := self._by_key.get(key)) is not None:
            if (known.record.pipeline, known.record.kind) != (name, kind):
                detail = f"this Idempotency-Key has started a run of {known.record.pipeline!r}: use a new one"
                raise Problem(409, "idempotency-key-reused", detail)
            return known, False
        self._check(name, kind)
        record = Record(id=uuid4().hex, pipeline=name, kind=kind, created_at=time.time(), idempotency_key=key)
        folder = self._state / "runs" / record.id
        run = Run(record, folder, self.limits.run_bytes, self._saver(folder))
        self._know(run)
        run.journal.open()
        self._go(run)
        self._forget()
        return run, True

    def cancel(self, run: Run) -> None:
        """Stop a run; does nothing if it has ended."""
        if not run.ended:
            run.cancel()
            run.record.save(run.folder)

    def _check(self, name: str, kind: Kind) -> None:
        """Raise the ``Problem`` why a pipeline cannot be started now."""
        file = self.files.get(name)
        if not self.ready:
            raise Problem(503, "stopping", "the server stops, or has not begun", headers={"Retry-After": "5"})
        if file is None:
            raise Problem(404, "no-such-pipeline", "there is no pipeline of this name; see /v1/pipelines")
        if kind == "run" and STDOUT in file.outputs:
            detail = f"{name} writes to standard output, so it can only be streamed: POST /v1/stream"
            raise Problem(409, "stream-only", detail)
        active = self._active()
        for run in active:
            if run.record.pipeline == name:
                detail = f"{name} runs already; wait, or cancel the run {run.record.id}"
                raise Problem(409, "runs-already", detail, run=run.record.id)
        if len(active) >= self.limits.runs:
            detail = f"{len(active)} runs are going, and not more may: wait, or cancel one"
            raise Problem(429, "too-many-runs", detail, headers={"Retry-After": "10"})

    def _active(self) -> list[Run]:
        return [run for run in self._runs.values() if run.task is not None and not run.ended]

    def _go(self, run: Run) -> None:
        run.record.boot = boot()
        run.start(self.files[run.record.pipeline], self._hooks)
        run.record.save(run.folder)
        if self.metrics is not None:
            self.metrics.watch(run.record.pipeline, run)

    def _saver(self, folder: Path) -> Any:
        def save(record: Record) -> None:
            try:
                record.save(folder)
            except OSError as error:
                LOGGER.error("The state of run %s could not be written: %s", record.id, error)  # noqa: TRY400

        return save

    def _forget(self) -> None:
        """Forget the oldest runs that have ended, with their events."""
        for run in self.runs()[self.limits.kept_runs :]:
            if run.ended:
                del self._runs[run.record.id]
                self._by_key.pop(run.record.idempotency_key or "", None)
                run.journal.close()
                shutil.rmtree(run.folder, ignore_errors=True)

    # -- pipelines

    def pipelines(self) -> list[PipelineView]:
        """Return all pipelines, by name."""
        active = {run.record.pipeline: run.record.id for run in self._active()}
        return [
            PipelineView(
                name=name,
                adapter=file.adapter.name,
                outputs=[redact(shown(output)) for output in file.outputs],
                can_run=STDOUT not in file.outputs,
                active_run=active.get(name),
            )
            for name, file in sorted(self.files.items())
        ]


def _records(state: Path) -> list[tuple[Record, Path]]:
    found = []
    for path in sorted((state / "runs").glob(f"*/{FILE}")):
        try:
            found.append((Record.load(path.parent), path.parent))
        except (OSError, ValueError) as error:
            LOGGER.warning("The run in %s cannot be read, and is left out: %s", path.parent, error)
    return found


def _metrics() -> PrometheusMetrics | None:
    from penstock.errors import MissingExtra
    from penstock.telemetry import PrometheusMetrics

    try:
        return PrometheusMetrics()
    except MissingExtra:
        return None
