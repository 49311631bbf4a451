"""A process that opens a ledger, prints a line, and keeps it open until its input ends."""

import asyncio
import sys

from penstock.ledger import SqliteLedger


async def main(path):
    async with SqliteLedger(path) as ledger:
        await ledger.open("k")
        sys.stdout.write("open\n")
        sys.stdout.flush()
        sys.stdin.read()


asyncio.run(main(sys.argv[1]))
