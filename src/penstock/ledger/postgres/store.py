"""The store of a PostgreSQL ledger: one connection, used by the ledger's thread and by the lease's thread."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from penstock.errors import LedgerBusy
from penstock.ledger.postgres import lease
from penstock.ledger.postgres.commit import confirm_commits, write_commit
from penstock.ledger.postgres.connection import connect, transaction
from penstock.ledger.postgres.errors import PostgresErrors
from penstock.ledger.postgres.schema import SCHEMA, prepare
from penstock.ledger.postgres.tables import PostgresTables
from penstock.ledger.records import to_json
from penstock.ledger.store import Store
from penstock.system import lock_holder, release_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from penstock.abc import Commit, Opened
    from penstock.ledger.keys import Key

T = TypeVar("T")

_BUSY_SECONDS = 1.0
"""How long ``open`` waits for a lease before it raises ``LedgerBusy``."""
_KILLED_SECONDS = 10.0
"""The same if the holder was killed: the server may need that long to end its statement and its session."""
_RETRY_SECONDS = 0.1
_RENEWALS_PER_LEASE = 4


class PostgresStore(Store[PostgresTables]):
    """The connection, if any, and the leases of its keys."""

    def __init__(self, url: str, lease_seconds: float) -> None:
        self._errors = PostgresErrors(url)
        super().__init__(self._errors.place)
        self._url = url
        self._fence = lease.Fence(uuid4().hex, lease_seconds)
        self._mutex = threading.RLock()
        self._with_pending_letters: set[str] = set()
        """The keys whose pending commits may hold dead letters."""
        self._renewal: lease.Renewal | None = None

    # -- opening and closing

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        with self._explained("open"):
            tables = self._connected()
            return self._when_free(name, lambda: self._begin(tables, name, restart=restart))

    def _connected(self) -> PostgresTables:
        if self._tables is None:
            db = connect(self._url, "penstock ledger")
            try:
                with self._naming_the_holder(db):
                    prepare(db, self.place)
                self._renewal = lease.Renewal(self._renew, self._fence.seconds / _RENEWALS_PER_LEASE)
            except BaseException:
                db.close()
                raise
            self._tables = PostgresTables(db, self._errors.corrupt)
        return self._tables

    def _when_free(self, name: str, call: Callable[[], T]) -> T:
        """Make a call that takes a lease; try again while the holder may be about to lose it."""
        began, is_first = time.monotonic(), True
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
                if is_first and held.holder.is_this_process:
                    release_abandoned()
            is_first = False
            time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """See ``Ledger.aclose``."""
        with self._mutex:
            tables, renewal = self._forget_connection()
        if renewal is not None:
            renewal.stop()
        if tables is not None:
            import psycopg

            with contextlib.suppress(psycopg.Error):  # the leases then expire
                lease.give_back(tables.db, self._fence.token)
            tables.db.close()

    def __del__(self) -> None:
        tables = getattr(self, "_tables", None)
        if tables is not None:  # dropped: the end of the session frees the leases
            tables.db.close()

    def _forget_connection(self) -> tuple[PostgresTables | None, lease.Renewal | None]:
        tables, renewal = self._tables, self._renewal
        self._tables, self._renewal, self._keys, self._begun = None, None, {}, {}
        return tables, renewal

    def _renew(self) -> None:
        import psycopg

        with self._mutex, contextlib.suppress(psycopg.Error):  # the next call reports what is wrong
            if self._tables is not None:
                lease.renew(self._tables.db, self._fence, *(key.key_id for key in self._keys.values()))

    def _begin(self, tables: PostgresTables, name: str, *, restart: bool) -> Opened:
        self._keys.pop(name, None)
        with tables.db.transaction():
            key_id = tables.new_key(name)
            lease.acquire(tables.db, key_id, self._fence)
            key = tables.load_key(name)
        resumed = key is not None and key.running and not restart
        if key is not None and not key.running and not restart:
            self._merge(tables, key)  # an earlier merge may have been interrupted
        before = key
        with self._fenced(tables, key_id, name):
            if key is None or not resumed:
                if key is not None and restart:
                    tables.forget(key)
                key = tables.begin_run(name, key, restart=restart)
            commit = tables.last_commit(key)
        if not resumed:
            self._begins(name, before, restart=restart)
        self._with_pending_letters.discard(name)
        if key.pending:
            self._with_pending_letters.add(name)
        key.open = True
        self._keys[name] = key
        return commit.opened(key, resumed=resumed)

    def _undo(self, tables: PostgresTables, key: Key, before: Key | None) -> None:
        with self._fenced(tables, key.key_id, key.name):
            tables.undo_run(key, before)
        del self._keys[key.name]
        lease.give_back(tables.db, self._fence.token, key.key_id)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Keep the lease's thread out, and explain errors; forget a connection that broke."""
        with self._mutex:
            try:
                with self._errors.explained(doing), self._naming_the_holder():
                    yield
            finally:
                if self._tables is not None and self._tables.db.closed:
                    _, renewal = self._forget_connection()
                    if renewal is not None:
                        renewal.stop_soon()

    @contextlib.contextmanager
    def _naming_the_holder(self, db: psycopg.Connection[Any] | None = None) -> Iterator[None]:
        """Raise ``LedgerBusy`` if another session does not release a lock in time; it says which session."""
        from psycopg.errors import LockNotAvailable

        try:
            yield
        except LockNotAvailable as error:
            if db is None and self._tables is not None:
                db = self._tables.db
            holder = "another session" if db is None else lock_holder(db, SCHEMA)
            raise self._errors.locked(holder) from error

    # -- writing under the lease

    @contextlib.contextmanager
    def _fenced(self, tables: PostgresTables, key_id: int, name: str) -> Iterator[None]:
        """Run a transaction under the lease; renew the lease at its beginning and at its end."""
        with tables.db.transaction():
            if not lease.renew(tables.db, self._fence, key_id):
                raise self._lost(tables, key_id, name)
            yield
            lease.renew(tables.db, self._fence, key_id)

    def _lost(self, tables: PostgresTables, key_id: int, name: str) -> LedgerBusy:
        self._keys.pop(name, None)
        return lease.lost(tables.db, key_id, name, self.place)

    @contextlib.contextmanager
    def _writing(self, key: Key, *, several: bool) -> Iterator[PostgresTables]:
        """Let one statement be its own transaction, or send ``several`` together in one."""
        with self._explained("write to"):
            tables, _ = self._opened(key.name)
            with transaction(tables.db) if several else contextlib.nullcontext():
                yield tables

    def _check_lease(self, tables: PostgresTables, key: Key, written: psycopg.Cursor[Any]) -> None:
        """Raise if the lease was lost, in which case the statement wrote nothing."""
        if not written.rowcount:
            raise self._lost(tables, key.key_id, key.name)

    def _commit(self, key: Key, commit: Commit) -> int:
        letters, new = key.letters, bool(commit.dead_letters or commit.resolved)
        several = bool(letters or new)
        with self._writing(key, several=several) as tables:
            written = write_commit(tables.db, self._fence, key, commit, confirmed=True)
            if several:
                tables.insert_letters(key, commit)
                tables.settle(key, commit.epoch, letters=new)
                letters = tables.count_dead_letters(key.key_id, commit.epoch)
                tables.save_key(key, commit.epoch, letters)
            self._check_lease(tables, key, written)
        return letters

    def _write_pending(self, key: Key, commit: Commit, *, replaces: bool) -> None:
        new = bool(commit.dead_letters or commit.resolved)
        with self._writing(key, several=replaces or new) as tables:
            if replaces:
                tables.drop_from(key, commit.epoch)
            written = write_commit(tables.db, self._fence, key, commit, confirmed=False)
            if new:
                tables.insert_letters(key, commit)
                self._with_pending_letters.add(key.name)
            if replaces or new:  # any query: its answer follows the row count that is checked next
                tables.count_dead_letters(key.key_id, commit.epoch)
            self._check_lease(tables, key, written)

    def _confirm(self, key: Key, confirmed: list[int], last: int) -> int:
        letters, new = key.letters, key.name in self._with_pending_letters
        several = bool(letters or new or confirmed != key.pending)
        with self._writing(key, several=several) as tables:
            written = confirm_commits(tables.db, self._fence, key, last)
            if several:
                for epoch in confirmed:
                    tables.settle(key, epoch, letters=new)
                tables.drop_from(key, last + 1)
                letters = tables.count_dead_letters(key.key_id, last)
                tables.save_key(key, last, letters)
            self._check_lease(tables, key, written)
        self._with_pending_letters.discard(key.name)
        return letters

    def _finish(self, tables: PostgresTables, key: Key) -> None:
        with self._fenced(tables, key.key_id, key.name):
            counts = tables.last_commit(key).counts_of(key.run)
            tables.end_run(key, to_json(counts, "counts"))
        key.running = key.open = False
        self._merge(tables, key)

    def _merge(self, tables: PostgresTables, key: Key) -> None:
        """Merge the outcomes of the last run into the documents; each part is a transaction."""
        some = True
        while some:
            with self._fenced(tables, key.key_id, key.name):
                some = tables.merge(key)
            self._renew()  # the leases of other keys too

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``; takes the lease for the call if ``name`` is not open."""
        with self._explained("write to"):
            tables = self._connected()
            return self._when_free(name, lambda: self._drop(tables, name, records))

    def _drop(self, tables: PostgresTables, name: str, records: Sequence[str] | None) -> int:
        ours = self._keys.get(name)
        with tables.db.transaction():
            key = tables.load_key(name)
            if key is None:
                return 0
            lease.acquire(tables.db, key.key_id, self._fence)
            key = tables.load_key(name) or key  # as the last holder left it
            before = key.letters
            left = tables.drop_letters(key, records)
            tables.save_key(key, key.epoch, left)
            if ours is None:
                lease.give_back(tables.db, self._fence.token, key.key_id)
        if ours is not None:
            ours.letters = left
        return before - left
