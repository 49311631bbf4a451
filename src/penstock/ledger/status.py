"""Read where each key of a ledger in a database stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from penstock.ledger.postgres import reading as postgres
from penstock.ledger.postgres.text import is_postgres
from penstock.ledger.reports import KeyStatus
from penstock.ledger.sqlite import reading as sqlite

if TYPE_CHECKING:
    import os

__all__ = ["KeyStatus", "read_status"]


def read_status(path: str | os.PathLike[str]) -> list[KeyStatus]:
    """Return what the ledger at ``path``, a file or a URL, knows about each of its keys, sorted by name.

    Blocks for some milliseconds. Takes no lock, so it does not disturb a run that writes the ledger.

    Raises:
        LedgerError: the ledger does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger, or the part that is read is damaged.
    """
    return postgres.read_status(str(path)) if is_postgres(path) else sqlite.read_status(Path(path))
