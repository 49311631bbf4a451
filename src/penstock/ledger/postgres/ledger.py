"""The ledger in a PostgreSQL database."""

from __future__ import annotations

from penstock.errors import GraphError, MissingExtra
from penstock.ledger.postgres.store import PostgresStore
from penstock.ledger.postgres.text import is_postgres
from penstock.ledger.threaded import ThreadedLedger
from penstock.system.places import connection_url


class PostgresLedger(ThreadedLedger):
    """Keeps runs, commits, document states and dead letters in the schema ``penstock_ledger`` of a database.

    One process at a time may use a key. ``open`` takes a *lease* on the key, which a thread of the ledger
    renews, even while the event loop is busy. A second process gets ``LedgerBusy``, which names the holder. A
    lease is free when it was given back (``aclose``), when its session has ended (the process was killed, or
    the server restarted), or when it was not renewed for ``lease`` seconds of the server's clock. A process
    that slept for that long cannot commit once another has taken its lease.

    The ledger uses one connection on one thread, so the event loop never waits for the database. A cancelled
    call still runs, in its turn. If the connection is lost, the call raises and the commits are kept. The
    next ``open`` connects again and continues from the last commit.

    Args:
        url: ``postgresql://user@host:port/database``, or ``host=... dbname=...`` as for libpq. A
            password in it is never shown. ``PGPASSWORD`` or ``~/.pgpass`` keep the password out of the
            command line.
        lease: Seconds.

    Raises:
        GraphError: ``url`` is not a PostgreSQL URL, or ``lease`` is not positive.
        MissingExtra: psycopg is not installed.
    """

    def __init__(self, url: str, *, lease: float = 30.0) -> None:
        try:
            import psycopg  # noqa: F401  imported here to report its absence when the pipeline is built
        except ImportError as error:
            raise MissingExtra("A ledger in PostgreSQL", "postgres") from error
        url = connection_url(url) or ""
        if not is_postgres(url):
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
