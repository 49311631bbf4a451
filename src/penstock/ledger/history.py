"""Read the earlier runs and the dead letters of a ledger in a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from penstock.ledger.postgres import reading as postgres
from penstock.ledger.postgres.text import is_postgres
from penstock.ledger.reports import RunRecord
from penstock.ledger.sqlite import reading as sqlite

if TYPE_CHECKING:
    import os

    from penstock.abc import DeadLetter

__all__ = ["RunRecord", "read_dead_letters", "read_runs"]


def read_runs(path: str | os.PathLike[str], key: str) -> list[RunRecord]:
    """Return the logical runs of ``key`` in order; an empty list if the ledger does not know ``key``.

    Blocks for some milliseconds. Takes no lock, so it does not disturb a run that writes the ledger.

    Raises:
        LedgerError: the ledger does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger, or the part that is read is damaged.
    """
    if is_postgres(path):
        return postgres.read_runs(str(path), key)
    return sqlite.read_runs(Path(path), key)


def read_dead_letters(
    path: str | os.PathLike[str], key: str, *, latest: int, record: str | None = None
) -> list[DeadLetter]:
    """Return the ``latest`` committed dead letters of ``key``, oldest first.

    If ``record`` is given, the letters of other records do not count.

    Blocks for some milliseconds. Takes no lock, so it does not disturb a run that writes the ledger.

    Raises:
        LedgerError: the ledger does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger, or the part that is read is damaged.
    """
    if is_postgres(path):
        return postgres.read_dead_letters(str(path), key, latest=latest, record=record)
    return sqlite.read_dead_letters(Path(path), key, latest=latest, record=record)
