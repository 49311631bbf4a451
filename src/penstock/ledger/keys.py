"""What a ledger in a database keeps of one key: its run, its last true commit, and what is pending."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.abc import Opened
from penstock.ledger.records import checksum, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.ledger.records import Corrupt

__all__ = ["Key", "LastCommit", "commit_of", "key_of", "next_run", "run_row"]


@dataclass(slots=True)
class Key:
    """A key with its last run and its last true epoch.

    ``letters`` counts the dead letters up to that epoch. ``pending`` are the later epochs, which wait for the
    decision of a sink.
    """

    key_id: int
    name: str
    run: int
    epoch: int
    letters: int
    started_at: float
    running: bool
    pending: list[int] = field(default_factory=list)
    open: bool = False
    """Whether this process has opened it."""


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The last true commit of a key; without arguments, that of a key without commits."""

    run: int = 0
    position: Any = None
    record: Any = None
    counts: dict[str, int] = field(default_factory=dict)
    committed_at: float | None = None

    def counts_of(self, run: int) -> dict[str, int]:
        """Return the counts of ``run``: empty if the commit belongs to an earlier one."""
        return self.counts if run == self.run else {}

    def opened(self, key: Key, *, resumed: bool) -> Opened:
        """Return the answer to ``Ledger.open``."""
        counts = self.counts_of(key.run)
        return Opened(key.run, key.epoch, self.position, self.record, counts, resumed, key.started_at)


def key_of(
    row: Sequence[Any],
    name: str,
    *,
    last_run: Sequence[Any] | None,
    letters: int,
    pending: list[int],
    corrupt: Corrupt,
) -> Key:
    """Return the key that a ledger holds.

    Args:
        row: key_id, the key as it is stored, run, epoch, letters, checksum.
        name: The key, for people.
        last_run: The row of that run: state, started_at, ended_at, counts, checksum.
        letters: How many dead letters were found up to that epoch.
        pending: The later epochs that were found.
        corrupt: Makes the error.

    Raises:
        LedgerCorrupt: the key, its last run or its dead letters are damaged or missing.
    """
    *fields, expected = row
    key_id, _, run, epoch, counted = fields
    if checksum(*fields) != expected:
        raise corrupt(f"the key {name!r} fails its checksum")
    if last_run is None or checksum(key_id, run, *last_run[:-1]) != last_run[-1]:
        raise corrupt(f"run {run} of {name!r} is missing or fails its checksum")
    if letters != counted:
        raise corrupt(f"{counted} dead letters of {name!r} were committed, but {letters} were found")
    state, started_at = last_run[:2]
    return Key(key_id, name, run, epoch, letters, started_at, state == "running", pending)


def next_run(key_id: int, name: str, last: Key | None, *, restart: bool) -> Key:
    """Return the key with its next logical run, which begins now; ``last`` is ``None`` before the first."""
    kept = None if restart else last
    return Key(
        key_id,
        name,
        run=last.run + 1 if last else 1,
        epoch=kept.epoch if kept else 0,
        letters=kept.letters if kept else 0,
        started_at=time.time(),
        running=True,
        open=True,
    )


def run_row(key: Key, state: str, ended_at: float | None, counts: str) -> tuple[Any, ...]:
    """Return the columns of ``runs`` for the last run of ``key``; ``counts`` is JSON."""
    digest = checksum(key.key_id, key.run, state, key.started_at, ended_at, counts)
    return (key.key_id, key.run, state, key.started_at, ended_at, counts, digest)


def commit_of(row: Sequence[Any] | None, key: Key, identity: str | int, corrupt: Corrupt) -> LastCommit:
    """Return the last true commit of ``key``, which has one.

    Args:
        row: run, position, record, counts, committed_at, checksum.
        key: The key.
        identity: What the checksum knows the key by: its name in SQLite, its number in PostgreSQL.
        corrupt: Makes the error.

    Raises:
        LedgerCorrupt: the commit is damaged or missing.
    """
    if row is None:
        raise corrupt(f"commit {key.epoch} of {key.name!r} is missing")
    run, position, record, counts, committed_at, expected = row
    if checksum(identity, key.epoch, run, position, record, counts) != expected:
        raise corrupt(f"commit {key.epoch} of {key.name!r} fails its checksum")
    return LastCommit(run, parse_json(position), parse_json(record), parse_json(counts), committed_at)
