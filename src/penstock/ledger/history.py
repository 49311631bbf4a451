"""Read the earlier runs and the dead letters of a ledger in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.ledger.choice import reading
from penstock.ledger.reports import RunRecord

if TYPE_CHECKING:
    from penstock.abc import DeadLetter
    from penstock.ledger.choice import Place

__all__ = ["RunRecord", "read_dead_letters", "read_runs"]


def read_runs(path: Place, key: str) -> list[RunRecord]:
    """Return the logical runs of ``key`` in order; an empty list if the ledger does not know ``key``.

    Blocks for some milliseconds. Takes no lock, so it does not disturb a run that writes the ledger.

    Raises:
        LedgerError: the ledger does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger, or the part that is read is damaged.
    """
    with reading(path) as tables:
        return tables.runs(key)


def read_dead_letters(path: Place, key: str, *, latest: int, record: str | None = None) -> list[DeadLetter]:
    """Return the ``latest`` committed dead letters of ``key``, oldest first.

    If ``record`` is given, only the letters of that record count.

    Blocks for some milliseconds. Takes no lock, so it does not disturb a run that writes the ledger.

    Raises:
        LedgerError: the ledger does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger, or the part that is read is damaged.
    """
    with reading(path) as tables:
        known = tables.load_key(key)
        return tables.last_letters(known, latest, record) if known else []
