"""A checkpoint for a consumer without a sink: at least once, so a consumer must recognise repeated items.

Run it: ``python examples/checkpoint_without_sink.py``
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.ledger import SqliteLedger


async def deliver(order: int, handled: list[int]) -> None:
    """Stand for an action that cannot be undone, such as sending a message."""
    await asyncio.sleep(0)
    handled.append(order)


async def consume(path: Path, crash_at: int | None) -> list[int]:
    """Handle orders to the end, or until it "crashes". A new process would do the same."""
    handled: list[int] = []
    async with SqliteLedger(path) as ledger:
        orders = ps.from_iterable(range(100, 110)) | op.checkpoint(ledger, key="orders")
        async with orders.subscribe() as subscription:
            while items := await subscription.request(3):  # this request acknowledges the items before
                for order in items:
                    if order == crash_at:
                        return handled  # leaves in the middle of a list, which is not acknowledged
                    await deliver(order, handled)
    return handled


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder, "orders.db")
        print("first: ", await consume(ledger, crash_at=104))
        print("second:", await consume(ledger, crash_at=None))  # repeats order 103: at least once
        print("third: ", await consume(ledger, crash_at=None))  # the run was completed: no items

    try:
        ps.from_iterable(range(3)).checkpoint(SqliteLedger(ledger), key="orders").batch(2)
    except GraphError as error:
        print("refused:", str(error).partition(" at ")[0], "behind a checkpoint")


asyncio.run(main())
