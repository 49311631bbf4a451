"""PubMed into JSON Lines, with failing steps, retries, a filter, hooks and progress.

Run it: ``python examples/pubmed_pipeline.py``
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from penstock import (
    BatchProgress,
    Document,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
)
from penstock.adapters import pubmed
from penstock.adapters.pubmed.sample import write_sample

answers: Counter[str] = Counter()


def count_words(document: Document) -> Document:
    """Add the number of words: a plain function as a step."""
    words = len(document.content.split())
    return document.model_copy(update={"metadata": {**document.metadata, "words": words}})


async def classify(document: Document) -> Document:
    """Call a service that refuses every hundredth document once: an async step that is retried."""
    answers[document.doc_id] += 1
    await asyncio.sleep(0)
    if document.doc_id.endswith("50.1") and answers[document.doc_id] == 1:
        raise ConnectionError("the classifier is busy")
    return document


def watch(events: Sequence[PipelineEvent]) -> None:
    """Print events: a hook, as a log, a metric or a progress bar would be."""
    for event in events:
        if isinstance(event, BatchProgress):
            print(f"{event.completed} completed, {event.failed} failed, {event.skipped} skipped")
        elif isinstance(event, DocumentFailed):
            again = "will be tried again" if event.will_retry else "given up"
            print(f"{event.doc_id}: {event.error} ({again})")


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder / "sample.xml.gz", 300, malformed=1)
        pipeline = IngestionPipeline(
            pubmed(folder / "*.xml.gz"),
            ledger=folder / "run.db",
            process=[count_words, classify],
            concurrency=8,
            where=lambda document: bool(document.content),
            retry=RetryPolicy(attempts=3, initial=0.001),
            progress_every=100,
            hooks=[watch],
        )
        print(pipeline.explain(sink=folder / "articles.jsonl").replace(name, ""))
        summary = await pipeline.run(sink=folder / "articles.jsonl")
        lines = len((folder / "articles.jsonl").read_bytes().splitlines())
        print(f"{summary.state}: {summary.counts}, {summary.session['retried']} retried, {lines} lines")

        again = await pipeline.run(sink=folder / "articles.jsonl")
        print("once more:", "nothing to do" if again.nothing_to_do else again.session)


asyncio.run(main())
