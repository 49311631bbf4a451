"""One process of an ingestion: says after each list of events how many there were, until it ends or is killed."""

import asyncio
import json
import os
import sys

from penstock import IngestionPipeline
from penstock.adapters import pubmed


async def untouched(document):
    await asyncio.sleep(0)
    return document


def main(options):
    total = 0

    def say(events):
        nonlocal total
        total += len(events)
        os.write(1, b"%d\n" % total)

    pipeline = IngestionPipeline(
        pubmed(*options["files"], processes=options.get("processes", 1)),
        ledger=options["ledger"],
        process=[untouched] if options["overlapping"] else [],
        concurrency=4 if options["overlapping"] else 1,
        checkpoint_every=options["every"],
        hooks=[say],
    )
    summary = asyncio.run(pipeline.run(options["output"]))
    os.write(1, json.dumps({"counts": summary.counts, "state": summary.state}).encode() + b"\n")


if __name__ == "__main__":  # worker processes import this file again
    main(json.loads(sys.argv[1]))
