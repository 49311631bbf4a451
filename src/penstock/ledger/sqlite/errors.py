"""Turn errors of SQLite and of the system into sentences: what happened, where, and what to do."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import LedgerBusy, LedgerCorrupt, LedgerError
from penstock.system import primary_code, reason, sqlite_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteErrors:
    """The errors of the ledger in the file ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """Where the ledger is, for messages."""
        return str(self._path)

    def corrupt(self, detail: str) -> LedgerCorrupt:
        """Return the error for a damaged ledger."""
        return LedgerCorrupt(
            f"the ledger {self._path} is damaged ({detail}); restore it from a backup, "
            "or move it and its output away and begin anew"
        )

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn errors of SQLite and of the system into ``LedgerError``; ``doing`` is such as "write to"."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(doing, error) from error
        except UnicodeDecodeError as error:
            raise self.corrupt("it holds text that is not UTF-8") from error
        except OSError as error:
            raise LedgerError(f"cannot {doing} the ledger {self._path}: {reason(error)}") from error

    def _explain(self, doing: str, error: sqlite3.Error) -> LedgerError:
        primary = primary_code(error)
        if primary == sqlite3.SQLITE_NOTADB:
            return LedgerCorrupt(
                f"{self._path} is not a SQLite database, so not a ledger, or its first page is damaged; "
                "choose another path for the ledger, or restore it from a backup"
            )
        # Python's sqlite3 raises errors without a code, about decoding, only for text that is not UTF-8.
        if primary in _DAMAGED or (primary is None and "decode" in str(error)):
            return self.corrupt(str(error))
        if primary in _BUSY:
            return LedgerBusy(
                f"the ledger {self._path} is locked by another program ({error}); close it, then run again"
            )
        return LedgerError(f"cannot {doing} the ledger {self._path}: {sqlite_reason(self._path, error)}")
