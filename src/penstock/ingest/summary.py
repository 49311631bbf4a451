"""The sums of an ingestion: of the logical run, which positions hold, and of this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.abc import DeadLetter, DocumentState
from penstock.documents.counts import Counts
from penstock.documents.letters import letter_of
from penstock.documents.state import EventStageState
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Position
    from penstock.document import Document

__all__ = ["RunSummary", "Sums"]

COUNTS = ("started", "completed", "failed", "skipped", "deleted")
FRESHNESS = ("new", "changed", "unchanged")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    ``counts`` are sums of the whole logical run, ``session`` those of this process (also ``retried``):
    of the ``completed`` documents those that were ``new``, had ``changed`` since an earlier run, or are
    ``deleted`` (tombstones); of the ``skipped`` ones those that were ``unchanged``.
    ``duration`` is in seconds and ``bytes_read`` counts raw records, both of this process. ``state`` is
    ``completed`` or ``cancelled``: a run that fails raises its exception. ``limited`` says that it
    completed because as many documents were processed as were asked for. ``warning`` says that the number of
    documents is not the one that the source promised, or that there was none at all.
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


class Sums:
    """Counts events, and takes from them what the sink and the ledger need."""

    def __init__(self) -> None:
        self.state = "running"
        """The last state of the adapter that an event told."""
        self.reason: str | None = None
        self.limited = False
        self.counts: dict[str, int] = Counts().summary()
        """Of the logical run, as the last position that was read has them."""
        self._session: dict[str, int] = dict.fromkeys((*COUNTS, "retried"), 0)
        self._counts_before: dict[str, int] = {}
        self._skipped_before = 0

    def go_on_from(self, position: Position) -> None:
        """Take the sums with which an interrupted run is taken up."""
        self.read(position)
        self._skipped_before, self._counts_before = self.counts["skipped"], self.counts

    def read(self, position: Position) -> None:
        """Take the sums of the logical run from the position that they belong to."""
        state = EventStageState.in_position(position)
        self.counts, self.limited = state.counts.summary(), state.limited

    def forget(self) -> None:
        """Be of a run in which nothing has come; the sums in its position are those of the run before."""
        self.counts, self._counts_before = Counts().summary(), {}

    def add(
        self, events: Sequence[PipelineEvent]
    ) -> tuple[list[Document], list[DocumentState], list[DeadLetter]]:
        """Count events; return the documents for the sink, and states and dead letters for the ledger."""
        documents: list[Document] = []
        states: list[DocumentState] = []
        dead: list[DeadLetter] = []
        session = self._session
        for event in events:
            kind = type(event)
            if kind is DocumentCompleted:
                document = event.document  # type: ignore[attr-defined]
                tries = 1 + event.retry_count  # type: ignore[attr-defined]
                status = "deleted" if document.deleted else "completed"
                documents.append(document)
                states.append(DocumentState(document.doc_id, status, document.content_hash, tries))
                session["completed"] += 1
                session["deleted"] += document.deleted
            elif isinstance(event, DocumentFailed):
                if event.will_retry:
                    session["retried"] += 1
                    continue
                session["failed"] += 1
                state, letter = letter_of(event)
                states.append(state)
                dead.append(letter)
            elif isinstance(event, AdapterStateChange):
                self._change(event)
            elif isinstance(event, BatchProgress):
                session["skipped"] = event.skipped - self._skipped_before
        return documents, states, dead

    def _change(self, event: AdapterStateChange) -> None:
        self.state, self.reason = event.new_state, event.reason
        if event.old_state == "completed" and not self.limited:  # the next logical run counts from 0
            self._skipped_before, self._counts_before = 0, {}

    def session(self) -> dict[str, int]:
        """Return the counts of this process."""
        session, before = self._session, self._counts_before
        session["started"] = session["completed"] + session["failed"]
        return session | {name: self.counts[name] - before.get(name, 0) for name in FRESHNESS}
