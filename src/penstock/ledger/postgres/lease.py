"""Who may write a key of a PostgreSQL ledger: a lease that is renewed, taken over, and fenced.

The row of a key in ``leases`` holds the *token* of the one ledger object that may write. Each transaction
that writes begins by renewing the lease under that token, which locks the row; so between a take-over and a
commit one comes first, and whoever lost the token commits nothing any more, however long it slept. All time
is the server's. A lease is free when it was given back, when it has expired, or when the session that it was
taken in has ended: a ledger never goes on in another session without opening its keys again.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import LedgerBusy
from penstock.system import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import psycopg

__all__ = ["Fence", "Held", "Renewal", "acquire", "give_back", "holder_in", "lost", "renew"]

_LIVE = (
    "token <> '' AND expires > clock_timestamp() AND backend <> pg_backend_pid()"
    " AND backend IN (SELECT pid FROM pg_stat_activity)"
)
_WHO = "host, pid, extract(epoch FROM since)::float8, extract(epoch FROM expires)::float8"


@dataclass(frozen=True, slots=True)
class Fence:
    """What a statement needs to renew a lease of ours."""

    token: str
    seconds: float

    def values(self) -> dict[str, Any]:
        """Return it as parameters."""
        return {"token": self.token, "seconds": self.seconds}


class Held(Exception):
    """Another ledger holds the lease."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder))
        self.holder = holder

    @property
    def surely_alive(self) -> bool:
        """Whether the holder is another process of this machine that is there.

        A ledger of this process may have lost its connection, and the server not yet know.
        """
        pid = self.holder.pid
        return self.holder.host == socket.gethostname() and pid != os.getpid() and _is_there(pid)

    @property
    def surely_gone(self) -> bool:
        """Whether the holder was a process of this machine and has ended."""
        return self.holder.host == socket.gethostname() and not _is_there(self.holder.pid)


def acquire(db: psycopg.Connection[Any], key_id: int, token: str, seconds: float) -> None:
    """Take the lease, inside a transaction; raises ``Held`` if it is another's."""
    from psycopg import errors

    db.execute(
        "INSERT INTO penstock_ledger.leases VALUES (%s, '', '', 0, 0, clock_timestamp(), clock_timestamp())"
        " ON CONFLICT DO NOTHING",
        (key_id,),
    )
    try:
        with db.transaction():
            db.execute("SET LOCAL lock_timeout = '3s'")
            row = db.execute(
                f"SELECT token, {_LIVE} FROM penstock_ledger.leases WHERE key_id = %s FOR UPDATE",  # noqa: S608  constants
                (key_id,),
            ).fetchone()
    except errors.LockNotAvailable:  # its holder is in the midst of a long transaction
        raise Held(holder_in(db, key_id) or Holder(0, "", 0.0)) from None
    if row and row[0] != token and row[1]:
        raise Held(holder_in(db, key_id) or Holder(0, "", 0.0))
    db.execute(
        "UPDATE penstock_ledger.leases SET token = %s, host = %s, pid = %s, backend = pg_backend_pid(),"
        " since = CASE token WHEN %s THEN since ELSE clock_timestamp() END,"
        " expires = clock_timestamp() + make_interval(secs => %s) WHERE key_id = %s",
        (token, socket.gethostname(), os.getpid(), token, seconds, key_id),
    )


def _is_there(pid: int) -> bool:
    if os.name == "nt":  # pragma: no cover - os.kill would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def holder_in(db: psycopg.Connection[Any], key_id: int) -> Holder | None:
    """Return who holds the lease of a key now."""
    row = db.execute(
        f"SELECT {_WHO} FROM penstock_ledger.leases WHERE key_id = %s AND token <> ''"  # noqa: S608  a constant of this module
        " AND expires > clock_timestamp() AND backend IN (SELECT pid FROM pg_stat_activity)",
        (key_id,),
    ).fetchone()
    return Holder(int(row[1]), row[0], row[2]) if row else None


def renew(db: psycopg.Connection[Any], key_ids: Iterable[int], token: str, seconds: float) -> int:
    """Renew the leases that are still ours, and return how many they are."""
    return db.execute(
        "UPDATE penstock_ledger.leases SET expires = clock_timestamp() + make_interval(secs => %s)"
        " WHERE key_id = ANY(%s) AND token = %s",
        (seconds, list(key_ids), token),
    ).rowcount


def lost(db: psycopg.Connection[Any], key_id: int, name: str, place: str) -> LedgerBusy:
    """Return the error for a holder whose lease was taken over."""
    holder = holder_in(db, key_id)
    now = f"now {holder} holds it" if holder else "it was taken over and given back since"
    return LedgerBusy(
        f"this run lost its lease on {name!r} in the ledger {place}, because it did not renew it in time: "
        f"{now}. Nothing was committed by this run since; run again when that one has ended"
    )


def give_back(db: psycopg.Connection[Any], token: str, key_id: int | None = None) -> None:
    """Give back the lease of a key, or every lease, held under ``token``."""
    db.execute(
        "UPDATE penstock_ledger.leases SET token = '' WHERE token = %s AND key_id = coalesce(%s, key_id)",
        (token, key_id),
    )


class Renewal:
    """A thread that calls ``renew`` every so often, also while the event loop is busy with something slow."""

    def __init__(self, renew: Callable[[], None], every: float) -> None:
        self._renew = renew
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-lease", daemon=True)
        self._thread.start()

    def stop_soon(self) -> None:
        """Let it end, and do not wait for that."""
        self._over.set()

    def stop(self) -> None:
        """End it; waits for a renewal under way."""
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._renew()
