"""What the ledger costs per document, and the JSON Lines sink beside a hand-written loop.

    python benchmarks/ledger.py [--documents 300000] [--rounds 30]

Prints microseconds per document: of a commit of 1,000 documents in a table of 300,000 (its fsync included,
median of the rounds), of the merge when the run is finished, and of a look-up of 100. Identifiers come in
order, as PubMed's do, or at random, as hashes do.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penstock.abc import Commit, DocumentState
from penstock.document import Document
from penstock.ledger import SqliteLedger
from penstock.sinks import JsonLinesSink

if TYPE_CHECKING:
    from collections.abc import Callable

PER_COMMIT = 1000


def in_order(n: int) -> str:
    return f"PMID:{n}:1"


def at_random(n: int) -> str:
    return hashlib.md5(b"%d" % n, usedforsecurity=False).hexdigest()


def states(name: Callable[[int], str], first: int, version: int) -> list[DocumentState]:
    return [
        DocumentState(name(n), "completed", hashlib.sha256(b"%d.%d" % (n, version)).hexdigest())
        for n in range(first, first + PER_COMMIT)
    ]


async def one_run(
    ledger: SqliteLedger, name: Callable[[int], str], first: int, rounds: int, run: int
) -> list[float]:
    """Return the microseconds per document of a commit (median), all commits (mean) and the merge."""
    opened = await ledger.open("k")
    seconds = []
    for n in range(rounds):
        commit = Commit(opened.epoch + n + 1, {"v": 1}, states(name, first + n * PER_COMMIT, run))
        began = time.perf_counter()
        await ledger.commit("k", commit)
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    await ledger.finish("k", "completed")
    merge = (time.perf_counter() - began) / rounds
    return [
        1e6 * each / PER_COMMIT for each in (statistics.median(seconds), statistics.fmean(seconds), merge)
    ]


async def look_ups(ledger: SqliteLedger, name: Callable[[int], str]) -> float:
    """Return the microseconds per document of ``unchanged`` for pages of 100."""
    await ledger.open("k")
    seconds = []
    for first in range(0, 20_000, PER_COMMIT):
        asked = [(state.doc_id, state.content_hash) for state in states(name, first, 1)[:100]]
        began = time.perf_counter()
        await ledger.unchanged("k", asked)
        seconds.append(time.perf_counter() - began)
    return 1e6 * statistics.median(seconds) / 100


async def measure_ledger(folder: Path, documents: int, rounds: int) -> None:
    print(f"ledger, SQLite {sqlite3.sqlite_version}, µs per document (commit median, commits mean, merge)")
    for name in (in_order, at_random):
        async with SqliteLedger(folder / f"{name.__name__}.db") as ledger:
            figures = {
                "first run": await one_run(ledger, name, 0, documents // PER_COMMIT, 1),
                "new documents": await one_run(ledger, name, documents, rounds, 2),
                "changed documents": await one_run(ledger, name, 0, rounds, 3),
            }
            for what, (commit, mean, merge) in figures.items():
                each = f"{commit:6.2f} {mean:6.2f} {merge:6.2f}"
                print(f"  {name.__name__:10} {what:18} {each}  sum {mean + merge:6.2f}")
            print(f"  {name.__name__:10} look-up            {await look_ups(ledger, name):6.2f}")


def articles() -> list[Document]:
    """Return documents like those of PubMed: 4 to 5 KB, with nested metadata."""
    words = ["patients", "naïve", "treatment", "of", "β-blocker", "with", "significantly", "the"]

    def text(n: int, length: int) -> str:
        return " ".join(words[(n * 7 + k * k) % 8] for k in range(length))

    return [
        Document(
            doc_id=in_order(n),
            source="pubmed",
            version="1",
            title=text(n, 12),
            content=text(n, 180),
            content_hash=hashlib.sha256(b"%d" % n).hexdigest(),
            metadata={
                "authors": [
                    {"name": text(n + k, 2), "affiliations": [text(k, 12)], "orcid": None} for k in range(6)
                ],
                "mesh": [
                    {
                        "ui": f"D{k}",
                        "name": text(k, 2),
                        "major": False,
                        "qualifiers": [{"ui": "Q1", "name": "x"}],
                    }
                    for k in range(12)
                ],
                "dates": {"year": 2001, "month": 3},
                "identifiers": [{"type": "doi", "value": "10.1/x"}],
            },
        )
        for n in range(5000)
    ]


async def through_sink(folder: Path, batch: list[Document]) -> float:
    sink = JsonLinesSink(folder / "sink.jsonl")
    await sink.open(None, restart=True)
    began = time.perf_counter()
    for first in range(0, len(batch), PER_COMMIT):
        for page in range(first, first + PER_COMMIT, 100):
            await sink.write(batch[page : page + 100])
        await sink.commit(Commit(1, {}))
    seconds = time.perf_counter() - began
    await sink.aclose()
    return seconds


def by_hand(folder: Path, batch: list[Document]) -> float:
    encode = msgspec.json.Encoder().encode
    with (folder / "hand.jsonl").open("wb") as file:
        began = time.perf_counter()
        for first in range(0, len(batch), PER_COMMIT):
            for document in batch[first : first + PER_COMMIT]:
                fields = {name: value for name, value in document.__dict__.items() if name != "raw"}
                file.write(encode(fields) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return time.perf_counter() - began


async def measure_sink(folder: Path, rounds: int) -> None:
    batch = articles()
    ours, hand = [], []
    for _ in range(rounds):
        ours.append(await through_sink(folder, batch))
        hand.append(by_hand(folder, batch))
    assert (folder / "sink.jsonl").read_bytes() == (folder / "hand.jsonl").read_bytes()
    size = (folder / "sink.jsonl").stat().st_size
    sink, loop = (1e6 * statistics.median(each) / len(batch) for each in (ours, hand))
    print(f"JSON Lines, {size // len(batch)} bytes per document, µs per document, fsync every {PER_COMMIT}")
    print(f"  sink {sink:6.2f}  hand-written loop {loop:6.2f}  ratio {sink / loop:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=30)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        asyncio.run(measure_ledger(Path(folder), chosen.documents, chosen.rounds))
        asyncio.run(measure_sink(Path(folder), 11))


if __name__ == "__main__":
    main()
