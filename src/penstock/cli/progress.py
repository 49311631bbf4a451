"""How a run looks while it goes: a live bar on a terminal, a plain line now and then elsewhere.

Both are hooks of the pipeline: they are fed the events that everybody gets, and nothing else.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from penstock.cli.text import count, duration, percent, put, shorten
from penstock.events import AdapterStateChange, BatchProgress, DocumentCompleted, DocumentFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self, TextIO

    from penstock.events import PipelineEvent

__all__ = ["PlainProgress", "ProgressFace", "SilentProgress", "Tally", "is_live_terminal", "summary_line"]

SHOWN_FAILURES = 5
"""So many failed documents are named while the run goes; the ledger keeps them all."""

_LINE = 160


class Tally:
    """Sums of the logical run, as far as the events have told.

    ``BatchProgress`` sets them; between two of those, documents are counted one by one.
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
        """Documents that need no more work."""
        return self.completed + self.failed + self.skipped

    def take(self, events: Sequence[PipelineEvent]) -> list[DocumentFailed]:
        """Count ``events``; return the documents among them that failed for good."""
        failures: list[DocumentFailed] = []
        if events and self.state == "starting":  # a run that goes on says no more that it is running
            self.state = "running"
        for event in events:
            if isinstance(event, DocumentCompleted):
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
    """Return the sums as words, for a plain line: ``1,200 done, 2 failed, 0 skipped, …``."""
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


class ProgressFace(ABC):
    """A hook that shows a run, between ``with face:`` and its end."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._shown = 0

    def __call__(self, events: Sequence[PipelineEvent]) -> None:
        """Take a list of events, as every hook does."""
        before = self.tally.state
        for failure in self.tally.take(events):
            self._name(failure)
        self.update(state_changed=self.tally.state != before)

    def _name(self, failure: DocumentFailed) -> None:
        if self._shown < SHOWN_FAILURES:
            who = failure.doc_id or "a record without an id"
            self.say(shorten(f"failed: {who}: {failure.error}", _LINE))
        elif self._shown == SHOWN_FAILURES:
            self.say("further failures are kept in the ledger without being shown here")
        self._shown += 1

    @abstractmethod
    def update(self, *, state_changed: bool) -> None:
        """Show the tally, if it is time to."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Show one line of text that stays, whatever else is on display. It must be clean already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Take the display down; what stays is what ``say`` said."""
        return


class SilentProgress(ProgressFace):
    """Shows nothing of how it goes, but still says what must be said."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def _name(self, failure: DocumentFailed) -> None:
        """Leave failed documents to the receipt."""

    def update(self, *, state_changed: bool) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Write the line."""
        put(self._stream, f"penstock: {line}")


class PlainProgress(ProgressFace):
    """One line at most every ``every`` seconds, more and more rarely as the run grows long.

    After a minute and forty seconds the interval is a twentieth of the time that has passed, so that the
    log of an hour has about a hundred lines.
    """

    def __init__(
        self, stream: TextIO, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._stream = stream
        self._every = every
        self._clock = clock
        self._started = self._last = clock()

    def update(self, *, state_changed: bool) -> None:
        """Write a line if the last one is long enough ago, or if the adapter waits to try again."""
        now = self._clock()
        interval = max(self._every, (now - self._started) / 20)
        retrying = state_changed and self.tally.state == "retrying"
        if retrying or now - self._last >= interval:
            self._last = now
            self.say(("retrying: " if retrying else "") + summary_line(self.tally))

    def say(self, line: str) -> None:
        """Write the line."""
        put(self._stream, f"penstock: {line}")


def is_live_terminal(stream: TextIO, term: str | None) -> bool:
    """Say whether a bar can be drawn on ``stream``; ``term`` is the variable TERM."""
    return stream.isatty() and term not in {"dumb", "unknown"}
