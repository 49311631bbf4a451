"""The ledgers that must keep the same promises, each with a way to kill it."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest

from penstock.ledger import MemoryLedger, SqliteLedger


class MemoryKind:
    """In memory a crash is the end of a session: only what was committed is found again."""

    def __init__(self, folder: Path) -> None:
        pass

    def new(self):
        return MemoryLedger()

    async def crash(self, ledger):
        await ledger.aclose()
        return ledger


class SqliteKind:
    """On disk a crash leaves the files as they are at that moment, the log included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = count()

    def new(self):
        folder = self._folder / f"{next(self._names)}"
        folder.mkdir()
        return SqliteLedger(folder / "run.db")

    async def crash(self, ledger):
        after = self.new()
        for file in (ledger.path, ledger.path.with_name("run.db-wal")):
            if file.exists():
                shutil.copy(file, after.path.with_name(file.name))
        await ledger.aclose()
        shutil.rmtree(ledger.path.parent)
        return after


KINDS = {"memory": MemoryKind, "sqlite": SqliteKind}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    """Return one kind of ledger."""
    return KINDS[request.param](tmp_path)


@pytest.fixture
def kinds():
    """Return all kinds of ledger, by name."""
    return KINDS


@pytest.fixture
async def ledger(kind):
    """Return a fresh ledger of each kind."""
    ledger = kind.new()
    yield ledger
    await ledger.aclose()
