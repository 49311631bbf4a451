"""Operators that record in a ledger how far a run came."""

from __future__ import annotations

from typing import Any

import penstock.operators as op
from penstock.events import DocumentFailed
from penstock.testing import RecordingLedger

from .entry import Entry
from .functions import add, spread
from .models import flat


def some_fail(x: int) -> Any:
    """Every third document has failed for good, every fifth will be tried again."""
    if x % 3 and x % 5:
        return x
    return DocumentFailed(0.0, "p", f"d{x}", "a", "bad", "E", 0, False, bool(x % 3), None, b"raw")


ENTRIES = [
    Entry(
        "dead_letters",
        ("dead_letters",),
        lambda s: s | op.map(some_fail) | op.dead_letters(RecordingLedger(seconds=0.5)),
        model=lambda i: map(some_fail, i),
    ),
    Entry(
        "checkpoint",
        ("checkpoint",),
        lambda s: s | op.checkpoint(RecordingLedger(), key="laws"),
        model=iter,
        # its second run starts at the ledger's position, and a second checkpoint is refused
        skip=("cold", "settled_by_demand"),
    ),
    Entry(
        "checkpoint|map|flat_map",
        ("checkpoint",),
        lambda s: s | op.checkpoint(RecordingLedger(), key="laws") | op.map(add) | op.flat_map(spread),
        model=lambda i: flat(spread)(map(add, i)),
        skip=("cold", "settled_by_demand"),
    ),
]
