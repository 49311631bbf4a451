"""Read a PostgreSQL ledger from outside, also while a run writes it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penstock.errors import LedgerError
from penstock.ledger.postgres.connection import connect
from penstock.ledger.postgres.errors import PostgresErrors
from penstock.ledger.postgres.schema import check_version
from penstock.ledger.postgres.tables import PostgresTables

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def reading(url: str) -> Iterator[PostgresTables]:
    """Open the ledger for reading; all queries see the same moment. Creates and migrates nothing."""
    errors = PostgresErrors(url)
    with errors.explained("open"):
        db = connect(url, "penstock status")
    with contextlib.closing(db), errors.explained("read"):
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = db.execute("SELECT to_regclass('penstock_ledger.meta') IS NOT NULL").fetchone()
        if not found or not found[0]:
            raise LedgerError(f"there is no ledger in {errors.place}")
        check_version(db, errors.place)
        yield PostgresTables(db, errors.corrupt)
