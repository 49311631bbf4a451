"""What SQLite and the system complain of, in one clear sentence: what, where, and what to do."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError
from penstock.system import primary_code, reason, sqlite_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["corrupt", "speaking"]

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def corrupt(path: Path, detail: str) -> LedgerCorrupt:
    """Return the error for a ledger that cannot be trusted."""
    return LedgerCorrupt(
        f"the ledger {path} is damaged ({detail}); put a backup of it back, or move it and its output away "
        "and begin anew"
    )


@contextmanager
def speaking(path: Path, doing: str) -> Iterator[None]:
    """Turn errors of SQLite and of the system into ``LedgerError``; ``doing`` is such as "write to"."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, doing, error) from error
    except UnicodeDecodeError as error:
        raise corrupt(path, "it holds text that is no text") from error
    except OSError as error:
        raise LedgerError(f"cannot {doing} the ledger {path}: {reason(error)}") from error


def _explained(path: Path, doing: str, error: sqlite3.Error) -> LedgerError:
    # Absent where Python's own layer raised it, and there only text that is no UTF-8 can come up.
    code = getattr(error, "sqlite_errorcode", None)
    primary = primary_code(error)
    if primary == sqlite3.SQLITE_NOTADB:
        return LedgerCorrupt(
            f"{path} is not a SQLite database, so not a ledger, or its first page is damaged; "
            "choose another path for the ledger, or put a backup of it back"
        )
    if primary in _DAMAGED or (code is None and "decode" in str(error)):
        return corrupt(path, str(error))
    if primary in _BUSY:
        return LedgerBusy(
            f"the ledger {path} is locked by another program ({error}); close that, then run again"
        )
    return LedgerError(f"cannot {doing} the ledger {path}: {sqlite_reason(path, error)}")
