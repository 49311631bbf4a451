"""One process of an ingestion: prints a line for each event, until it ends or is killed."""

import asyncio
import json
import os
import sys

from penstock import IngestionPipeline
from penstock.adapters import pubmed


async def untouched(document):
    await asyncio.sleep(0)
    return document


def say(events):
    os.write(1, b"event\n" * len(events))


def main(options):
    pipeline = IngestionPipeline(
        pubmed(*options["files"], processes=options.get("processes", 1)),
        ledger=options.get("ledger", "run.db"),
        process=[untouched] if options.get("overlapping") else [],
        concurrency=4 if options.get("overlapping") else 1,
        checkpoint_every=options["every"],
        hooks=[say],
    )
    asyncio.run(pipeline.run(options["output"]))


if __name__ == "__main__":  # worker processes import this file again
    main(json.loads(sys.argv[1]))
