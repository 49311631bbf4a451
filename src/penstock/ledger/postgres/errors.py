"""Turn errors of PostgreSQL and of the network into sentences without secrets."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError
from penstock.ledger.postgres.text import secrets_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

_CONNECTION_LOST = ("08", "57P")
"""The beginnings of each SQLSTATE that means: the connection, or the server, is gone or is going."""

_DAMAGED = ("XX", "42P01", "42703")
_BUSY = ("55P03", "40P01", "57014")

_ADVICE = {
    "53": "the server is out of disk space, memory or connections; give it more, then run again",
    "25006": "the server is read-only; name the primary server",
    "42501": "the user lacks the permission; grant it CREATE on the database, or name another user",
    "28": "the server refuses this user or password; correct them, then run again",
    "3D": "the database does not exist; create it first (createdb)",
}
"""What to do, by the beginning of the SQLSTATE."""


class PostgresErrors:
    """The errors of the ledger in the database of ``url``."""

    def __init__(self, url: str) -> None:
        self.place = shown(url)
        """Where the ledger is, without its password."""
        self._secrets = secrets_of(url)

    def corrupt(self, detail: str) -> LedgerCorrupt:
        """Return the error for a damaged ledger."""
        return LedgerCorrupt(
            f"the ledger {self.place} is damaged ({detail}); restore it from a backup, or drop its schema "
            "penstock_ledger, move its output away and begin anew"
        )

    def locked(self, holder: str) -> LedgerBusy:
        """Return the error for a lock that another session did not release in time."""
        return LedgerBusy(
            f"the ledger {self.place} is held by {holder}, and did not become free; "
            "end that session or wait for it, then run again"
        )

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn errors of psycopg into ``LedgerError``; ``doing`` is such as "write to"."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            message = " ".join(str(error).split())
            safe = message
            for secret in self._secrets:
                safe = safe.replace(secret, "***")
            # An error that holds a secret must not appear in a traceback either.
            raise self._explain(doing, error, safe) from (error if safe == message else None)

    def _explain(self, doing: str, error: psycopg.Error, message: str) -> LedgerError:
        import psycopg

        state = error.sqlstate or ""
        of_network = not state and isinstance(error, psycopg.OperationalError)
        if state.startswith(_DAMAGED):
            return self.corrupt(message)
        if state in _BUSY:
            return LedgerBusy(
                f"the ledger {self.place} is locked by another session ({message}); end that, then run again"
            )
        if of_network and doing == "open":
            return LedgerError(
                f"cannot open the ledger {self.place}: {message}; "
                "check that the server runs and accepts connections there"
            )
        if of_network or state.startswith(_CONNECTION_LOST):
            return LedgerError(
                f"lost the connection to the ledger {self.place} ({message}); what was committed is kept: "
                "run again when the server is back"
            )
        for start, advice in _ADVICE.items():
            if state.startswith(start):
                return LedgerError(f"cannot {doing} the ledger {self.place}: {message}: {advice}")
        return LedgerError(f"cannot {doing} the ledger {self.place}: {message}")
