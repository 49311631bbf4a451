"""A process that opens a key of a PostgreSQL ledger, prints a line, and commits once per line of its input.

A line that is not empty commits 500 documents.
"""

import asyncio
import sys

from penstock.abc import Commit, DocumentState
from penstock.errors import LedgerError
from penstock.ledger import PostgresLedger


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(url, lease):
    async with PostgresLedger(url, lease=float(lease)) as ledger:
        opened = await ledger.open("k")
        say("open", opened.run, opened.epoch, opened.resumed)
        for epoch, line in enumerate(sys.stdin, opened.epoch + 1):
            states = [DocumentState(f"{n}", "completed", "") for n in range(500 if line.strip() else 0)]
            try:
                await ledger.commit("k", Commit(epoch, {"at": epoch}, states))
                say(epoch)
            except LedgerError as error:
                say(type(error).__name__, error)


asyncio.run(main(*sys.argv[1:]))
