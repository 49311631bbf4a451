"""``penstock ingest``: runs the pipeline of a job, shows its progress, and prints the receipt."""

from __future__ import annotations

import asyncio
import os
import sys
from math import isfinite
from typing import TYPE_CHECKING

from penstock.cli.eventstream import EventStream
from penstock.cli.exits import INTERRUPTED
from penstock.cli.failures import HINT
from penstock.cli.hints import hints_after
from penstock.cli.receipt import exit_code, quiet_receipt, receipt
from penstock.cli.resources import peak_memory, spare_the_collector
from penstock.cli.signals import CLOSING, Interrupts
from penstock.cli.text import clean, put
from penstock.pipeline_file.places import STDOUT
from penstock.progress.view import PlainProgress, ProgressView, SilentProgress, is_live_terminal

if TYPE_CHECKING:
    from penstock.cli.job import Job
    from penstock.pipeline import IngestionPipeline, RunSummary


def ingest(job: Job) -> int:
    """Run ``job`` and return the exit code.

    Raises:
        UsageProblem: the job would destroy one of its inputs.
        BrokenPipeError: the reader of the events went away; the run was drained.
        Exception: an input, the ledger or the output cannot be used. Notes of it say how to go on.
    """
    job.check()
    if warning := job.warning():
        put(sys.stderr, f"penstock: {clean(warning)}")
    view = _view(job)
    run = _Run(job, view)
    try:
        with view:
            summary = run.to_its_end()
    except Exception as error:
        for hint in hints_after(error, job, begun=view.tally.settled > 0):
            error.add_note(f"{HINT}{hint}")
        raise
    if run.reader_left:
        raise BrokenPipeError
    if summary is None:
        put(sys.stderr, "penstock: stopped at once; what was committed is kept")
        put(sys.stderr, f"penstock: to resume: {job.command()}")
        return INTERRUPTED
    if job.options.quiet:
        put(sys.stderr, *quiet_receipt(summary, job))
        return exit_code(summary)
    out = sys.stderr if job.options.events or STDOUT in job.outputs else sys.stdout
    put(out, *receipt(summary, job, peak_memory()))
    return exit_code(summary)


def _view(job: Job) -> ProgressView:
    if job.options.quiet or not job.options.progress:
        return SilentProgress(sys.stderr)
    shared = (
        job.options.events or STDOUT in job.outputs
    ) and sys.stdout.isatty()  # a bar would be drawn over the events
    if is_live_terminal(sys.stderr, os.environ.get("TERM")) and not shared:
        from penstock.progress.bar import LiveProgress

        return LiveProgress(sys.stderr)
    return PlainProgress(sys.stderr)


class _Run:
    """One run with its hooks and its signals."""

    def __init__(self, job: Job, view: ProgressView) -> None:
        self._job = job
        self._view = view
        self._events = EventStream(sys.stdout.buffer, self._stop) if job.options.events else None
        self._stopping = False
        self._pipeline: IngestionPipeline | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[RunSummary] | None = None

    @property
    def reader_left(self) -> bool:
        """Whether the reader of the events went away."""
        return self._events is not None and self._events.closed

    def to_its_end(self) -> RunSummary | None:
        """Run, and return the summary; ``None`` if a second signal cancelled the run."""
        # the grace counts twice: for documents in flight, and for a commit that has begun
        grace = self._job.options.grace
        patience = 2 * grace + CLOSING if isfinite(grace) else None
        with Interrupts(self._first_signal, self._second_signal, patience=patience) as interrupts:
            try:
                return asyncio.run(self._main())
            except asyncio.CancelledError:
                if interrupts.count:
                    return None
                raise

    async def _main(self) -> RunSummary:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._pipeline = self._job.pipeline([self._view, *([self._events] if self._events else [])])
        self._view.watch(self._pipeline.statistics)
        if self._stopping:  # a signal came before the pipeline existed
            self._pipeline.stop()
        spare_the_collector()
        return await self._pipeline.run(self._job.sink())

    def _stop(self) -> None:
        self._stopping = True
        if self._pipeline is not None:
            self._pipeline.stop()

    def _first_signal(self) -> None:
        """Drain the run. Runs in the thread of the signals."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_and_say)

    def _stop_and_say(self) -> None:
        self._view.say(
            "stopping: documents in flight are finished and committed (Ctrl-C again stops at once)"
        )
        self._stop()

    def _second_signal(self) -> None:
        """Cancel the run. Runs in the thread of the signals."""
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
