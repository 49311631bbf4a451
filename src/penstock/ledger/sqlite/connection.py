"""Opening the file of a SQLite ledger: created whole, locked, checked before it is believed."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError
from penstock.ledger.sqlite import schema, wal
from penstock.ledger.sqlite.trouble import corrupt, speaking
from penstock.system import DiskStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.system import Lock

__all__ = ["beside", "connect", "read_only", "transaction"]

_CACHE_KIB = 2048
_KEPT_LOG = 16 << 20
_BUSY_SECONDS = 5.0


def beside(path: Path, suffix: str) -> Path:
    """Return the path of one of the files that belong to ``path``."""
    return path.with_name(path.name + suffix)


def connect(path: Path, lock: Lock) -> sqlite3.Connection:
    """Take ``lock`` and open the ledger at ``path``, creating it if there is none; see ``Ledger.open``.

    The lock stays with the caller if this succeeds, and is released if it raises.
    """
    with speaking(path, "open"):
        _check_place(path)
        if (holder := lock.acquire()) is not None:
            raise LedgerBusy(
                f"the ledger {path} is in use by {holder}; wait for it or stop it, then run again"
            )
        try:
            if not path.exists():
                _create(path)
            return _opened(path)
        except BaseException:
            lock.release()
            raise


def read_only(path: Path) -> sqlite3.Connection:
    """Open the ledger at ``path`` to look at it, also while another process writes it.

    Raises:
        LedgerError: there is none, or it cannot be read.
        LedgerCorrupt: it is not a ledger.
    """
    with speaking(path, "read"):
        _check_place(path)
        if not path.exists():
            raise LedgerError(f"there is no ledger at {path}")
        try:
            return _reader(path, "mode=ro")
        except sqlite3.OperationalError:
            # In a folder that cannot be written the log's index cannot be made; without a log none is needed.
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
    """Commit what the block did, all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # after some errors SQLite has rolled back already
                connection.execute("ROLLBACK")
        raise


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise LedgerError(f"the ledger {path} is a folder; name a file, such as {path / 'run.db'}")
    if not path.parent.is_dir():
        raise LedgerError(
            f"cannot open the ledger {path}: its folder {path.parent} does not exist; create it first"
        )


def _create(path: Path) -> None:
    """Create a ledger that is whole from its first moment, so that an empty file never is one."""
    log = beside(path, "-wal")
    if log.exists():
        raise LedgerCorrupt(
            f"the ledger {path} is gone, and {log.name} beside it holds a part of it; "
            f"put {path.name} back, or delete {log.name} to begin anew"
        )
    storage, draft = DiskStorage(), beside(path, ".new")
    for leftover in (draft, beside(draft, "-wal"), beside(draft, "-shm"), beside(draft, "-journal")):
        leftover.unlink(missing_ok=True)
    with contextlib.closing(_connection(draft, "mode=rwc")) as connection:
        _make_durable(connection, draft)
        schema.create(connection)  # closing then moves everything from the log into the file, fsynced
    beside(path, "-shm").unlink(missing_ok=True)
    storage.rename(draft, path)
    storage.fsync_folder(path.parent)


def _opened(path: Path) -> sqlite3.Connection:
    if path.stat().st_size == 0:
        raise LedgerCorrupt(
            f"the ledger {path} is empty, and a ledger never is; "
            "put a backup of it back, or delete it to begin anew"
        )
    if (wrong := wal.damage(beside(path, "-wal"))) is not None:
        raise corrupt(path, wrong)
    connection = _connection(path, "mode=rw")
    try:
        version = schema.check_version(connection, path)
        _check_whole(connection, path)
        _make_durable(connection, path)
        schema.migrate(connection, version)
        with transaction(connection):  # finds out now, not at the first commit, whether it can be written
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_whole(connection: sqlite3.Connection, path: Path) -> None:
    # The quick check leaves out indexes, and dead letters are found by theirs.
    for check in ("PRAGMA quick_check(1)", "PRAGMA integrity_check(dead_letters)"):
        for (finding,) in connection.execute(check):
            if finding != "ok":
                raise corrupt(path, str(finding))
    for table, *_ in connection.execute("PRAGMA foreign_key_check"):
        raise corrupt(path, f"table {table} refers to keys that are not there")


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
    connection.execute(f"PRAGMA journal_size_limit={_KEPT_LOG}")
    if sys.platform == "darwin":
        connection.execute("PRAGMA fullfsync=ON")
        connection.execute("PRAGMA checkpoint_fullfsync=ON")
