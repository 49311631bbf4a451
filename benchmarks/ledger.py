"""The cost of the ledgers per document, and of the JSON Lines sink compared with a loop by hand.

    python benchmarks/ledger.py [--documents 300000] [--rounds 30]
    PENSTOCK_POSTGRES=postgresql://user@host/empty python benchmarks/ledger.py --only postgres

Prints microseconds per document: for a commit of 1,000 documents into a table of 300,000 (with its fsync, median and
mean of the rounds), for the merge when the run is finished, for both together, the CPU time of this process in that
sum, and for a look-up of 100. Identifiers come in order, as in PubMed, or at random, as hashes do. PostgreSQL is
measured if ``PENSTOCK_POSTGRES`` names a database; the ledger in it is dropped. Its floor is the least that any commit
costs there: one row and an fsync, in one message.
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
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock.abc import Commit, DocumentState
from penstock.document import Document
from penstock.ledger import PostgresLedger, SqliteLedger
from penstock.sinks import JsonLinesSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.ledger.threaded import ThreadedLedger

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


class Figures(NamedTuple):
    """Microseconds per document."""

    median: float
    mean: float
    merge: float
    own: float

    def __str__(self) -> str:
        parts = f"commit {self.median:6.2f} (mean {self.mean:6.2f}), merge {self.merge:6.2f}"
        return f"{parts}, sum {self.mean + self.merge:6.2f}, own CPU {self.own:5.2f}"


async def one_run(
    ledger: ThreadedLedger, name: Callable[[int], str], first: int, rounds: int, run: int
) -> Figures:
    opened = await ledger.open("k")
    seconds, used = [], 0.0
    for n in range(rounds):
        commit = Commit(opened.epoch + n + 1, {"v": 1}, states(name, first + n * PER_COMMIT, run))
        began, cpu = time.perf_counter(), time.process_time()
        await ledger.commit("k", commit)
        seconds.append(time.perf_counter() - began)
        used += time.process_time() - cpu
    began, cpu = time.perf_counter(), time.process_time()
    await ledger.finish("k", "completed")
    merge = (time.perf_counter() - began) / rounds
    used = (used + time.process_time() - cpu) / rounds
    return Figures(
        *(
            1e6 * each / PER_COMMIT
            for each in (statistics.median(seconds), statistics.fmean(seconds), merge, used)
        )
    )


async def look_ups(ledger: ThreadedLedger, name: Callable[[int], str]) -> float:
    """Return the microseconds per document of ``unchanged`` for pages of 100."""
    await ledger.open("k")
    seconds = []
    for first in range(0, 20_000, PER_COMMIT):
        asked = [(state.doc_id, state.content_hash) for state in states(name, first, 1)[:100]]
        began = time.perf_counter()
        await ledger.unchanged("k", asked)
        seconds.append(time.perf_counter() - began)
    return 1e6 * statistics.median(seconds) / 100


async def measure_ledger(new: Callable[[str], ThreadedLedger], documents: int, rounds: int) -> None:
    for name in (in_order, at_random):
        async with new(name.__name__) as ledger:
            runs = {
                "first run": (0, documents // PER_COMMIT),
                "new documents": (documents, rounds),
                "changed documents": (0, rounds),
            }
            for run, (what, (first, count)) in enumerate(runs.items(), 1):
                print(f"  {name.__name__:10} {what:18} {await one_run(ledger, name, first, count, run)}")
            print(f"  {name.__name__:10} look-up            {await look_ups(ledger, name):6.2f}")


async def measure_sqlite(folder: Path, documents: int, rounds: int) -> None:
    print(f"ledger, SQLite {sqlite3.sqlite_version}, µs per document")
    await measure_ledger(lambda name: SqliteLedger(folder / f"{name}.db"), documents, rounds)


async def measure_postgres(url: str, documents: int, rounds: int) -> None:
    import psycopg

    def new(_: str) -> PostgresLedger:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("DROP SCHEMA IF EXISTS penstock_ledger CASCADE")
            db.execute("CHECKPOINT")
        return PostgresLedger(url)

    with psycopg.connect(url, autocommit=True) as db:
        print(f"ledger, PostgreSQL {db.info.parameter_status('server_version')}, µs per document")
        db.execute("CREATE TABLE IF NOT EXISTS floor (n bigint)")
        seconds = []
        for n in range(100):
            began = time.perf_counter()
            db.execute("INSERT INTO floor VALUES (%s)", (n,))
            seconds.append(1e6 * (time.perf_counter() - began) / PER_COMMIT)
        db.execute("DROP TABLE floor")
        print(
            f"  the least of a commit: median {statistics.median(seconds):.2f}, mean {statistics.fmean(seconds):.2f}"
        )
    await measure_ledger(new, documents, rounds)


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
    parser.add_argument("--only", choices=["sqlite", "postgres", "sink"])
    chosen = parser.parse_args()
    url, every = os.environ.get("PENSTOCK_POSTGRES"), chosen.only is None
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        if every or chosen.only == "sqlite":
            asyncio.run(measure_sqlite(Path(folder), chosen.documents, chosen.rounds))
        if url and (every or chosen.only == "postgres"):
            asyncio.run(measure_postgres(url, chosen.documents, chosen.rounds))
        if every or chosen.only == "sink":
            asyncio.run(measure_sink(Path(folder), 11))


if __name__ == "__main__":
    main()
