"""What a PostgreSQL ledger does with its database; synchronous, on the ledger's thread and its lease's."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from penstock.abc import Commit, DeadLetter, DocumentState, Opened, Standing
from penstock.errors import LedgerBusy, LedgerError
from penstock.ledger import postgres_keys as keys
from penstock.ledger import postgres_lease as lease
from penstock.ledger import postgres_rows as rows
from penstock.ledger.postgres_schema import prepare
from penstock.ledger.postgres_text import secrets_of, shown
from penstock.ledger.postgres_trouble import corrupt, speaking
from penstock.ledger.records import check_commit, dead_letter_of, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from penstock.ledger.keys import Key

    Database = psycopg.Connection[Any]

__all__ = ["PostgresStore", "connect"]

T = TypeVar("T")

_LETTERS_PER_PAGE = 16
_MOMENT = 1.0
_RENEWALS = 4
"""How often a lease is renewed in the time in which it would expire."""


def connect(url: str, name: str) -> Database:
    """Return a connection that promises what a ledger needs, whatever the server's settings are.

    Raises:
        LedgerError: the database is not one of UTF-8.
    """
    import psycopg

    db = psycopg.connect(url, autocommit=True, application_name=name, client_encoding="UTF8")
    encoding = db.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        db.close()
        raise LedgerError(
            f"the database of the ledger {shown(url)} has the encoding {encoding}; "
            "create one with ENCODING 'UTF8' for it"
        )
    try:
        db.execute("SET synchronous_commit = on; SET statement_timeout = 0; SET lock_timeout = 0")
        db.execute("SET client_min_messages = warning; SET idle_in_transaction_session_timeout = 0")
    except BaseException:
        db.close()
        raise
    return db


class PostgresStore:
    """The connection, or none yet. The promises are those of ``Ledger``, without the waiting."""

    def __init__(self, url: str, seconds: float) -> None:
        self.place = shown(url)
        self._url = url
        self._secrets = secrets_of(url)
        self._seconds = seconds
        self._token = uuid4().hex
        self._mutex = threading.RLock()
        self._db: Database | None = None
        self._keys: dict[str, Key] = {}
        self._renewal: lease.Renewal | None = None

    # -- opening and closing

    def open(self, name: str, *, restart: bool) -> Opened:
        """See ``Ledger.open``."""
        with self._mutex, self._speaking("open"):
            db = self._connected()
            return self._in_time(name, lambda: self._begin(db, name, restart=restart))

    def _connected(self) -> Database:
        if self._db is None:
            db = connect(self._url, "penstock ledger")
            try:
                prepare(db, self.place)
            except BaseException:
                db.close()
                raise
            self._db = db
            self._renewal = lease.Renewal(self._renew, self._seconds / _RENEWALS)
        return self._db

    def _in_time(self, name: str, call: Callable[[], T]) -> T:
        """Make a call that takes a lease; the server needs a moment to notice that a holder was killed."""
        until = time.monotonic() + _MOMENT
        while True:
            try:
                return call()
            except lease.Held as held:
                if held.surely_alive or time.monotonic() > until:
                    raise LedgerBusy(
                        f"{name!r} in the ledger {self.place} is in use by {held.holder}; "
                        "wait for it or stop it, then run again"
                    ) from None
            time.sleep(_MOMENT / 10)

    def close(self) -> None:
        """See ``Ledger.aclose``."""
        with self._mutex:
            db, self._db = self._db, None
            self._keys = {}
            renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.stop()
        if db is not None:
            import psycopg

            with contextlib.suppress(psycopg.Error):  # then the leases expire
                lease.give_back(db, self._token)
            db.close()

    def _renew(self) -> None:
        import psycopg

        with self._mutex, contextlib.suppress(psycopg.Error):  # what is wrong is told to who calls next
            if self._db is not None:
                held = [key.key_id for key in self._keys.values()]
                lease.renew(self._db, held, self._token, self._seconds)

    def _begin(self, db: Database, name: str, *, restart: bool) -> Opened:
        with db.transaction():
            key_id = keys.new_key(db, name)
            self._keys.pop(name, None)
            lease.acquire(db, key_id, self._token, self._seconds)
            key = keys.load_key(db, name, self.place)
            resumed = key is not None and key.running and not restart
            if key is None or not resumed:
                if key is not None and restart:
                    rows.forget(db, key)
                key = keys.begin_run(db, key_id, name, key, restart=restart)
            commit = keys.last_commit(db, key, self.place)
        key.open = True
        self._keys[name] = key
        run, position, record, counts = commit or (0, None, None, {})
        return Opened(
            run=key.run,
            epoch=key.epoch,
            position=position,
            record=record,
            counts=counts if run == key.run else {},
            resumed=resumed,
            started_at=key.started_at,
        )

    def _opened(self, name: str) -> tuple[Database, Key]:
        key = self._keys.get(name)
        if self._db is None or key is None or not key.open:
            raise LedgerError(f"the ledger {self.place} is not open for {name!r}; await open({name!r}) first")
        return self._db, key

    @contextlib.contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        try:
            with speaking(self.place, doing, self._secrets):
                yield
        finally:
            if self._db is not None and self._db.closed:  # it broke: what is next must be opened anew
                self._db, self._keys = None, {}
                renewal, self._renewal = self._renewal, None
                if renewal is not None:
                    renewal.stop_soon()

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[tuple[Database, Key]]:
        """Begin a transaction under the lease, which is renewed at its beginning and at its end."""
        with self._mutex, self._speaking("write to"):
            db, key = self._opened(name)
            with db.transaction():
                if not lease.renew(db, [key.key_id], self._token, self._seconds):
                    key.open = False
                    raise lease.lost(db, key.key_id, name, self.place)
                yield db, key
                lease.renew(db, [key.key_id], self._token, self._seconds)

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[tuple[Database, Key]]:
        with self._mutex, self._speaking("read"):
            yield self._opened(name)

    # -- writing

    def commit(self, name: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=key.pending, states=commit.states)
        with self._writing(name) as (db, key):
            keys.insert_commit(db, key, commit, "confirmed")
            rows.insert(db, key, commit)
            some = key.letters or commit.dead_letters or commit.resolved
            letters = rows.settle(db, key, commit.epoch) if some else 0
            keys.save_key(db, key, commit.epoch, letters)
        key.epoch, key.letters = commit.epoch, letters

    def pending(self, name: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=(), states=commit.states)
        with self._writing(name) as (db, key):
            rows.drop_from(db, key, commit.epoch)
            keys.insert_commit(db, key, commit, "pending")
            rows.insert(db, key, commit)
        key.pending = [*(epoch for epoch in key.pending if epoch < commit.epoch), commit.epoch]

    def confirm(self, name: str, epoch: int) -> None:
        """See ``Ledger.confirm``."""
        _, key = self._opened(name)
        if not key.pending:
            return
        true = [pending for pending in key.pending if pending <= epoch]
        last = max(true, default=key.epoch)
        with self._writing(name) as (db, key):
            db.execute(
                "UPDATE penstock_ledger.commits SET state = 'confirmed' WHERE key_id = %s AND epoch <= %s",
                (key.key_id, last),
            )
            letters = key.letters
            for pending in true:
                letters = rows.settle(db, key, pending)
            rows.drop_from(db, key, last + 1)
            keys.save_key(db, key, last, letters)
        key.epoch, key.letters, key.pending = last, letters, []

    def finish(self, name: str) -> None:
        """See ``Ledger.finish``."""
        _, key = self._opened(name)
        if key.pending:
            raise LedgerError(
                f"epoch {key.pending[0]} of {name!r} is still pending; confirm up to some epoch before finish"
            )
        with self._writing(name) as (db, key):
            commit = keys.last_commit(db, key, self.place)
            counts = commit[3] if commit is not None and commit[0] == key.run else {}
            keys.end_run(db, key, to_json(counts, "counts"))
            rows.merge(db, key)
        key.running = key.open = False

    def drop_dead_letters(self, name: str, records: Sequence[str] | None) -> int:
        """See ``Ledger.drop_dead_letters``; takes the lease for it if ``name`` is not open."""
        with self._mutex, self._speaking("write to"):
            db = self._connected()
            return self._in_time(name, lambda: self._drop(db, name, records))

    def _drop(self, db: Database, name: str, records: Sequence[str] | None) -> int:
        ours = self._keys.get(name)
        with db.transaction():
            key = keys.load_key(db, name, self.place)
            if key is None:
                return 0
            lease.acquire(db, key.key_id, self._token, self._seconds)
            key = keys.load_key(db, name, self.place) or key  # as its last holder left it
            before = key.letters
            left = rows.drop_letters(db, key, records)
            keys.save_key(db, key, key.epoch, left)
            if ours is None:
                lease.give_back(db, self._token, key.key_id)
        if ours is not None:
            ours.letters = left
        return before - left

    # -- reading

    def unchanged(self, name: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """See ``Ledger.unchanged``."""
        return [standing == "unchanged" for standing in self.compare(name, documents)]

    def compare(self, name: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """See ``Ledger.compare``."""
        with self._reading(name) as (db, key):
            return rows.compare(db, key, documents)

    def states(self, name: str, doc_ids: Sequence[str]) -> list[DocumentState | None]:
        """See ``ThreadedLedger.states``."""
        with self._reading(name) as (db, key):
            return rows.states(db, key, doc_ids)

    def tally(self, name: str) -> dict[str, int]:
        """See ``ThreadedLedger.tally``."""
        with self._reading(name) as (db, key):
            return rows.tally(db, key)

    def count_dead_letters(self, name: str) -> int:
        """See ``Ledger.count_dead_letters``."""
        return self._opened(name)[1].letters

    def dead_letters(self, name: str, after: int) -> tuple[list[DeadLetter], int | None]:
        """Return the page of letters behind the row ``after``, and the row to go on after."""
        with self._reading(name) as (db, key):
            found = rows.dead_letters(db, key, after, _LETTERS_PER_PAGE)
        letters: list[DeadLetter] = []
        for row_id, *fields, expected in found:
            letter = dead_letter_of(fields, expected)
            if letter is None:
                raise corrupt(self.place, f"dead letter {row_id} of {name!r} fails its checksum")
            letters.append(letter)
        return letters, found[-1][0] if found else None
