"""Read a SQLite ledger from outside, also while a run writes it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penstock.ledger.sqlite.connection import read_only
from penstock.ledger.sqlite.errors import SqliteErrors
from penstock.ledger.sqlite.tables import SqliteTables
from penstock.system import holder_of, lock_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def reading(path: Path) -> Iterator[SqliteTables]:
    """Open the ledger for reading; all queries see the same moment."""
    errors, holder = SqliteErrors(path), holder_of(lock_path(path))
    with contextlib.closing(read_only(path)) as db, errors.explained("read"):
        db.execute("BEGIN")
        yield SqliteTables(db, errors.corrupt, holder)
