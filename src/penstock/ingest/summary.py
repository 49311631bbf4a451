"""The summary of a run: the counts of the logical run, which positions hold, and those of this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.documents.counts import Counts
from penstock.documents.letters import letter_of, state_of
from penstock.documents.state import EventStageState
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.ingest.delivery import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Position
    from penstock.document import Document

COUNTED = (
    "completed", "failed", "skipped", "deleted", "retried", "new", "changed", "unchanged"
)  # fmt: skip
"""The counts that a rich form shows, if they are not 0."""

SHOWN = 10
"""How many failures a rich form names."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The outcome of a run.

    ``counts`` are those of the whole logical run, ``session`` those of this process (also ``retried``).
    ``new``, ``changed`` (since an earlier run) and ``deleted`` (tombstones) documents are among the
    ``completed`` ones, ``unchanged`` ones among the ``skipped`` ones.
    ``duration`` (seconds) and ``bytes_read`` (of raw records) are those of this process. ``state`` is
    ``completed`` or ``cancelled``: a run that fails raises its exception. ``limited`` means that the run
    completed because it processed as many documents as ``limit``. ``warning`` reports that the number of
    documents is not the one that the source promised, or is 0.
    """

    pipeline_id: str
    key: str
    run: int
    state: str
    counts: dict[str, int]
    session: dict[str, int]
    duration: float
    bytes_read: int
    resumed: bool
    nothing_to_do: bool
    sink: str | None
    ledger: str | None
    limited: bool = False
    reason: str | None = None
    warning: str | None = None

    def standing(self, *, resumes: bool) -> str:
        """Return where an interrupted run stands, and what the same call does next."""
        done = f"{self.session['completed']:,} documents completed, {self.session['failed']:,} failed"
        how = "resumes there" if resumes else "starts again: there is no ledger"
        return f"The run {self.key!r} was interrupted and closed: {done}. The same call {how}."

    def html(self) -> str:
        """Return the outcome for a rich form: what a person asks first, then the counts."""
        from penstock.notebook.forms import facts, note, table, title
        from penstock.text import count, duration, size

        state = "nothing to do" if self.nothing_to_do else self.state
        took = f"{size(self.bytes_read)} of records in {duration(self.duration)}"
        resumed = " (resumed)" if self.resumed else ""
        states = [name for name in COUNTED if self.counts.get(name) or self.session.get(name)]
        rows = [(name, count(self.session.get(name, 0)), count(self.counts.get(name, 0))) for name in states]
        places = [("output", self.sink), ("ledger", self.ledger), ("run", f"{self.run}{resumed}")]
        parts = [title(f"{self.key}: {state}", took)]
        parts += [note(self.warning, bad=True)] if self.warning else []
        parts += [note(self.reason)] if self.reason and not self.warning else []
        parts += [table(["documents", "this time", "whole run"], rows)] if rows else []
        return "".join([*parts, facts((name, value) for name, value in places if value)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle

        return bundle(repr(self), self.html())


@dataclass(frozen=True, slots=True, repr=False)
class IngestionResult:
    """All documents and failures of a run, in memory: O(n)."""

    documents: list[Document]
    failures: list[DocumentFailed]
    summary: RunSummary

    def __repr__(self) -> str:
        counts = f"{len(self.documents):,} documents, {len(self.failures):,} failures"
        return f"<IngestionResult: {counts}, {self.summary.state}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle, note

        failed = [f"{one.doc_id or 'a record without an id'}: {one.error}" for one in self.failures]
        more = [note(f"{len(failed) - SHOWN:,} more failures")] if len(failed) > SHOWN else []
        errors = [note(one, bad=True) for one in failed[:SHOWN]]
        return bundle(repr(self), self.summary.html(), *errors, *more)


class Summary:
    """Counts the events of a run, and reads what the sink and the ledger need from them."""

    def __init__(self) -> None:
        self.state = "running"
        """The state that the last ``AdapterStateChange`` announced."""
        self.reason: str | None = None
        self.limited = False
        self.counts = Counts().summary()
        """Of the logical run, at the position that was read last."""
        self._before = self.counts  # of the logical run, when this process began with it
        self._session = dict.fromkeys(("started", "completed", "failed", "skipped", "deleted", "retried"), 0)

    def resume(self, position: Position) -> None:
        """Begin with the counts of an interrupted run."""
        self.read_position(position)
        self._before = self.counts

    def read_position(self, position: Position) -> None:
        """Take the counts of the logical run from a position."""
        state = EventStageState.in_position(position)
        self.counts, self.limited = state.counts.summary(), state.limited

    def reset(self) -> None:
        """Reset the counts to 0: no record arrived, and the position holds the counts of the run before."""
        self.counts = self._before = Counts().summary()

    def read(self, events: Sequence[PipelineEvent]) -> Batch:
        """Count events; return documents for the sink, and states and dead letters for the ledger."""
        batch, session = Batch(), self._session
        for event in events:
            if isinstance(event, DocumentCompleted):
                batch.documents.append(event.document)
                batch.states.append(state_of(event))
                session["completed"] += 1
                session["deleted"] += event.document.deleted
            elif isinstance(event, DocumentFailed):
                if event.will_retry:
                    session["retried"] += 1
                    batch.others = True
                    continue
                session["failed"] += 1
                state, letter = letter_of(event)
                batch.states.append(state)
                batch.dead.append(letter)
            elif isinstance(event, DocumentStarted):
                batch.others = True
            elif isinstance(event, AdapterStateChange):
                self._change(event)
            elif isinstance(event, BatchProgress):
                session["skipped"] = event.skipped - self._before["skipped"]
                batch.others = batch.others or session["skipped"] > 0
        return batch

    def _change(self, event: AdapterStateChange) -> None:
        self.state, self.reason = event.new_state, event.reason
        if event.old_state == "completed" and not self.limited:  # the next logical run counts from 0
            self._before = Counts().summary()

    def session(self) -> dict[str, int]:
        """Return the counts of this process."""
        session, counts, before = self._session, self.counts, self._before
        session["started"] = session["completed"] + session["failed"]
        return session | {name: counts[name] - before[name] for name in ("new", "changed", "unchanged")}
