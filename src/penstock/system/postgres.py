"""Settings for every connection to PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_DEFAULTS = {
    "application_name": "penstock", "client_encoding": "utf8",
    # Notice a dead server within a minute, whether data is waiting to be sent or not.
    "connect_timeout": "10", "tcp_user_timeout": "60000",
    "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
}  # fmt: skip


def postgres_parameters(url: str) -> dict[str, Any]:
    """Return parameters for ``psycopg.connect``: those of ``url``, and defaults for the others.

    Raises:
        psycopg.ProgrammingError: libpq cannot read ``url``. The message shows parts of it.
    """
    from psycopg.conninfo import conninfo_to_dict

    defaults = {name: value for name, value in _DEFAULTS.items() if name not in _set_by_environment()}
    return {**defaults, **conninfo_to_dict(url)}


def _set_by_environment() -> set[str]:
    return {"connect_timeout"} if os.environ.get("PGCONNECT_TIMEOUT") else set()


def end_with_client(db: psycopg.Connection[Any]) -> None:
    """Make the server end a statement, and release its locks, within a second after this process died.

    Otherwise the statement of a killed process runs to its end. PostgreSQL can do this since version 14, on
    most systems; elsewhere this function does nothing.
    """
    import psycopg

    with contextlib.suppress(psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue):
        db.execute("SET client_connection_check_interval = '1s'")


def limit_lock_waits(db: psycopg.Connection[Any], seconds: float) -> None:
    """Let a statement that waits longer than this for a lock fail with ``LockNotAvailable``."""
    db.execute(f"SET lock_timeout = {int(seconds * 1000)}".encode())


_LOCKING = """
SELECT pid, application_name, coalesce(host(client_addr), 'this machine'), xact_start::timestamp(0)::text
FROM pg_stat_activity AS session
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND EXISTS (
    SELECT FROM pg_locks AS held LEFT JOIN pg_class ON pg_class.oid = held.relation
    WHERE held.pid = session.pid AND held.granted
        AND (relnamespace = to_regnamespace(%s) OR locktype = 'advisory')
)
ORDER BY xact_start LIMIT 1
"""


def lock_holder(db: psycopg.Connection[Any], schema: str) -> str:
    """Say which session holds a lock in ``schema``, and since when: the one with the oldest transaction.

    Call it outside of a transaction.
    """
    import psycopg

    with contextlib.suppress(psycopg.Error):
        if (found := db.execute(_LOCKING, (schema,)).fetchone()) is not None:
            return "server process {} ({} from {}), since {}".format(*found)
    return "another session"
