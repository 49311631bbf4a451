"""Leases: one ledger object at a time may write a key of a PostgreSQL ledger.

The row of a key in ``leases`` holds the *token* of the ledger that may write. Each transaction that writes
first renews the lease under its token, which locks the row. So a commit comes either before or after a
take-over; a ledger that lost its token commits nothing more, however long it slept. All times are the
server's. A lease is free when it was given back, when it has expired, or when its session has ended. A ledger
with a new session must open its keys again.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from penstock.errors import LedgerBusy
from penstock.system import Holder
from penstock.system.threads import starting_a_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

LIVE = "token <> '' AND expires > clock_timestamp() AND backend IN (SELECT pid FROM pg_stat_activity)"
"""The condition for a lease that is held."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What a statement needs to renew a lease of this ledger."""

    token: str
    seconds: float

    def values(self) -> dict[str, Any]:
        """Return the parameters of the statement."""
        return {"token": self.token, "seconds": self.seconds}


class Held(Exception):
    """Another ledger holds the lease."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder))
        self.holder = holder

    @property
    def surely_alive(self) -> bool:
        """Whether the holder is another process of this machine, and runs.

        False for this process: its ledger may have lost a connection that the server still keeps.
        """
        pid = self.holder.pid
        return self.holder.host == socket.gethostname() and pid != os.getpid() and _is_running(pid)

    @property
    def surely_gone(self) -> bool:
        """Whether the holder was a process of this machine, and has ended."""
        return self.holder.host == socket.gethostname() and not _is_running(self.holder.pid)


def acquire(db: psycopg.Connection[Any], key_id: int, fence: Fence) -> None:
    """Take the lease, inside a transaction; raises ``Held`` if another ledger holds it."""
    from psycopg import errors

    db.execute(
        "INSERT INTO leases VALUES (%s, '', '', 0, 0, clock_timestamp(), clock_timestamp())"
        " ON CONFLICT DO NOTHING",
        (key_id,),
    )
    try:
        with db.transaction():
            db.execute("SET LOCAL lock_timeout = '3s'")
            row = db.execute(
                f"SELECT token, {LIVE} AND backend <> pg_backend_pid() FROM leases"  # noqa: S608  a constant of this module
                " WHERE key_id = %s FOR UPDATE",
                (key_id,),
            ).fetchone()
    except errors.LockNotAvailable:  # the holder is in a long transaction
        raise Held(holder_in(db, key_id) or Holder(0, "", 0.0)) from None
    if row and row[0] != fence.token and row[1]:
        raise Held(holder_in(db, key_id) or Holder(0, "", 0.0))
    db.execute(
        "UPDATE leases SET token = %s, host = %s, pid = %s, backend = pg_backend_pid(),"
        " since = CASE token WHEN %s THEN since ELSE clock_timestamp() END,"
        " expires = clock_timestamp() + make_interval(secs => %s) WHERE key_id = %s",
        (fence.token, socket.gethostname(), os.getpid(), fence.token, fence.seconds, key_id),
    )


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # pragma: no cover - there os.kill would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def holder_in(db: psycopg.Connection[Any], key_id: int) -> Holder | None:
    """Return the holder of the lease of a key, or ``None`` if it is free."""
    row = db.execute(
        f"SELECT pid, host, extract(epoch FROM since)::float8 FROM leases WHERE key_id = %s AND {LIVE}",  # noqa: S608  a constant of this module
        (key_id,),
    ).fetchone()
    return Holder(*row) if row else None


def renew(db: psycopg.Connection[Any], fence: Fence, *key_ids: int) -> int:
    """Renew the leases that still carry our token, and return their number."""
    return db.execute(
        "UPDATE leases SET expires = clock_timestamp() + make_interval(secs => %s)"
        " WHERE key_id = ANY(%s) AND token = %s",
        (fence.seconds, list(key_ids), fence.token),
    ).rowcount


def lost(db: psycopg.Connection[Any], key_id: int, name: str, place: str) -> LedgerBusy:
    """Return the error for a ledger whose lease was taken over."""
    holder = holder_in(db, key_id)
    now = f"now {holder} holds it" if holder else "another run took it over and gave it back"
    return LedgerBusy(
        f"this run lost its lease on {name!r} in the ledger {place}, because it did not renew it in time: "
        f"{now}. This run has committed nothing since; run again when the other run has ended"
    )


def give_back(db: psycopg.Connection[Any], token: str, key_id: int | None = None) -> None:
    """Give back the lease that ``token`` holds on a key, or on every key if ``key_id`` is ``None``."""
    db.execute(
        "UPDATE leases SET token = '' WHERE token = %s AND key_id = coalesce(%s, key_id)",
        (token, key_id),
    )


class Renewal:
    """A thread that calls ``renew`` every ``every`` seconds, even while the event loop is busy.

    ``renew`` is a method. The thread ends when its object is collected.
    """

    def __init__(self, renew: Callable[[], None], every: float) -> None:
        self._renew = WeakMethod(renew)
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-lease", daemon=True)
        with starting_a_thread():
            self._thread.start()

    def stop_soon(self) -> None:
        """Stop the thread without waiting for its end."""
        self._stopped.set()

    def stop(self) -> None:
        """Stop the thread; waits for a renewal under way."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            renew = self._renew()
            if renew is None:
                break
            renew()
            del renew  # keeps the object alive
