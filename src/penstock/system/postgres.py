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
