"""What a PostgreSQL ledger does with its database; synchronous, on the ledger's thread and its lease's."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from penstock.abc import Commit, DeadLetter, DocumentState, Opened, Standing
from penstock.errors import LedgerBusy, LedgerError
from penstock.ledger.postgres import keys, lease, rows
from penstock.ledger.postgres.commit import confirm_commits, save_key, write_commit
from penstock.ledger.postgres.schema import prepare
from penstock.ledger.postgres.text import secrets_of, shown
from penstock.ledger.postgres.trouble import corrupt, speaking
from penstock.ledger.records import check_commit, dead_letter_of, to_json
from penstock.system import end_with_client, postgres_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from penstock.ledger.sqlite.keys import Key

    Database = psycopg.Connection[Any]

__all__ = ["PostgresStore", "connect"]

T = TypeVar("T")

_LETTERS_PER_PAGE = 16
_MOMENT = 1.0
_PATIENCE = 10.0
"""Seconds until the server must know that a process of this machine is gone, also amid a statement of it."""
_RENEWALS = 4
"""How often a lease is renewed in the time in which it would expire."""


def connect(url: str, name: str) -> Database:
    """Return a connection that promises what a ledger needs, whatever the server's settings are.

    Raises:
        LedgerError: the database is not one of UTF-8.
    """
    import psycopg

    db = psycopg.connect(**{**postgres_parameters(url), "application_name": name}, autocommit=True)
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
        end_with_client(db)
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
        self._fence = lease.Fence(uuid4().hex, seconds)
        self._mutex = threading.RLock()
        self._db: Database | None = None
        self._keys: dict[str, Key] = {}
        self._unsettled: set[str] = set()
        """The keys whose pending commits may hold dead letters."""
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
            self._renewal = lease.Renewal(self._renew, self._fence.seconds / _RENEWALS)
        return self._db

    def _in_time(self, name: str, call: Callable[[], T]) -> T:
        """Make a call that takes a lease; the server needs a moment to notice that a holder was killed."""
        began = time.monotonic()
        while True:
            try:
                return call()
            except lease.Held as held:
                patience = _PATIENCE if held.surely_gone else _MOMENT
                if held.surely_alive or time.monotonic() - began > patience:
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
                lease.give_back(db, self._fence.token)
            db.close()

    def _renew(self) -> None:
        import psycopg

        with self._mutex, contextlib.suppress(psycopg.Error):  # what is wrong is told to who calls next
            if self._db is not None:
                held = [key.key_id for key in self._keys.values()]
                lease.renew(self._db, held, self._fence.token, self._fence.seconds)

    def _begin(self, db: Database, name: str, *, restart: bool) -> Opened:
        self._keys.pop(name, None)
        with db.transaction():
            key_id = keys.new_key(db, name)
            lease.acquire(db, key_id, self._fence.token, self._fence.seconds)
            key = keys.load_key(db, name, self.place)
        resumed = key is not None and key.running and not restart
        if key is not None and not key.running and not restart:
            self._merge(db, key)  # an earlier merge may have been interrupted
        with self._fenced(db, key_id, name):
            if key is None or not resumed:
                if key is not None and restart:
                    rows.forget(db, key)
                key = keys.begin_run(db, key_id, name, key, restart=restart)
            commit = keys.last_commit(db, key, self.place)
        self._unsettled.discard(name)
        if key.pending:
            self._unsettled.add(name)
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
    def _fenced(self, db: Database, key_id: int, name: str) -> Iterator[None]:
        """Begin a transaction under the lease, which is renewed at its beginning and at its end."""
        with db.transaction():
            if not lease.renew(db, [key_id], self._fence.token, self._fence.seconds):
                raise self._lost(db, key_id, name)
            yield
            lease.renew(db, [key_id], self._fence.token, self._fence.seconds)

    def _lost(self, db: Database, key_id: int, name: str) -> LedgerBusy:
        self._keys.pop(name, None)
        return lease.lost(db, key_id, name, self.place)

    @contextlib.contextmanager
    def _writing(self, name: str, *, several: bool) -> Iterator[tuple[Database, Key]]:
        """Let one statement be a transaction; or begin one for several, which go out together."""
        with self._mutex, self._speaking("write to"):
            db, key = self._opened(name)
            if several:
                with _transaction(db):
                    yield db, key
            else:
                yield db, key

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[tuple[Database, Key]]:
        with self._mutex, self._speaking("read"):
            yield self._opened(name)

    # -- writing

    def commit(self, name: str, commit: Commit) -> None:
        """See ``Ledger.commit``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=key.pending, states=commit.states)
        letters, new = key.letters, bool(commit.dead_letters or commit.resolved)
        some = bool(letters or new)
        with self._writing(name, several=some) as (db, key):
            written = write_commit(db, self._fence, key, commit, true=True)
            if some:
                rows.insert_letters(db, key, commit)
                rows.settle(db, key, commit.epoch, letters=new)
                letters = rows.count_dead_letters(db, key.key_id, commit.epoch)
                save_key(db, key, commit.epoch, letters)
            self._check(db, key, written)
        key.epoch, key.letters = commit.epoch, letters

    def _check(self, db: Database, key: Key, written: psycopg.Cursor[Any]) -> None:
        """Raise before anything is committed, if the lease was lost."""
        if not written.rowcount:
            raise self._lost(db, key.key_id, key.name)

    def pending(self, name: str, commit: Commit) -> None:
        """See ``Ledger.pending``."""
        _, key = self._opened(name)
        check_commit(name, commit.epoch, last=key.epoch, pending=(), states=commit.states)
        earlier = [epoch for epoch in key.pending if epoch < commit.epoch]
        replaces, some = earlier != key.pending, bool(commit.dead_letters or commit.resolved)
        with self._writing(name, several=replaces or some) as (db, key):
            if replaces:
                rows.drop_from(db, key, commit.epoch)
            written = write_commit(db, self._fence, key, commit, true=False)
            if some:
                rows.insert_letters(db, key, commit)
                self._unsettled.add(name)
            if replaces or some:
                rows.count_dead_letters(db, key.key_id, commit.epoch)
            self._check(db, key, written)
        key.pending = [*earlier, commit.epoch]

    def confirm(self, name: str, epoch: int) -> None:
        """See ``Ledger.confirm``."""
        _, key = self._opened(name)
        if not key.pending:
            return
        true = [pending for pending in key.pending if pending <= epoch]
        last = max(true, default=key.epoch)
        letters = key.letters
        unsettled = name in self._unsettled
        some = bool(letters or unsettled or true != key.pending)
        with self._writing(name, several=some) as (db, key):
            confirmed = confirm_commits(db, self._fence, key, last)
            if some:
                for pending in true:
                    rows.settle(db, key, pending, letters=unsettled)
                rows.drop_from(db, key, last + 1)
                letters = rows.count_dead_letters(db, key.key_id, last)
                save_key(db, key, last, letters)
            self._check(db, key, confirmed)
        self._unsettled.discard(name)
        key.epoch, key.letters, key.pending = last, letters, []

    def finish(self, name: str) -> None:
        """See ``Ledger.finish``."""
        with self._mutex, self._speaking("write to"):
            db, key = self._opened(name)
            if key.pending:
                raise LedgerError(
                    f"epoch {key.pending[0]} of {name!r} is still pending; "
                    "confirm up to some epoch before finish"
                )
            with self._fenced(db, key.key_id, name):
                commit = keys.last_commit(db, key, self.place)
                counts = commit[3] if commit is not None and commit[0] == key.run else {}
                keys.end_run(db, key, to_json(counts, "counts"))
            key.running = key.open = False
            self._merge(db, key)

    def _merge(self, db: Database, key: Key) -> None:
        """Let the next run know the outcomes of the last one; each part is a transaction of its own."""
        some = True
        while some:
            with self._fenced(db, key.key_id, key.name):
                some = rows.merge(db, key)
            self._renew()  # other keys too

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
            lease.acquire(db, key.key_id, self._fence.token, self._fence.seconds)
            key = keys.load_key(db, name, self.place) or key  # as its last holder left it
            before = key.letters
            left = rows.drop_letters(db, key, records)
            save_key(db, key, key.epoch, left)
            if ours is None:
                lease.give_back(db, self._fence.token, key.key_id)
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

    def revised(self, name: str, after: tuple[int, int]) -> tuple[list[str], tuple[int, int] | None]:
        """Return some of what ``Ledger.revised`` yields, behind ``after``, and where to go on."""
        with self._reading(name) as (db, key):
            return rows.revised(db, key, after)

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


@contextlib.contextmanager
def _transaction(db: Database) -> Iterator[None]:
    """Let statements go out together, waiting only for answers that are looked at and that of the COMMIT.

    psycopg's own ``transaction()`` waits for that of the BEGIN too.
    """
    import psycopg

    failed: BaseException | None = None
    try:
        with db.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext():
            try:
                db.execute("BEGIN")
                yield
                db.execute("COMMIT")
            except BaseException as error:  # noqa: BLE001  raised below: here psycopg would log what comes of it
                failed = error
    except psycopg.Error as error:
        failed = failed or error
    if failed is not None:
        try:
            db.rollback()
        except psycopg.Error:
            db.close()
        raise failed
