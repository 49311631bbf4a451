"""How everything of ours connects to PostgreSQL."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["postgres_parameters"]

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
