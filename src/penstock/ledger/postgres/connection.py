"""Connect to the database of a PostgreSQL ledger, and group statements into transactions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from penstock.errors import LedgerError
from penstock.ledger.postgres.text import shown
from penstock.system import end_with_client, limit_lock_waits, postgres_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    Database = psycopg.Connection[Any]

_LOCK_SECONDS = 10.0
"""How long a statement waits for another session: its client may be stopped, or cut off, in a transaction."""


def connect(url: str, name: str) -> Database:
    """Return a connection with the settings that a ledger needs, whatever the server's defaults are.

    Args:
        url: The database.
        name: What the server shows as the application.

    Raises:
        LedgerError: the encoding of the database is not UTF-8.
    """
    import psycopg

    db = psycopg.connect(**{**postgres_parameters(url), "application_name": name}, autocommit=True)
    encoding = db.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        db.close()
        raise LedgerError(
            f"the database of the ledger {shown(url)} has the encoding {encoding}; "
            "create one with ENCODING 'UTF8' for it"
        )
    try:
        db.execute("SET search_path = penstock_ledger")
        db.execute("SET synchronous_commit = on; SET statement_timeout = 0")
        db.execute("SET client_min_messages = warning; SET idle_in_transaction_session_timeout = 0")
        limit_lock_waits(db, _LOCK_SECONDS)
        end_with_client(db)
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def transaction(db: Database) -> Iterator[None]:
    """Send the statements of a transaction together; wait only for results that are read, and for COMMIT.

    psycopg's own ``transaction()`` waits for the answer to BEGIN too.
    """
    import psycopg

    failed: BaseException | None = None
    try:
        with db.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext():
            try:
                db.execute("BEGIN")
                yield
                db.execute("COMMIT")
            except BaseException as error:  # noqa: BLE001  raised below: in here psycopg would log what follows
                failed = error
    except psycopg.Error as error:
        failed = failed or error
    if failed is not None:
        try:
            db.rollback()
        except psycopg.Error:
            db.close()
        raise failed
