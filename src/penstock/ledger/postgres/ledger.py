"""The ledger for runs on several machines: a PostgreSQL database."""

from __future__ import annotations

from penstock.errors import GraphError, MissingExtra
from penstock.ledger.postgres.store import PostgresStore
from penstock.ledger.threaded import ThreadedLedger

__all__ = ["PostgresLedger"]


class PostgresLedger(ThreadedLedger):
    """Keeps runs, commits, document states and dead letters in the schema ``penstock_ledger`` of a database.

    Each key is one process' at a time: whoever opens it holds a *lease*, which a thread of the ledger renews,
    also while the event loop is busy. A second process is told who holds it since when. A lease is free when
    it was given back (``aclose``), when its session has ended (its process was killed, the server restarted),
    or when it was not renewed for ``lease`` seconds of the server's time; who was only asleep until then
    cannot commit any more. One connection on one thread: the loop never waits for the database. A cancelled
    call still happens, in its turn. A connection that is lost is not taken up again by itself: the call
    raises, what was committed stays, and ``open`` goes on from there.

    Args:
        url: ``postgresql://user@host:port/database``, or whatever else libpq understands. A password in it is
            never shown; ``PGPASSWORD`` or ``~/.pgpass`` keep it out of the command line.
        lease: Seconds.

    Raises:
        GraphError: ``url`` is none, or ``lease`` is not positive.
        MissingExtra: psycopg is not installed.
    """

    def __init__(self, url: str, *, lease: float = 30.0) -> None:
        try:
            import psycopg  # noqa: F401  asked for here, so that its absence is told when the pipeline is built
        except ImportError as error:
            raise MissingExtra("A ledger in PostgreSQL", "postgres") from error
        if not url.startswith(("postgresql://", "postgres://")):
            raise GraphError("PostgresLedger takes a URL such as postgresql://user@host/database")
        if not lease > 0:
            raise GraphError(f"PostgresLedger: lease must be positive, not {lease!r}")
        store = PostgresStore(url, lease)
        self._place = store.place
        super().__init__(store)

    @property
    def place(self) -> str:
        """Where the ledger is, without its password."""
        return self._place

    def __repr__(self) -> str:
        return f"PostgresLedger({self._place!r})"
