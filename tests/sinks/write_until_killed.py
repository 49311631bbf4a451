"""Write documents as a driver does, and keep the records in a small file instead of a ledger."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

from penstock.abc import Commit
from penstock.document import Document
from penstock.sinks import JsonLinesSink

DOCUMENTS = 4000


def remember(folder, at, record):
    draft = folder / "ledger.new"
    draft.write_text(json.dumps([at, record]))
    draft.replace(folder / "ledger")
    sys.stdout.write(f"{at}\n")
    sys.stdout.flush()


def recall(folder):
    ledger = folder / "ledger"
    return json.loads(ledger.read_text()) if ledger.exists() else [0, None]


async def main(folder, seed):
    rng = random.Random(seed + os.getpid())
    at, record = recall(folder)
    sink = JsonLinesSink(folder / "out.jsonl")
    await sink.open(record)
    if record is None:
        remember(folder, 0, await sink.commit(Commit(1, {})))
    while at < DOCUMENTS:
        for _ in range(rng.randrange(1, 5)):
            last = min(DOCUMENTS, at + rng.randrange(1, 200))
            await sink.write(
                [
                    Document(doc_id=f"d{n}", source="test", title="é" * (n * 31 % 2000))
                    for n in range(at, last)
                ]
            )
            at = last
        remember(folder, at, await sink.commit(Commit(1, {})))
    await sink.aclose()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
