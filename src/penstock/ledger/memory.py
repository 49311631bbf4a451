"""A ledger in memory, which is gone with its object: for notebooks and tests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penstock.abc import Commit, DeadLetter, Ledger, Opened
from penstock.errors import LedgerError
from penstock.ledger.records import (
    SETTLED,
    check_commit,
    check_completed,
    check_nothing_pending,
    commit_texts,
    parse_json,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from penstock.abc import DocumentState, Standing


@dataclass(slots=True)
class _Entry:
    """What the ledger knows about one key."""

    run: int = 0
    epoch: int = 0
    started_at: float = 0.0
    running: bool = False
    last: tuple[int, str, str, str] | None = None
    """Run, position, record and counts of the last confirmed commit, as JSON."""
    states: dict[str, DocumentState] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)
    """The hash of each document when it was last completed or deleted, as of the start of the run."""
    settled_now: dict[str, str] = field(default_factory=dict)
    """The same for this run only."""
    touched: dict[str, None] = field(default_factory=dict)
    """The documents that this run has committed, in order."""
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    pending: dict[int, tuple[tuple[int, str, str, str], Commit]] = field(default_factory=dict)


class MemoryLedger(Ledger):
    """Keeps runs, commits, document states and dead letters in memory, as long as the object lives.

    ``aclose`` ends the session like the end of a process; a later ``open`` finds what was committed.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._open: set[str] = set()
        self._begun: dict[str, _Entry | None] = {}
        """The keys whose run began here and has no documents yet, each as it was before; ``None`` if new."""

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """See ``Ledger.open``; raises nothing."""
        self._note(key, restart=restart)
        entry = self._entries.setdefault(key, _Entry())
        resumed = entry.running and not restart
        if restart:
            entry = self._entries[key] = _Entry(run=entry.run)
        if not resumed:
            entry.run, entry.started_at, entry.running = entry.run + 1, time.time(), True
            entry.settled |= entry.settled_now
            entry.settled_now, entry.touched = {}, {}
        self._open.add(key)
        run, position, record, counts = entry.last or (0, "null", "null", "{}")
        return Opened(
            run=entry.run,
            epoch=entry.epoch,
            position=parse_json(position),
            record=parse_json(record),
            counts=parse_json(counts) if run == entry.run else {},
            resumed=resumed,
            started_at=entry.started_at,
        )

    def _note(self, key: str, *, restart: bool) -> None:
        """Note how ``key`` was before a run of it begins."""
        known = self._entries.get(key)
        if known is None or not (known.running or restart):
            self._begun[key] = None if known is None else replace(known)
        elif restart and self._begun.get(key, known) is not None:  # what it was is forgotten
            self._begun.pop(key, None)

    async def undo_open(self, key: str) -> None:
        """See ``Ledger.undo_open``."""
        if key not in self._open or key not in self._begun:
            return
        before = self._begun.pop(key)
        self._open.discard(key)
        if before is None:
            del self._entries[key]
        else:
            self._entries[key] = before

    def _takes(self, key: str, commit: Commit) -> None:
        """Note that a commit comes: with documents, the run is there to stay."""
        if commit.states or commit.dead_letters or commit.resolved:
            self._begun.pop(key, None)

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``; a deleted document counts like a completed one, an empty hash never."""
        return [standing == "unchanged" for standing in await self.compare(key, documents)]

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        settled = self._opened(key).settled
        return [_standing(settled.get(doc_id), digest) for doc_id, digest in documents]

    async def revised(self, key: str) -> AsyncIterator[list[str]]:
        """See ``Ledger.revised``."""
        entry = self._opened(key)
        yield [doc_id for doc_id in entry.touched if doc_id in entry.settled]

    async def commit(self, key: str, commit: Commit) -> None:
        """See ``Ledger.commit``; raises ``LedgerError`` and ``PositionError`` as ``SqliteLedger`` does."""
        entry = self._opened(key)
        check_commit(key, commit.epoch, last=entry.epoch, pending=sorted(entry.pending), states=commit.states)
        self._takes(key, commit)
        _apply(entry, (entry.run, *commit_texts(key, commit)), commit)

    async def pending(self, key: str, commit: Commit) -> None:
        """See ``Ledger.pending``; replaces pending commits of the same and later epochs."""
        entry = self._opened(key)
        check_commit(key, commit.epoch, last=entry.epoch, pending=(), states=commit.states)
        self._takes(key, commit)
        written = (entry.run, *commit_texts(key, commit))
        kept = replace(
            commit,
            states=tuple(commit.states),
            dead_letters=tuple(commit.dead_letters),
            resolved=tuple(commit.resolved),
        )
        entry.pending = {e: p for e, p in entry.pending.items() if e < commit.epoch}
        entry.pending[commit.epoch] = (written, kept)

    async def confirm(self, key: str, epoch: int) -> None:
        """See ``Ledger.confirm``; does nothing if nothing is pending."""
        entry = self._opened(key)
        for number in sorted(entry.pending):
            if number <= epoch:
                _apply(entry, *entry.pending[number])
        entry.pending = {}

    async def finish(self, key: str, state: str) -> None:
        """See ``Ledger.finish``; ``key`` must be opened again afterwards."""
        check_completed(state)
        entry = self._opened(key)
        check_nothing_pending(key, sorted(entry.pending))
        entry.running = False
        self._begun.pop(key, None)
        self._open.discard(key)

    async def states(self, key: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """Return the latest state of each document, or ``None``."""
        states = self._opened(key).states
        return [states.get(doc_id) for doc_id in doc_ids]

    async def tally(self, key: str) -> dict[str, int]:
        """Return how many documents of all runs are in each status now."""
        counts: dict[str, int] = {}
        for state in self._opened(key).states.values():
            counts[state.status] = counts.get(state.status, 0) + 1
        return counts

    async def count_dead_letters(self, key: str) -> int:
        """Return how many dead letters are unresolved."""
        return len(self._opened(key).letters)

    async def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield the unresolved dead letters, oldest first."""
        for letter in list(self._opened(key).letters.values()):
            yield letter

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """See ``Ledger.drop_dead_letters``."""
        entry = self._entries.get(key, _Entry())
        dropped = [name for name in entry.letters if records is None or name in records]
        for name in dropped:
            del entry.letters[name]
        return len(dropped)

    async def aclose(self) -> None:
        """End the session. Idempotent."""
        self._open.clear()
        self._begun.clear()

    def _opened(self, key: str) -> _Entry:
        if key not in self._open:
            raise LedgerError(f"the ledger in memory is not open for {key!r}; await open({key!r}) first")
        return self._entries[key]


def _standing(known: str | None, digest: str) -> Standing:
    if known is None:
        return "new"
    return "unchanged" if digest and known == digest else "changed"


def _apply(entry: _Entry, written: tuple[int, str, str, str], commit: Commit) -> None:
    entry.epoch, entry.last = commit.epoch, written
    for state in commit.states:
        entry.states[state.doc_id] = replace(state)
        entry.touched[state.doc_id] = None
        if state.status in SETTLED:
            entry.settled_now[state.doc_id] = state.content_hash
    for letter in commit.dead_letters:
        entry.letters.pop(letter.key, None)
        entry.letters[letter.key] = replace(letter)
    for key in commit.resolved:
        entry.letters.pop(key, None)
    done = {s.doc_id for s in commit.states if entry.states[s.doc_id].status in SETTLED}
    entry.letters = {k: v for k, v in entry.letters.items() if v.doc_id is None or v.doc_id not in done}
