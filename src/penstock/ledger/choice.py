"""Which ledger a path or URL means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from penstock.errors import GraphError
from penstock.ledger.postgres.ledger import PostgresLedger
from penstock.ledger.postgres.text import is_postgres
from penstock.ledger.sqlite.ledger import SqliteLedger

if TYPE_CHECKING:
    from penstock.ledger.threaded import ThreadedLedger

__all__ = ["Place", "ledger_from"]

Place: TypeAlias = "str | os.PathLike[str]"
"""What names a ledger."""


def ledger_from(place: Place) -> ThreadedLedger:
    """Return the ledger that ``place`` means: ``postgresql://...``, ``sqlite:///path``, or a path.

    Raises:
        GraphError: it is a URL of something else.
        MissingExtra: the library it needs is not installed.
    """
    name = os.fspath(place)
    if is_postgres(name):
        return PostgresLedger(name)
    scheme, separator, rest = name.partition("://")
    if separator and scheme == "sqlite" and len(rest) > 1 and rest[0] == "/" and "?" not in rest:
        return SqliteLedger(unquote(rest[1:]))
    if separator and "/" not in scheme:
        raise GraphError(
            f"no ledger is known for {scheme}://...; name the path of a file, sqlite:///path, "
            "or postgresql://host/database"
        )
    return SqliteLedger(place)
