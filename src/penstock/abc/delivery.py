"""What sinks and ledgers are told of documents and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from penstock.abc.runs import JSON, Position

DEADLY: Final = "penstock_killed_workers"
"""In the context of the letter of a record that killed the processes that parsed it: how many."""


@dataclass(slots=True)
class DocumentState:
    """The outcome of one document; ``status`` is ``completed``, ``failed`` or ``deleted``."""

    doc_id: str
    status: str
    content_hash: str
    attempts: int = 1
    error: str | None = None
    error_type: str | None = None


@dataclass(slots=True)
class DeadLetter:
    """A document that failed for good, with all that a replay needs."""

    doc_id: str | None
    key: str
    adapter: str
    error: str
    error_type: str
    raw: bytes
    context: dict[str, Any] = field(default_factory=dict)
    traceback: str | None = None
    attempts: int = 1
    timestamp: float = 0.0


@dataclass(slots=True)
class Commit:
    """All that a ledger stores in one transaction.

    ``record`` is the result of the sink's ``commit``; with it the sink can be opened at this point again.
    ``counts`` are totals of the logical run: ``started``, ``completed``, ``failed``, ``skipped``,
    ``deleted``. ``resolved`` are the keys of records whose dead letters are resolved. Documents in ``states``
    that did not fail need not be listed there.
    """

    epoch: int
    position: Position
    states: Sequence[DocumentState] = ()
    dead_letters: Sequence[DeadLetter] = ()
    record: JSON = None
    counts: dict[str, int] = field(default_factory=dict)
    resolved: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """What a ledger knows about a key when a run starts.

    ``run`` is the number of the logical run: a resumed run keeps it, and a new one gets the next number.
    ``position`` and ``record`` are those of the last commit, even of an earlier logical run; ``None`` if
    there was no commit. ``counts`` are totals of this logical run, empty at its start. ``started_at`` is Unix
    time.
    """

    run: int
    epoch: int
    position: Position | None
    record: JSON
    counts: dict[str, int]
    resumed: bool
    started_at: float
