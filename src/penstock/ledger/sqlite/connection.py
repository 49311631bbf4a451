"""Open the file of a SQLite ledger: create it as a whole, lock it, check it before it is used."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError
from penstock.ledger.sqlite import schema, wal
from penstock.ledger.sqlite.errors import SqliteErrors
from penstock.system import DiskStorage, acquire_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.system import Lock

_CACHE_KIB = 2048
_KEPT_LOG_BYTES = 16 << 20
_BUSY_SECONDS = 5.0


def beside(path: Path, suffix: str) -> Path:
    """Return the path of the file beside ``path`` with this suffix, such as ``-wal``."""
    return path.with_name(path.name + suffix)


def connect(path: Path, lock: Lock) -> tuple[sqlite3.Connection, bool]:
    """Take ``lock`` and open the ledger at ``path``; create it if it does not exist. See ``Ledger.open``.

    Also returns whether it was created. If this succeeds, the caller holds the lock; if it raises, the lock
    is released.
    """
    with SqliteErrors(path).explained("open"):
        _refuse_folder(path)
        if (holder := acquire_lock(lock)) is not None:
            own = "pass the same ledger object to both, or `await ledger.aclose()` the first one"
            advice = own if holder.is_this_process else "wait for it or stop it, then run again"
            raise LedgerBusy(f"the ledger {path} is in use by {holder}; {advice}")
        try:
            is_new = not path.exists()
            if is_new:
                _create(path)
            return _opened(path), is_new
        except BaseException:
            lock.release()
            raise


def remove(path: Path) -> None:
    """Remove the closed ledger at ``path``, if that is possible; its lock is held."""
    with contextlib.suppress(OSError):
        for file in (path, beside(path, "-wal"), beside(path, "-shm")):
            file.unlink(missing_ok=True)
        DiskStorage().fsync_folder(path.parent)


def read_only(path: Path) -> sqlite3.Connection:
    """Open the ledger at ``path`` for reading; another process may be writing it.

    Raises:
        LedgerError: it does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger.
    """
    with SqliteErrors(path).explained("read"):
        _refuse_folder(path)
        if not path.exists():
            raise LedgerError(f"there is no ledger at {path}")
        try:
            return _reader(path, "mode=ro")
        except sqlite3.OperationalError:
            # In a read-only folder SQLite cannot create the index of the log. Without a log it needs none.
            if beside(path, "-wal").exists():
                raise
            return _reader(path, "mode=ro&immutable=1")


def _reader(path: Path, query: str) -> sqlite3.Connection:
    connection = _connection(path, query)
    try:
        schema.check_version(connection, path)
        connection.execute("SELECT count(*) FROM keys").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a transaction: commit it as a whole, or roll it back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite itself rolls back after some errors
                connection.execute("ROLLBACK")
        raise


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise LedgerError(f"the ledger {path} is a folder; name a file, such as {path / 'run.db'}")
    if path.parent.exists() and not path.parent.is_dir():
        raise LedgerError(f"cannot open the ledger {path}: {path.parent} is not a folder; correct the path")


def _create(path: Path) -> None:
    """Create the ledger under another name and rename it, so that an empty file never is a ledger."""
    log = beside(path, "-wal")
    if log.exists() and log.stat().st_size:
        raise LedgerCorrupt(
            f"the ledger {path} is gone, but {log.name} beside it holds a part of it; "
            f"put {path.name} back, or delete {log.name} and the output to begin anew"
        )
    storage, draft = DiskStorage(), beside(path, ".new")
    for leftover in (draft, beside(draft, "-wal"), beside(draft, "-shm"), beside(draft, "-journal")):
        leftover.unlink(missing_ok=True)
    with contextlib.closing(_connection(draft, "mode=rwc")) as connection:
        _make_durable(connection, draft)
        schema.create(connection)
    # Closing has copied the log into the file, and fsynced it.
    beside(path, "-shm").unlink(missing_ok=True)
    storage.rename(draft, path)
    storage.fsync_folder(path.parent)


def _opened(path: Path) -> sqlite3.Connection:
    if path.stat().st_size == 0:
        raise LedgerCorrupt(
            f"the ledger {path} is empty, which a ledger never is; "
            "restore it from a backup, or delete it and its output to begin anew"
        )
    errors = SqliteErrors(path)
    if (damage := wal.find_damage(beside(path, "-wal"))) is not None:
        raise errors.corrupt(damage)
    connection = _connection(path, "mode=rw")
    try:
        version = schema.check_version(connection, path)
        _check_integrity(connection, errors)
        _make_durable(connection, path)
        schema.migrate(connection, version)
        with transaction(connection):  # writes once, so that a read-only file is refused now
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_integrity(connection: sqlite3.Connection, errors: SqliteErrors) -> None:
    # The quick check leaves out indexes, but dead letters are found by an index.
    for check in ("PRAGMA quick_check(1)", "PRAGMA integrity_check(dead_letters)"):
        for (finding,) in connection.execute(check):
            if finding != "ok":
                raise errors.corrupt(str(finding))
    for table, *_ in connection.execute("PRAGMA foreign_key_check"):
        raise errors.corrupt(f"table {table} refers to keys that do not exist")


def _connection(path: Path, query: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{query}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)


def _make_durable(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"the file system of {path} cannot keep a write-ahead log; put the ledger on a local disk"
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit={_KEPT_LOG_BYTES}")
    if sys.platform == "darwin":
        connection.execute("PRAGMA fullfsync=ON")
        connection.execute("PRAGMA checkpoint_fullfsync=ON")
