"""The store of a PostgreSQL ledger: one connection, used by the ledger's thread and by the lease's thread."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from penstock.errors import LedgerBusy
from penstock.ledger.postgres import keys, lease, rows
from penstock.ledger.postgres.commit import confirm_commits, save_key, write_commit
from penstock.ledger.postgres.connection import connect, transaction
from penstock.ledger.postgres.errors import PostgresErrors
from penstock.ledger.postgres.schema import prepare
from penstock.ledger.records import to_json
from penstock.ledger.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from penstock.abc import Commit, Opened
    from penstock.ledger.keys import Key

    Database = psycopg.Connection[Any]

__all__ = ["PostgresStore"]

T = TypeVar("T")

_BUSY_SECONDS = 1.0
"""How long ``open`` waits for a lease before it raises ``LedgerBusy``."""
_KILLED_SECONDS = 10.0
"""The same if the holder was killed: the server may need that long to end its statement and its session."""
_RETRY_SECONDS = 0.1
_RENEWALS_PER_LEASE = 4


class PostgresStore(Store["Database"]):
    """The connection, if any, and the leases of its keys."""

    def __init__(self, url: str, lease_seconds: float) -> None:
        super().__init__(PostgresErrors(url), rows)
        self._url = url
        self._fence = lease.Fence(uuid4().hex, lease_seconds)
        self._mutex = threading.RLock()
        self._with_pending_letters: set[str] = set()
        """The keys whose pending commits may hold dead letters."""
        self._renewal: lease.Renewal | None = None

    @property
    def place(self) -> str:
        """Where the ledger is, without its password."""
        return self._errors.place

    # -- opening and closing

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        with self._explained("open"):
            db = self._connected()
            return self._when_free(name, lambda: self._begin(db, name, restart=restart))

    def _connected(self) -> Database:
        if self._db is None:
            db = connect(self._url, "penstock ledger")
            try:
                prepare(db, self.place)
            except BaseException:
                db.close()
                raise
            self._db = db
            self._renewal = lease.Renewal(self._renew, self._fence.seconds / _RENEWALS_PER_LEASE)
        return self._db

    def _when_free(self, name: str, call: Callable[[], T]) -> T:
        """Make a call that takes a lease; try again while the holder may be about to lose it."""
        began = time.monotonic()
        while True:
            try:
                return call()
            except lease.Held as held:
                wait = _KILLED_SECONDS if held.surely_gone else _BUSY_SECONDS
                if held.surely_alive or time.monotonic() - began > wait:
                    raise LedgerBusy(
                        f"{name!r} in the ledger {self.place} is in use by {held.holder}; "
                        "wait for it or stop it, then run again"
                    ) from None
            time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """See ``Ledger.aclose``."""
        with self._mutex:
            db, renewal = self._forget_connection()
        if renewal is not None:
            renewal.stop()
        if db is not None:
            import psycopg

            with contextlib.suppress(psycopg.Error):  # the leases then expire
                lease.give_back(db, self._fence.token)
            db.close()

    def _forget_connection(self) -> tuple[Database | None, lease.Renewal | None]:
        db, renewal = self._db, self._renewal
        self._db, self._renewal, self._keys = None, None, {}
        return db, renewal

    def _renew(self) -> None:
        import psycopg

        with self._mutex, contextlib.suppress(psycopg.Error):  # the next call reports what is wrong
            if self._db is not None:
                held = [key.key_id for key in self._keys.values()]
                lease.renew(self._db, held, self._fence.token, self._fence.seconds)

    def _begin(self, db: Database, name: str, *, restart: bool) -> Opened:
        self._keys.pop(name, None)
        with db.transaction():
            key_id = keys.new_key(db, name)
            lease.acquire(db, key_id, self._fence.token, self._fence.seconds)
            key = keys.load_key(db, name, self._errors.corrupt)
        resumed = key is not None and key.running and not restart
        if key is not None and not key.running and not restart:
            self._merge(db, key)  # an earlier merge may have been interrupted
        with self._fenced(db, key_id, name):
            if key is None or not resumed:
                if key is not None and restart:
                    rows.forget(db, key)
                key = keys.begin_run(db, key_id, name, key, restart=restart)
            commit = keys.last_commit(db, key, self._errors.corrupt)
        self._with_pending_letters.discard(name)
        if key.pending:
            self._with_pending_letters.add(name)
        key.open = True
        self._keys[name] = key
        return commit.opened(key, resumed=resumed)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Keep the lease's thread out, and explain errors; forget a connection that broke."""
        with self._mutex:
            try:
                with self._errors.explained(doing):
                    yield
            finally:
                if self._db is not None and self._db.closed:
                    _, renewal = self._forget_connection()
                    if renewal is not None:
                        renewal.stop_soon()

    # -- writing under the lease

    @contextlib.contextmanager
    def _fenced(self, db: Database, key_id: int, name: str) -> Iterator[None]:
        """Run a transaction under the lease; renew the lease at its beginning and at its end."""
        with db.transaction():
            if not lease.renew(db, [key_id], self._fence.token, self._fence.seconds):
                raise self._lost(db, key_id, name)
            yield
            lease.renew(db, [key_id], self._fence.token, self._fence.seconds)

    def _lost(self, db: Database, key_id: int, name: str) -> LedgerBusy:
        self._keys.pop(name, None)
        return lease.lost(db, key_id, name, self.place)

    @contextlib.contextmanager
    def _writing(self, key: Key, *, several: bool) -> Iterator[Database]:
        """Let one statement be its own transaction, or send ``several`` together in one."""
        with self._explained("write to"):
            db, _ = self._opened(key.name)
            with transaction(db) if several else contextlib.nullcontext():
                yield db

    def _check_lease(self, db: Database, key: Key, written: psycopg.Cursor[Any]) -> None:
        """Raise if the lease was lost, in which case the statement wrote nothing."""
        if not written.rowcount:
            raise self._lost(db, key.key_id, key.name)

    def _commit(self, key: Key, commit: Commit) -> int:
        letters, new = key.letters, bool(commit.dead_letters or commit.resolved)
        several = bool(letters or new)
        with self._writing(key, several=several) as db:
            written = write_commit(db, self._fence, key, commit, confirmed=True)
            if several:
                rows.insert_letters(db, key, commit)
                rows.settle(db, key, commit.epoch, letters=new)
                letters = rows.count_dead_letters(db, key.key_id, commit.epoch)
                save_key(db, key, commit.epoch, letters)
            self._check_lease(db, key, written)
        return letters

    def _write_pending(self, key: Key, commit: Commit, *, replaces: bool) -> None:
        new = bool(commit.dead_letters or commit.resolved)
        with self._writing(key, several=replaces or new) as db:
            if replaces:
                rows.drop_from(db, key, commit.epoch)
            written = write_commit(db, self._fence, key, commit, confirmed=False)
            if new:
                rows.insert_letters(db, key, commit)
                self._with_pending_letters.add(key.name)
            if replaces or new:
                rows.count_dead_letters(db, key.key_id, commit.epoch)
            self._check_lease(db, key, written)

    def _confirm(self, key: Key, confirmed: list[int], last: int) -> int:
        letters, new = key.letters, key.name in self._with_pending_letters
        several = bool(letters or new or confirmed != key.pending)
        with self._writing(key, several=several) as db:
            written = confirm_commits(db, self._fence, key, last)
            if several:
                for epoch in confirmed:
                    rows.settle(db, key, epoch, letters=new)
                rows.drop_from(db, key, last + 1)
                letters = rows.count_dead_letters(db, key.key_id, last)
                save_key(db, key, last, letters)
            self._check_lease(db, key, written)
        self._with_pending_letters.discard(key.name)
        return letters

    def _finish(self, db: Database, key: Key) -> None:
        with self._fenced(db, key.key_id, key.name):
            counts = keys.last_commit(db, key, self._errors.corrupt).counts_of(key.run)
            keys.end_run(db, key, to_json(counts, "counts"))
        key.running = key.open = False
        self._merge(db, key)

    def _merge(self, db: Database, key: Key) -> None:
        """Merge the outcomes of the last run into the documents; each part is a transaction."""
        some = True
        while some:
            with self._fenced(db, key.key_id, key.name):
                some = rows.merge(db, key)
            self._renew()  # the leases of other keys too

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``; takes the lease for the call if ``name`` is not open."""
        with self._explained("write to"):
            db = self._connected()
            return self._when_free(name, lambda: self._drop(db, name, records))

    def _drop(self, db: Database, name: str, records: Sequence[str] | None) -> int:
        ours = self._keys.get(name)
        with db.transaction():
            key = keys.load_key(db, name, self._errors.corrupt)
            if key is None:
                return 0
            lease.acquire(db, key.key_id, self._fence.token, self._fence.seconds)
            key = keys.load_key(db, name, self._errors.corrupt) or key  # as the last holder left it
            before = key.letters
            left = rows.drop_letters(db, key, records)
            save_key(db, key, key.epoch, left)
            if ours is None:
                lease.give_back(db, self._fence.token, key.key_id)
        if ours is not None:
            ours.letters = left
        return before - left
