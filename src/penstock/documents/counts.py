"""The sums of a logical run, as the event stage keeps them in its position."""

from __future__ import annotations

from typing import Any

__all__ = ["Book"]

COUNTS = ("completed", "failed", "skipped", "deleted", "retried", "changed", "unchanged")


class Book:
    """The sums of a logical run, and what they are at a given moment of it."""

    __slots__ = (
        "began",
        "changed",
        "completed",
        "deleted",
        "failed",
        "limited",
        "promised",
        "retried",
        "since",
        "skipped",
        "so_far",
        "state",
        "tail",
        "unchanged",
        "whole",
    )

    def __init__(self, state: dict[str, Any], now: float) -> None:
        counts = state.get("counts", {})
        self.completed: int = counts.get("completed", 0)
        self.failed: int = counts.get("failed", 0)
        self.skipped: int = counts.get("skipped", 0)
        self.deleted: int = counts.get("deleted", 0)
        self.retried: int = counts.get("retried", 0)
        self.changed: int = counts.get("changed", 0)
        self.unchanged: int = counts.get("unchanged", 0)
        self.state: str = state.get("state", "new")
        self.tail: bool = state.get("tail", False)
        self.limited: bool = state.get("limited", False)
        self.promised: int | None = state.get("promised")
        """What the source last promised; a run that goes on may not hear it again."""
        self.whole: bool = state.get("whole", True)
        """Whether this logical run began where the source begins."""
        self.since: int | None = state.get("since")
        """The logical run that began where the source begins, and led here."""
        self.so_far = self.settled
        self.began = now

    @property
    def settled(self) -> int:
        """Documents that are done with, one way or another."""
        return self.completed + self.failed + self.skipped

    @property
    def processed(self) -> int:
        """Documents of this logical run that count for its limit; a run that completed is the one before."""
        return 0 if self.state == "completed" and not self.limited else self.completed + self.failed

    def reset(self, now: float) -> None:
        """Begin a new logical run, behind the records of those before it."""
        self.whole, self.promised = False, None
        self.completed = self.failed = self.skipped = self.deleted = self.retried = self.so_far = 0
        self.changed = self.unchanged = 0
        self.began = now

    def counts(self) -> dict[str, int]:
        """Return the sums as JSON."""
        return {name: getattr(self, name) for name in COUNTS}
