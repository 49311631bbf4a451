"""``penstock ingest``: builds a pipeline from a job, watches it, and hands over the receipt."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from penstock.cli.eventstream import EventStream
from penstock.cli.exits import INTERRUPTED
from penstock.cli.failures import HINT
from penstock.cli.progress import PlainProgress, ProgressFace, SilentProgress, is_live_terminal
from penstock.cli.receipt import exit_code, receipt
from penstock.cli.resources import peak_memory, spare_the_collector
from penstock.cli.signals import GRACE, Interrupts
from penstock.cli.text import put
from penstock.errors import SourceChanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.cli.job import Job
    from penstock.pipeline import Hook, IngestionPipeline, RunSummary

__all__ = ["build", "ingest"]


def ingest(job: Job) -> int:
    """Run ``job`` to its end and return the exit code.

    Raises:
        UsageProblem: the job would destroy one of its inputs.
        BrokenPipeError: the reader of the events went away; the run was ended well.
        Exception: an input, the ledger or the output cannot be used; once documents went through, with a
            note that gives the command to go on with.
    """
    job.check()
    face = _face(job)
    run = _Run(job, face)
    try:
        with face:
            summary = run.to_its_end()
    except Exception as error:
        if isinstance(error, SourceChanged):
            error.add_note(f"{HINT}to take what has changed: {job.command(refresh=True)}")
        elif face.tally.settled:  # something was under way: say how it goes on, after saying what stopped it
            error.add_note(f"{HINT}to go on: {job.command()}")
        raise
    if run.reader_left:
        raise BrokenPipeError
    if summary is None:
        put(sys.stderr, "penstock: stopped at once; what was committed is kept")
        put(sys.stderr, f"penstock: to resume: {job.command()}")
        return INTERRUPTED
    out = sys.stderr if job.events else sys.stdout
    put(out, *receipt(summary, job, peak_memory()))
    return exit_code(summary)


def _face(job: Job) -> ProgressFace:
    if not job.progress:
        return SilentProgress(sys.stderr)
    shared = job.events and sys.stdout.isatty()  # a bar would be drawn across the events
    if is_live_terminal(sys.stderr, os.environ.get("TERM")) and not shared:
        from penstock.cli.bar import LiveProgress

        return LiveProgress(sys.stderr)
    return PlainProgress(sys.stderr)


def build(job: Job, hooks: Sequence[Hook]) -> IngestionPipeline:
    """Wire the pipeline that ``job`` asks for."""
    from penstock.adapters import pubmed  # here, so that --help and --version need not wait for it
    from penstock.pipeline import IngestionPipeline

    return IngestionPipeline(
        pubmed(
            *job.files,
            processes=job.processes,
            max_record_bytes=job.max_record_bytes,
            max_ratio=job.max_ratio,
            max_unpacked_bytes=job.max_unpacked_bytes,
        ),
        ledger=job.ledger,
        key=job.key,
        limit=job.limit,
        restart=job.restart,
        refresh=job.refresh,
        fail_fast=job.fail_fast,
        grace=job.grace,
        hooks=hooks,
    )


class _Run:
    """One run with its hooks and its signals."""

    def __init__(self, job: Job, face: ProgressFace) -> None:
        self._job = job
        self._face = face
        self._events = EventStream(sys.stdout.buffer, self._stop) if job.events else None
        self._stopping = False
        self._pipeline: IngestionPipeline | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[RunSummary] | None = None

    @property
    def reader_left(self) -> bool:
        """Whether the reader of the events went away."""
        return self._events is not None and self._events.closed

    def to_its_end(self) -> RunSummary | None:
        """Run, and return the summary; ``None`` if a second signal cut the run short."""
        grace = self._job.grace
        # twice: once for what is in flight, once for a commit under way
        with Interrupts(self._first, self._second, patience=2 * grace + GRACE) as interrupts:
            try:
                return asyncio.run(self._main())
            except asyncio.CancelledError:
                if interrupts.count:
                    return None
                raise

    async def _main(self) -> RunSummary:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._pipeline = build(self._job, [self._face, *([self._events] if self._events else [])])
        if self._stopping:  # a signal came while all this was being imported
            self._pipeline.stop()
        spare_the_collector()
        return await self._pipeline.run(self._job.outputs)

    def _stop(self) -> None:
        self._stopping = True
        if self._pipeline is not None:
            self._pipeline.stop()

    def _first(self) -> None:
        """At the first signal; called from its handler."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_and_say)

    def _stop_and_say(self) -> None:
        self._face.say("stopping: what is in flight is finished and committed (Ctrl-C again stops at once)")
        self._stop()

    def _second(self) -> None:
        """At the second signal; called from its handler."""
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
