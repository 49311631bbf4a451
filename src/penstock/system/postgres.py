"""How everything of ours connects to PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

__all__ = ["end_with_client", "postgres_parameters"]

_DEFAULTS = {
    "application_name": "penstock", "client_encoding": "utf8",
    # a server that is gone is noticed in a minute, whoever has to say something first
    "connect_timeout": "10", "tcp_user_timeout": "60000",
    "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
}  # fmt: skip


def postgres_parameters(url: str) -> dict[str, Any]:
    """Return what ``psycopg.connect`` takes: what ``url`` says, and our defaults for what it does not.

    Raises:
        psycopg.ProgrammingError: libpq cannot read ``url``, of which its message shows parts.
    """
    from psycopg.conninfo import conninfo_to_dict

    defaults = {name: value for name, value in _DEFAULTS.items() if name not in _set_by_environment()}
    return {**defaults, **conninfo_to_dict(url)}


def _set_by_environment() -> set[str]:
    return {"connect_timeout"} if os.environ.get("PGCONNECT_TIMEOUT") else set()


def end_with_client(db: psycopg.Connection[Any]) -> None:
    """Let the server end a statement, and with it what the session locks, a second after this process died.

    Without it a killed process' long statement goes on to its end. PostgreSQL has this since version 14, on
    most systems; elsewhere this does nothing.
    """
    import psycopg

    with contextlib.suppress(psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue):
        db.execute("SET client_connection_check_interval = '1s'")
