"""The ledger in a SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.ledger.sqlite.store import SqliteStore
from penstock.ledger.threaded import ThreadedLedger
from penstock.system.places import file_path


class SqliteLedger(ThreadedLedger):
    """Keeps runs, commits, document states and dead letters in the SQLite file ``path``.

    It uses a write-ahead log with ``synchronous=FULL``, and one connection on one thread, so the event loop
    never waits for the disk. A cancelled call still runs, in its turn, and later calls wait for it. A lock on
    ``<path>.lock`` keeps other processes out. The file is opened at the first ``open``, which checks all of
    it: about a second per million documents. A closed ledger may be opened again.

    Args:
        path: The file. The first ``open`` creates it and its folders if they do not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = file_path(path)
        super().__init__(SqliteStore(self._path))

    @property
    def path(self) -> Path:
        """The file of the ledger."""
        return self._path

    @property
    def place(self) -> str:
        """The file of the ledger, as text for people."""
        return str(self._path)

    def __repr__(self) -> str:
        return f"SqliteLedger({os.fspath(self._path)!r})"
