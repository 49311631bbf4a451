"""Helpers for tests of PostgreSQL ledgers: other processes, large commits, checks of what was committed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.errors import LedgerBusy
from penstock.ledger import PostgresLedger

from .. import forks  # noqa: TID252  tests are no installed package

HERE = Path(__file__).parent


def execute(url, statement, *values):
    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(statement, values)
        return cursor.fetchall() if cursor.description else None


class Holder:
    """Another process that holds the key ``k``."""

    def __init__(self, url, lease):
        self.process = forks.start(HERE / "hold_postgres.py", url, str(lease), text=True)
        self.began = self.hear()

    def hear(self):
        return self.process.stdout.readline().strip()

    def commit(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.hear()

    def send(self, what):
        self.process.send_signal(what)

    def end(self):
        self.process.kill()
        self.process.communicate()


def large(epoch):
    states = [DocumentState(f"{epoch}/{n}", "completed", f"{n:064x}") for n in range(500)]
    return Commit(epoch, {"at": epoch}, states, [DeadLetter(None, f"f#{epoch}", "x", "e", "E", b"raw")])


async def goes_on(url, epoch):
    async with PostgresLedger(url) as ledger:
        opened = await ledger.open("k")
        assert (opened.epoch, opened.position) == (epoch, {"at": epoch})
        assert await ledger.tally("k") == {"completed": 500 * epoch}
        assert [letter.key async for letter in ledger.dead_letters("k")] == [
            f"f#{n}" for n in range(1, epoch + 1)
        ]
        await ledger.commit("k", large(epoch + 1))


async def open_when_free(ledger):
    while True:
        try:
            return await ledger.open("k")
        except LedgerBusy:
            await asyncio.sleep(0.05)
