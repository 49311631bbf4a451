"""The ledger that most runs use: one SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.ledger.sqlite.store import Store
from penstock.ledger.threaded import ThreadedLedger

__all__ = ["SqliteLedger"]


class SqliteLedger(ThreadedLedger):
    """Keeps runs, commits, document states and dead letters in the SQLite file ``path``.

    Write-ahead log, ``synchronous=FULL``, one connection on one thread of its own: the loop never waits
    for the disk. A cancelled call still happens, in its turn, and what comes after it waits for it.
    A lock on ``<path>.lock`` keeps a second process out. Nothing is opened before the first ``open``, and
    a closed ledger may be opened again. Each first ``open`` checks the whole file: a second per million
    documents.

    Args:
        path: The file; created at the first ``open`` if there is none, its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        super().__init__(Store(self._path))

    @property
    def path(self) -> Path:
        """Where the ledger is."""
        return self._path

    @property
    def place(self) -> str:
        """The same, for people."""
        return str(self._path)

    def __repr__(self) -> str:
        return f"SqliteLedger({os.fspath(self._path)!r})"
