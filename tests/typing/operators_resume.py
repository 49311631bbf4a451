"""What the type checkers must infer about operators that remember how far a run came; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

import penstock.operators as op
from penstock import Flow
from penstock.ledger import SqliteLedger


def by_methods(numbers: Flow[int], ledger: SqliteLedger) -> None:
    """The type of items stays, so that what may follow is inferred."""
    assert_type(numbers.checkpoint(ledger, key="a"), Flow[int])
    assert_type(numbers.checkpoint(ledger, key="a", every=9).map(lambda x: x / 2), Flow[float])


def by_operators(texts: Flow[str], ledger: SqliteLedger) -> None:
    """One operator serves flows of anything."""
    assert_type(texts | op.checkpoint(ledger, key="a"), Flow[str])


def refused(numbers: Flow[int], ledger: SqliteLedger) -> None:
    """A key is asked for by name, and a path is no ledger."""
    numbers.checkpoint(ledger)  # type: ignore[call-arg]
    numbers | op.checkpoint("run.db", key="a")  # type: ignore[arg-type]
