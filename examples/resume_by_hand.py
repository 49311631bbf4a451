"""Stop anywhere, store the position as JSON, and continue in another process, without a ledger.

Run it: ``python examples/resume_by_hand.py``
"""

from __future__ import annotations

import asyncio
import json

import penstock as ps
import penstock.operators as op
from penstock.errors import PositionError

TEXT = "Nothing runs before a request. Items move down and demand moves up. A position counts inputs."


def words() -> ps.Flow[tuple[int, str]]:
    """Build the flow. Another process would build the same one."""
    sentences = ps.from_iterable(TEXT.split(". "))
    return sentences | op.flat_map(str.split) | op.filter(str.isalpha) | op.enumerate(start=1)


async def main() -> None:
    async with words().subscribe() as subscription:
        before = await subscription.request(7)  # stops in the middle of the second sentence
        saved = json.dumps(subscription.position)
    print("before:  ", before)
    print("position:", saved)

    async with words().subscribe(json.loads(saved)) as subscription:
        after = []
        while items := await subscription.request(100):
            after += items
    print("after:   ", after)

    print("none lost, none twice:", before + after == await words().to_list())

    other = words() | op.batch(2)  # batch has no state: the position still fits
    async with other.subscribe(json.loads(saved)) as subscription:
        print("in pairs:", await subscription.request(1))
    try:
        words().skip(3).subscribe(json.loads(saved))
    except PositionError as error:
        print("refused: ", error)


asyncio.run(main())
