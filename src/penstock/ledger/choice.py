"""Choose the ledger for a path or a URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from penstock import ledger  # imports a kind of ledger when it is asked for
from penstock.errors import GraphError
from penstock.ledger.postgres.text import is_postgres
from penstock.runtime.arguments import assembled_at
from penstock.system.places import connection_url, file_path

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from penstock.ledger.tables import Tables
    from penstock.ledger.threaded import ThreadedLedger

Place: TypeAlias = "str | os.PathLike[str]"
"""A path, or a URL."""


def ledger_from(place: Place) -> ThreadedLedger:
    """Return the ledger at ``place``: ``postgresql://...``, ``sqlite:///path``, or the path of a SQLite file.

    Raises:
        GraphError: ``place`` is another kind of URL.
        MissingExtra: the library for that ledger is not installed.
    """
    if not isinstance(place, str | os.PathLike):
        raise GraphError(
            f"a ledger is a Ledger, a path or a URL, not {type(place).__name__} "
            f"(at {assembled_at()}): ledger='run.db'"
        )
    url = connection_url(place)
    if url is None:
        return ledger.SqliteLedger(place)
    if is_postgres(url):
        return ledger.PostgresLedger(url)
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and len(rest) > 1 and rest[0] == "/" and "?" not in rest:
        return ledger.SqliteLedger(sqlite_path(url))
    raise GraphError(
        f"no ledger is known for {scheme}://...; name the path of a file, sqlite:///path, "
        "or postgresql://host/database"
    )


def sqlite_path(url: str) -> str:
    """Return the path in ``sqlite:///path``, as one that cannot be taken for a URL."""
    path = unquote(url.partition("://")[2][1:])
    return path if path.startswith(("/", "~")) else f"./{path}"


def reading(place: Place) -> AbstractContextManager[Tables]:
    """Open the ledger at ``place`` for reading, also while a run writes it; take no lock."""
    url = connection_url(place)
    if url is not None and is_postgres(url):
        from penstock.ledger.postgres.reading import reading as reading_postgres

        return reading_postgres(url)
    from penstock.ledger.sqlite.reading import reading as reading_sqlite

    return reading_sqlite(file_path(place if url is None else sqlite_path(url)))
