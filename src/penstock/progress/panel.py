"""The live panel of a run in a notebook: one output of the cell, updated a few times a second."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from penstock.notebook.forms import bar, form, note, title
from penstock.progress.view import Tally, summary_line
from penstock.progress.watcher import Watcher
from penstock.runtime.clock import clock_of_the_loop
from penstock.text import count, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.events import DocumentFailed, PipelineEvent
    from penstock.ingest.run import Ingestion
    from penstock.ingest.summary import RunSummary
    from penstock.notebook.display import Display

EVERY = 0.25
"""Seconds from one update to the next, at the least."""

SHOWN_ERRORS = 5

SHOWN_COUNTS = ("completed", "failed", "skipped")


class Panel(Watcher):
    """Shows counts, rates, stages and the last errors of a run; in the end its summary.

    Events only count. It is drawn at most every ``every`` seconds, also while no events come: a task of its
    own sees to that. What it shows in the end stays in the saved notebook.
    """

    def __init__(self, display: Display, name: str, *, every: float = EVERY) -> None:
        self.hooks = (self.take,)
        self._display = display
        self._name = name
        self._every = every
        self._clock = clock_of_the_loop().monotonic
        self._tally = Tally()
        self._errors: deque[DocumentFailed] = deque(maxlen=SHOWN_ERRORS)
        self._retried: DocumentFailed | None = None
        self._run: Ingestion | None = None
        self._summary: RunSummary | None = None
        self._drawn = self._clock()
        self._ticks: asyncio.Task[None] | None = None

    def begin(self, run: Ingestion) -> None:
        """Show the stages of this run."""
        self._run = run

    def end(self, summary: RunSummary) -> None:
        """Show the outcome in the end."""
        self._summary = summary
        if summary.nothing_to_do:
            self._tally.state = "nothing to do"

    def take(self, events: Sequence[PipelineEvent]) -> None:
        """Count a list of events, and draw the panel if that is due."""
        self._errors += self._tally.take(events)
        if self._clock() - self._drawn >= self._every:
            self.draw()

    def draw(self, state: str = "") -> None:
        """Draw the panel now. If the notebook refuses it, the run goes on without."""
        self._drawn = self._clock()
        state = state or self._tally.state
        text = f"{self._name}: {state}: {self._line()}"
        with suppress(Exception):  # a view must not end a run: the kernel may have lost its notebook
            self._display.show(form(*self._parts(state)), text)

    def _line(self) -> str:
        if self._summary is None:
            return summary_line(self._tally)
        counts, took = self._summary.session, self._summary.duration
        done = counts["completed"] + counts["failed"]
        rate = f", {count(done / took)} docs/s" if done and took else ""
        return f"{', '.join(f'{count(counts[k])} {k}' for k in SHOWN_COUNTS)} in {duration(took)}{rate}"

    def _parts(self, state: str) -> list[str]:
        tally = self._tally
        parts = [title(f"{self._name}: {state}", self._line())]
        if tally.total and self._summary is None:
            parts.append(bar(tally.settled, tally.failed, tally.total))
        parts += [
            note(f"{one.doc_id or 'a record without an id'}: {one.error}", bad=True) for one in self._errors
        ]
        if (more := tally.failed - len(self._errors)) > 0 and self._errors:
            parts.append(note(f"{count(more)} documents failed before these"))
        statistics = self._run.statistics() if self._run is not None else None
        if statistics is not None and statistics.stages:
            shut = "" if self._summary is None else "<details><summary>stages</summary>"
            parts.append(shut + statistics.html() + ("</details>" if shut else ""))
        return parts

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(2 * self._every)
            if self._clock() - self._drawn >= 2 * self._every:
                self.draw()

    async def __aenter__(self) -> Self:
        self.draw()
        self._ticks = asyncio.create_task(self._tick(), name="penstock panel")
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._ticks is not None:
            self._ticks.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticks
        if error is None:
            self.draw()
        else:
            is_interrupt = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
            self.draw("interrupted" if is_interrupt else f"failed: {type(error).__name__}: {error}")
