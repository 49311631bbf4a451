"""A ledger that forgets with its object: for notebooks and tests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penstock.abc import Commit, DeadLetter, Ledger, Opened
from penstock.errors import LedgerError
from penstock.ledger.records import SETTLED, check_commit, parse_json, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from penstock.abc import DocumentState, Standing

__all__ = ["MemoryLedger"]


@dataclass(slots=True)
class _Book:
    """Everything about one key."""

    run: int = 0
    epoch: int = 0
    started_at: float = 0.0
    running: bool = False
    last: tuple[int, str, str, str] | None = None
    """Run, position, record and counts of the last true commit, as JSON."""
    states: dict[str, DocumentState] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)
    """The hash that each document last completed or was deleted with, as of the start of the run."""
    settled_now: dict[str, str] = field(default_factory=dict)
    """The same, of this run only."""
    touched: dict[str, None] = field(default_factory=dict)
    """The documents that this run has committed."""
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    pending: dict[int, tuple[tuple[int, str, str, str], Commit]] = field(default_factory=dict)


class MemoryLedger(Ledger):
    """Keeps the promises of a ledger in memory; what it knows lives as long as the object.

    ``aclose`` ends the session, as the end of a process would; a later ``open`` finds what was committed.
    """

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._open: set[str] = set()

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """See ``Ledger.open``; raises nothing."""
        book = self._books.setdefault(key, _Book())
        resumed = book.running and not restart
        if restart:
            book = self._books[key] = _Book(run=book.run)
        if not resumed:
            book.run, book.started_at, book.running = book.run + 1, time.time(), True
            book.settled |= book.settled_now
            book.settled_now, book.touched = {}, {}
        self._open.add(key)
        run, position, record, counts = book.last or (0, "null", "null", "{}")
        return Opened(
            run=book.run,
            epoch=book.epoch,
            position=parse_json(position),
            record=parse_json(record),
            counts=parse_json(counts) if run == book.run else {},
            resumed=resumed,
            started_at=book.started_at,
        )

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``; a deleted document counts like a completed one, an empty hash never."""
        return [standing == "unchanged" for standing in await self.compare(key, documents)]

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        settled = self._book(key).settled
        return [_standing(settled.get(doc_id), digest) for doc_id, digest in documents]

    async def revised(self, key: str) -> AsyncIterator[list[str]]:
        """See ``Ledger.revised``."""
        book = self._book(key)
        yield [doc_id for doc_id in book.touched if doc_id in book.settled]

    async def commit(self, key: str, commit: Commit) -> None:
        """See ``Ledger.commit``; raises ``LedgerError`` and ``PositionError`` as ``SqliteLedger`` does."""
        book = self._book(key)
        check_commit(key, commit.epoch, last=book.epoch, pending=sorted(book.pending), states=commit.states)
        _apply(book, _written(book.run, key, commit), commit)

    async def pending(self, key: str, commit: Commit) -> None:
        """See ``Ledger.pending``; replaces pending commits of the same and later epochs."""
        book = self._book(key)
        check_commit(key, commit.epoch, last=book.epoch, pending=(), states=commit.states)
        written = _written(book.run, key, commit)
        kept = replace(
            commit,
            states=tuple(commit.states),
            dead_letters=tuple(commit.dead_letters),
            resolved=tuple(commit.resolved),
        )
        book.pending = {e: p for e, p in book.pending.items() if e < commit.epoch}
        book.pending[commit.epoch] = (written, kept)

    async def confirm(self, key: str, epoch: int) -> None:
        """See ``Ledger.confirm``; does nothing if nothing is pending."""
        book = self._book(key)
        for number in sorted(book.pending):
            if number <= epoch:
                _apply(book, *book.pending[number])
        book.pending = {}

    async def finish(self, key: str, state: str) -> None:
        """See ``Ledger.finish``; ``key`` must be opened again afterwards."""
        if state != "completed":
            raise ValueError(
                f"a run is finished as 'completed', not as {state!r}; leave an interrupted one unfinished"
            )
        book = self._book(key)
        if book.pending:
            raise LedgerError(
                f"epoch {min(book.pending)} of {key!r} is still pending; "
                "confirm up to some epoch before finish"
            )
        book.running = False
        self._open.discard(key)

    async def states(self, key: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """Return the latest state of each document, ``None`` where there is none."""
        states = self._book(key).states
        return [states.get(doc_id) for doc_id in doc_ids]

    async def tally(self, key: str) -> dict[str, int]:
        """Return how many documents of all runs are in each status now."""
        counts: dict[str, int] = {}
        for state in self._book(key).states.values():
            counts[state.status] = counts.get(state.status, 0) + 1
        return counts

    async def count_dead_letters(self, key: str) -> int:
        """Return how many dead letters are unresolved."""
        return len(self._book(key).letters)

    async def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield the unresolved dead letters, oldest first."""
        for letter in list(self._book(key).letters.values()):
            yield letter

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """See ``Ledger.drop_dead_letters``."""
        book = self._books.get(key, _Book())
        dropped = [name for name in book.letters if records is None or name in records]
        for name in dropped:
            del book.letters[name]
        return len(dropped)

    async def aclose(self) -> None:
        """End the session. Idempotent."""
        self._open.clear()

    def _book(self, key: str) -> _Book:
        if key not in self._open:
            raise LedgerError(f"the ledger in memory is not open for {key!r}; await open({key!r}) first")
        return self._books[key]


def _standing(known: str | None, digest: str) -> Standing:
    if known is None:
        return "new"
    return "unchanged" if digest and known == digest else "changed"


def _written(run: int, key: str, commit: Commit) -> tuple[int, str, str, str]:
    return (
        run,
        to_json(commit.position, f"the position of {key!r}"),
        to_json(commit.record, f"the sink's record of {key!r}"),
        to_json(commit.counts, f"the counts of {key!r}"),
    )


def _apply(book: _Book, written: tuple[int, str, str, str], commit: Commit) -> None:
    book.epoch, book.last = commit.epoch, written
    for state in commit.states:
        book.states[state.doc_id] = replace(state)
        book.touched[state.doc_id] = None
        if state.status in SETTLED:
            book.settled_now[state.doc_id] = state.content_hash
    for letter in commit.dead_letters:
        book.letters.pop(letter.key, None)
        book.letters[letter.key] = replace(letter)
    for key in commit.resolved:
        book.letters.pop(key, None)
    done = {s.doc_id for s in commit.states if book.states[s.doc_id].status in SETTLED}
    book.letters = {k: v for k, v in book.letters.items() if v.doc_id is None or v.doc_id not in done}
