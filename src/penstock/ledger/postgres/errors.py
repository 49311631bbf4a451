"""What PostgreSQL and the network complain of, in one clear sentence without secrets."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

__all__ = ["corrupt", "speaking"]

_GONE = ("08", "57P")
"""What SQLSTATE begins with when the connection, or the server, is gone or going."""

_ADVICE = {
    "53": "the server is out of disk space, memory or connections; give it more, then run again",
    "25006": "the server only lets it be read; name the primary server",
    "42501": "the user may not do that there; grant it CREATE on the database, or name another user",
    "28": "the server does not know this user or password; correct them, then run again",
    "3D": "there is no such database; create it first (createdb)",
}


def corrupt(place: str, detail: str) -> LedgerCorrupt:
    """Return the error for a ledger that cannot be trusted."""
    return LedgerCorrupt(
        f"the ledger {place} is damaged ({detail}); put a backup of it back, or drop its schema "
        "penstock_ledger, move its output away and begin anew"
    )


@contextmanager
def speaking(place: str, doing: str, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Turn errors of psycopg into ``LedgerError``; ``doing`` is such as "write to"."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        told = " ".join(str(error).split())
        safe = told
        for secret in secrets:
            safe = safe.replace(secret, "***")
        # an error that holds a secret must not be seen in a traceback either
        raise _explained(place, doing, error, safe) from (error if safe == told else None)


def _explained(place: str, doing: str, error: psycopg.Error, told: str) -> LedgerError:
    import psycopg

    state = error.sqlstate or ""
    if state.startswith("XX") or state in {"42P01", "42703"}:
        return corrupt(place, told)
    if state in {"55P03", "40P01", "57014"}:
        return LedgerBusy(
            f"the ledger {place} is locked by something else ({told}); end that, then run again"
        )
    if doing == "open" and not state and isinstance(error, psycopg.OperationalError):
        return LedgerError(
            f"cannot open the ledger {place}: {told}; see that the server runs and accepts connections there"
        )
    if state.startswith(_GONE) or (not state and isinstance(error, psycopg.OperationalError)):
        return LedgerError(
            f"lost the connection to the ledger {place} ({told}); what was committed is kept: "
            "run again when the server is back"
        )
    for start, advice in _ADVICE.items():
        if state.startswith(start):
            return LedgerError(f"cannot {doing} the ledger {place}: {told}: {advice}")
    return LedgerError(f"cannot {doing} the ledger {place}: {told}")
