"""Closes event loops in mid-run, then completes the runs; prints the state and the number of documents of each."""

import asyncio
import gc
import json
import sys

from expression import Ok

from penstock import IngestionPipeline
from penstock.abc import Page, Source
from penstock.adapters import Adapter
from penstock.document import Document, RawRecord


class Numbers(Source):
    name = "numbers"

    async def fetch(self, position):
        for n in range(position or 0, 8):
            yield Page([RawRecord(f"{n}", b"%d" % n)], n + 1)

    def identify(self, raw):
        return raw.key

    def parse(self, raw):
        return Ok(Document(doc_id=raw.key, source="numbers"))


def pipeline(ledger, reached=None, **options):
    async def wait(document):
        if reached is not None and document.doc_id == "5":
            reached.set()
            await asyncio.get_running_loop().create_future()
        return document

    return IngestionPipeline(Adapter(Numbers()), ledger=ledger, process=[wait], checkpoint_every=2, **options)


def leave_in_mid_run(ledger, output, **options):
    """Close the event loop of a run that waits; return its task."""
    loop, reached = asyncio.new_event_loop(), asyncio.Event()
    task = loop.create_task(pipeline(ledger, reached, **options).run(output))
    loop.run_until_complete(
        asyncio.wait([task, loop.create_task(reached.wait())], return_when="FIRST_COMPLETED")
    )
    loop.close()
    return task


for ledger, output in json.loads(sys.argv[1]):
    for kept in (True, False):
        tasks = [leave_in_mid_run(ledger, output, restart=True), leave_in_mid_run(ledger, output)]
        if not kept:
            tasks.clear()
            gc.collect()
        summary = asyncio.run(pipeline(ledger).run(output))
        sys.stdout.write(f"{summary.state} {summary.counts['completed']}\n")
