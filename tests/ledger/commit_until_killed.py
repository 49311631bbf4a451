"""A process that commits until it is killed, and prints each epoch after its commit."""

import asyncio
import sys

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.ledger import SqliteLedger

PER_COMMIT = 40


def first_of_run(opened):
    """Return the first epoch of the current run, which every position holds."""
    position = opened.position or {"run": 0}
    return position["first"] if position["run"] == opened.run else opened.epoch + 1


async def main(path):
    async with SqliteLedger(path) as ledger:
        opened = await ledger.open("k")
        while True:
            first = first_of_run(opened)
            for epoch in range(opened.epoch + 1, opened.epoch + 26):
                await commit(ledger, epoch, {"at": epoch, "run": opened.run, "first": first})
            await ledger.finish("k", "completed")
            opened = await ledger.open("k")


async def commit(ledger, epoch, position):
    numbers = range(epoch * PER_COMMIT, (epoch + 1) * PER_COMMIT)
    states = [DocumentState(f"d{n}", "completed", f"{n:064x}") for n in numbers]
    letter = DeadLetter(None, f"f#{epoch}", "x", "bad", "E", b"%d" % epoch)
    counts = {"completed": epoch * PER_COMMIT}
    await ledger.commit("k", Commit(epoch, position, states, [letter], {"offset": epoch}, counts))
    sys.stdout.write(f"{epoch}\n")
    sys.stdout.flush()


asyncio.run(main(sys.argv[1]))
