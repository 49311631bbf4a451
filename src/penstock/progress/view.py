"""Views of the progress of a run: plain lines for logs, silence, and what all views share.

Each view is a hook of the pipeline: it gets the same events as every other hook. `progress/bar.py` has the
view for a terminal.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
)
from penstock.text import count, duration, percent, put, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self, TextIO

    from penstock.events import PipelineEvent

SHOWN_FAILURES = 5
"""This many failed documents are named during a run; the ledger keeps all of them."""

_LINE = 160


class Tally:
    """Counts of the logical run.

    Each ``BatchProgress`` sets them. Between two of these, documents are counted one by one.
    """

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.skipped = 0
        self.total: int | None = None
        self.rate = 0.0
        self.eta: float | None = None
        self.state = "starting"

    @property
    def settled(self) -> int:
        """Documents that are completed, failed or skipped."""
        return self.completed + self.failed + self.skipped

    def take(self, events: Sequence[PipelineEvent]) -> list[DocumentFailed]:
        """Count ``events``; return the failures that are final."""
        failures: list[DocumentFailed] = []
        if events and self.state == "starting":  # a resumed run sends no "running"
            self.state = "running"
        for event in events:
            kind = type(event)
            if (
                kind is DocumentStarted
            ):  # the two kinds that are many come first: this loop is the view's cost
                continue
            if kind is DocumentCompleted:
                self.completed += 1
            elif isinstance(event, DocumentFailed):
                if not event.will_retry:
                    self.failed += 1
                    failures.append(event)
            elif isinstance(event, BatchProgress):
                self._set(event)
            elif isinstance(event, AdapterStateChange):
                self.state = event.new_state
        return failures

    def _set(self, progress: BatchProgress) -> None:
        self.completed, self.failed, self.skipped = progress.completed, progress.failed, progress.skipped
        self.total, self.rate, self.eta = progress.estimated_total, progress.rate, progress.eta_seconds


def summary_line(tally: Tally) -> str:
    """Return the counts for a plain line: ``1,200 done, 2 failed, 0 skipped, …``."""
    parts = [
        f"{count(tally.completed)} done",
        f"{count(tally.failed)} failed",
        f"{count(tally.skipped)} skipped",
    ]
    if tally.rate:
        parts.append(f"{count(tally.rate)} docs/s")
    if tally.total:
        parts.append(f"{percent(tally.settled, tally.total)} % of {count(tally.total)}")
    if tally.eta is not None:
        parts.append(f"{duration(tally.eta)} left")
    return ", ".join(parts)


class ProgressView:
    """A hook that shows a run inside a ``with`` block."""

    def __init__(self, stream: TextIO) -> None:
        self.tally = Tally()
        self._stream = stream
        self._shown = 0

    def __call__(self, events: Sequence[PipelineEvent]) -> None:
        """Count and show a list of events."""
        before = self.tally.state
        for failure in self.tally.take(events):
            self._name(failure)
        self.update(state_changed=self.tally.state != before)

    def _name(self, failure: DocumentFailed) -> None:
        if self._shown < SHOWN_FAILURES:
            who = failure.doc_id or "a record without an id"
            self.say(shorten(f"failed: {who}: {failure.error}", _LINE))
        elif self._shown == SHOWN_FAILURES:
            self.say("more documents failed; the ledger has all of them")
        self._shown += 1

    def update(self, *, state_changed: bool) -> None:
        """Show the tally if an update is due; by default do nothing."""

    def say(self, line: str) -> None:
        """Show one line, which must be clean, permanently."""
        put(self._stream, f"penstock: {line}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Remove the display, but not the lines of ``say``."""
        return


class SilentProgress(ProgressView):
    """Shows no progress, only the lines of ``say``."""

    def _name(self, failure: DocumentFailed) -> None:
        """Do nothing: the receipt counts failed documents."""


class PlainProgress(ProgressView):
    """Writes a line at most every ``every`` seconds, and less often in a long run.

    After 100 seconds the interval is a twentieth of the elapsed time: the log of an hour has about a
    hundred lines.
    """

    def __init__(
        self, stream: TextIO, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._every = every
        self._clock = clock
        self._started = self._last = clock()

    def update(self, *, state_changed: bool) -> None:
        """Write a line if the interval has passed, or if the adapter is retrying."""
        now = self._clock()
        interval = max(self._every, (now - self._started) / 20)
        retrying = state_changed and self.tally.state == "retrying"
        if retrying or now - self._last >= interval:
            self._last = now
            self.say(("retrying: " if retrying else "") + summary_line(self.tally))


def is_live_terminal(stream: TextIO, term: str | None) -> bool:
    """Whether a bar can be drawn on ``stream``; ``term`` is the variable TERM."""
    return stream.isatty() and term not in {"dumb", "unknown"}
