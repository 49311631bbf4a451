"""Write documents as a driver does, into the database of a URL, from its last commit on."""

import asyncio
import os
import random
import sys

from penstock.abc import Commit
from penstock.document import Document
from penstock.sinks import sink_from


def document(n):
    return Document(doc_id=f"d{n}", source="test", title="é" * (n * 31 % 2000), metadata={"n": n})


async def main(url, total):
    rng = random.Random(os.getpid())
    sink = sink_from(url)
    held = await sink.open(None)
    epoch, at = (held.epoch, held.position["at"]) if held else (0, 0)
    while at < total:
        for _ in range(rng.randrange(1, 5)):
            last = min(total, at + rng.randrange(1, 40))
            await sink.write([document(n) for n in range(at, last)])
            at = last
        epoch += 1
        await sink.commit(Commit(epoch, {"at": at}))
        sys.stdout.write(f"{at}\n")
        sys.stdout.flush()
    await sink.aclose()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
