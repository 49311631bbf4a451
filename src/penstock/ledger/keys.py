"""What a ledger in a database keeps in memory of each key, and of its last commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penstock.abc import Opened


@dataclass(slots=True)
class Key:
    """A key with its last run and its last confirmed epoch.

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
    """The last confirmed commit of a key; without arguments, that of a key without commits."""

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
