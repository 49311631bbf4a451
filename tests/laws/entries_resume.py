"""Operators that remember how far a run came."""

from __future__ import annotations

import itertools

import penstock.operators as op
from penstock.testing import RecordingLedger

from .entry import (
    Entry,
    add,
    spread,
)

ENTRIES = [
    Entry(
        "checkpoint",
        lambda s: s | op.checkpoint(RecordingLedger(), key="laws"),
        model=iter,
        # its second run starts where the ledger says, and a second checkpoint is refused
        skip=("cold", "settled_by_demand"),
    ),
    Entry(
        "checkpoint|map|flat_map",
        lambda s: s | op.checkpoint(RecordingLedger(), key="laws") | op.map(add) | op.flat_map(spread),
        model=lambda i: itertools.chain.from_iterable(map(spread, map(add, i))),
        skip=("cold", "settled_by_demand"),
    ),
]
