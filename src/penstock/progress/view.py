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
from penstock.progress.waits import Waits
from penstock.text import clean, count, duration, percent, put, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self, TextIO

    from penstock.events import PipelineEvent
    from penstock.statistics import Statistics

ENDED = frozenset({"completed", "failed", "cancelled"})
"""The states of a source that has ended."""

SHOWN_FAILURES = 5
"""This many failed documents are named at once; the ledger keeps all of them."""

_BETWEEN_FAILURES = 10.0
"""Seconds from one line about failed documents to the next, after these."""

_LINE = 160
_REASON = 90


class Tally:
    """Counts of the logical run of one source.

    Each ``BatchProgress`` sets them. Between two of these, documents are counted one by one.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.completed = 0
        self.failed = 0
        self.skipped = 0
        self.total: int | None = None
        self.rate = 0.0
        self.eta: float | None = None
        self.state = "starting"
        self.reason = ""
        """Why the source retries, and how long it waits; empty in every other state."""
        self._waiting: set[str | None] = set()

    @property
    def settled(self) -> int:
        """Documents that are completed, failed or skipped."""
        return self.completed + self.failed + self.skipped

    @property
    def retrying(self) -> int:
        """Documents that failed and are tried again."""
        return len(self._waiting)

    def take(self, events: Sequence[PipelineEvent]) -> list[DocumentFailed]:
        """Count ``events``; return the failures that are final."""
        failures: list[DocumentFailed] = []
        waiting = self._waiting
        if events and self.state == "starting":  # a resumed run sends no "running"
            self.state = "running"
        for event in events:
            kind = type(event)
            if kind is DocumentStarted:  # what is frequent comes first: this loop is the cost of the view
                continue
            if kind is DocumentCompleted:
                self.completed += 1
                if waiting:
                    waiting.discard(event.doc_id)  # type: ignore[attr-defined]
            elif isinstance(event, DocumentFailed):
                if event.will_retry:
                    waiting.add(event.doc_id)
                else:
                    self.failed += 1
                    waiting.discard(event.doc_id)
                    failures.append(event)
            elif isinstance(event, BatchProgress):
                self._set(event)
            elif isinstance(event, AdapterStateChange):
                self._change(event)
        return failures

    def _set(self, progress: BatchProgress) -> None:
        self.completed, self.failed, self.skipped = progress.completed, progress.failed, progress.skipped
        self.total, self.rate, self.eta = progress.estimated_total, progress.rate, progress.eta_seconds

    def _change(self, event: AdapterStateChange) -> None:
        self.state = event.new_state
        self.reason = shorten(clean(event.reason or ""), _REASON) if event.new_state == "retrying" else ""
        if event.new_state in ENDED:
            self.rate, self.eta = 0.0, None
            self._waiting.clear()

    @classmethod
    def sum(cls, tallies: Sequence[Tally]) -> Tally:
        """Return the sums over several sources. They end when the last one does."""
        found = cls("total")
        found.completed = sum(one.completed for one in tallies)
        found.failed = sum(one.failed for one in tallies)
        found.skipped = sum(one.skipped for one in tallies)
        found.rate = sum(one.rate for one in tallies)
        found._waiting = {f"{n} {id_}" for n, one in enumerate(tallies) for id_ in one._waiting}  # noqa: SLF001
        totals = [one.total for one in tallies]
        found.total = None if None in totals else sum(total for total in totals if total is not None)
        found.eta = max((one.eta for one in tallies if one.eta is not None), default=None)
        found.state = next((one.state for one in tallies if one.state not in ENDED), "completed")
        found.reason = next((one.reason for one in tallies if one.reason and one.state == found.state), "")
        return found


def summary_line(tally: Tally) -> str:
    """Return the counts for a plain line: ``1,200 done, 2 failed, 0 skipped, …``."""
    parts = [
        f"{count(tally.completed)} done",
        f"{count(tally.failed)} failed",
        f"{count(tally.skipped)} skipped",
    ]
    if tally.retrying:
        parts.append(f"{count(tally.retrying)} retrying")
    if tally.rate:
        parts.append(f"{count(tally.rate)} docs/s")
    if tally.total:
        parts.append(f"{percent(tally.settled, tally.total)} % of {count(tally.total)}")
    if tally.eta is not None:
        parts.append(f"{duration(tally.eta)} left")
    return ", ".join(parts)


class ProgressView:
    """A hook that shows runs inside a ``with`` block. Each list of events that it gets is of one run."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.sources: dict[str, Tally] = {}
        """The sources by their ``pipeline_id``, in the order in which they began."""
        self._stream = stream
        self._clock = clock
        self._waits: Waits | None = None
        self._shown = 0
        self._unnamed = 0
        self._named_at = 0.0

    @property
    def tally(self) -> Tally:
        """The counts of all sources together."""
        found = [*self.sources.values()]
        return found[0] if len(found) == 1 else Tally.sum(found) if found else Tally()

    def watch(self, statistics: Callable[[], Statistics]) -> None:
        """Show which stage the run waits for. ``statistics`` may be called in another thread."""
        self._waits = Waits(statistics, self._clock)

    def waits_for(self) -> str | None:
        """Return the stage that the run waits for, in words; ``None`` if it is not known."""
        return None if self._waits is None else self._waits.look()

    def __call__(self, events: Sequence[PipelineEvent]) -> None:
        """Count and show a list of events."""
        if not events:
            return
        tally = self.sources.get(events[0].pipeline_id) or self._begin(events)
        before = tally.state
        for failure in tally.take(events):
            self._name(failure)
        self.update(state_changed=tally.state != before)

    def _begin(self, events: Sequence[PipelineEvent]) -> Tally:
        names = (getattr(event, "adapter", None) for event in events)
        tally = Tally(clean(next((name for name in names if name), "")))
        self.sources[events[0].pipeline_id] = tally
        return tally

    def _name(self, failure: DocumentFailed) -> None:
        self._shown += 1
        if self._shown == SHOWN_FAILURES + 1:
            self.say("more documents failed; the ledger has all of them")
        if self._shown > SHOWN_FAILURES:
            self._unnamed += 1
            if self._clock() - self._named_at < _BETWEEN_FAILURES:
                return
        more = f" ({count(self._unnamed - 1)} more before it)" if self._unnamed > 1 else ""
        who = failure.doc_id or "a record without an id"
        self._unnamed, self._named_at = 0, self._clock()
        self.say(shorten(f"failed{more}: {who}: {failure.error}", _LINE))

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
        super().__init__(stream, clock=clock)
        self._every = every
        self._started = self._last = clock()

    def update(self, *, state_changed: bool) -> None:
        """Write a line if the interval has passed, or if the adapter is retrying."""
        now = self._clock()
        interval = max(self._every, (now - self._started) / 20)
        retrying = state_changed and self.tally.state == "retrying"
        if retrying or now - self._last >= interval:
            self._last = now
            waits = self.waits_for()
            why = f"retrying, {self.tally.reason}: " if self.tally.reason else "retrying: "
            self.say(
                (why if retrying else "")
                + summary_line(self.tally)
                + (f", waits for {waits}" if waits else "")
            )


def is_live_terminal(stream: TextIO, term: str | None) -> bool:
    """Whether a bar can be drawn on ``stream``; ``term`` is the variable TERM."""
    return stream.isatty() and term not in {"dumb", "unknown"}
