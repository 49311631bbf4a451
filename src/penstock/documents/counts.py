"""The counts of a logical run."""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct):
    """How many documents of a logical run ended in which way, and how many attempts were retried.

    ``deleted`` and ``changed`` documents are among the ``completed`` ones, ``unchanged`` ones among the
    ``skipped`` ones.
    """

    completed: int = 0
    failed: int = 0
    skipped: int = 0
    deleted: int = 0
    retried: int = 0
    changed: int = 0
    unchanged: int = 0

    @property
    def settled(self) -> int:
        """Documents that have had their last event, or were skipped."""
        return self.completed + self.failed + self.skipped

    def summary(self) -> dict[str, int]:
        """Return the counts that a ``RunSummary`` shows."""
        return {
            "started": self.completed + self.failed,
            "completed": self.completed,
            "failed": self.failed,
            "skipped": self.skipped,
            "deleted": self.deleted,
            "new": self.completed - self.deleted - self.changed,
            "changed": self.changed,
            "unchanged": self.unchanged,
        }
