"""The database sinks, compared with loops by hand that use the fastest path of the same library.

Both write the same documents of 4 to 5 KB in durable commits of 1,000, each in a thread: beside an idle event loop, and
beside a loop that is busy for a millisecond at a time, as parsing keeps it. The loop by hand handles no versions,
tombstones or text that cannot be stored. It keeps its database open between rounds; our sink is opened and closed in each
round, which matters in the shorter runs and little in the longer ones. Its thread yields beside the busy loop as ours does
(``penstock.system.yielding``); otherwise a second of work could take minutes.

PostgreSQL is measured if PENSTOCK_POSTGRES names a database to write to.

Then each kind of output writes 2,000 generated citations of PubMed twice: with the typed columns of the adapter, and
without.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from harness import Row, Way, at_most, measure

from ledger import articles
from penstock import IngestionPipeline
from penstock.abc import Commit
from penstock.adapters import pubmed
from penstock.adapters.pubmed.columns import PubMedColumns
from penstock.adapters.pubmed.sample import write_sample
from penstock.sinks import sink_from
from penstock.system.yielding import yielding_to_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.document import Document

TITLE = "Documents into databases, commits of 1,000, on an idle and on a busy event loop"
PER_COMMIT = 1000
MORE = 4
"""How many times a longer run writes the documents, so that opening and closing the sink matter less."""
FIELDS = ("doc_id", "source", "version", "title", "content", "metadata", "content_hash", "deleted")
MARKS = ", ".join("?" * len(FIELDS))
CHANGES = ", ".join(f"{name} = excluded.{name}" for name in FIELDS[1:])
UPSERT = f" ON CONFLICT (doc_id) DO UPDATE SET {CHANGES}"
TABLE = "CREATE TABLE hand (doc_id TEXT PRIMARY KEY, source TEXT, version TEXT, title TEXT, content TEXT, metadata {}, content_hash TEXT, deleted BOOLEAN)"
encode = msgspec.json.Encoder().encode


async def busy() -> None:
    """Keep the loop busy, as a parser does."""
    while True:
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


def alone(work: Callable[[], Any]) -> Callable[[], object]:
    """Return a way that runs ``work``, an async function, on an idle loop."""
    return lambda: asyncio.run(work())


def beside(work: Callable[[], Any]) -> Callable[[], object]:
    """Return a way that runs ``work``, an async function, beside a busy loop."""

    async def both() -> object:
        other = asyncio.ensure_future(busy())
        try:
            return await work()
        finally:
            other.cancel()

    return lambda: asyncio.run(both())


def ours(url: str, documents: list[Document], schema: type | None = None) -> Callable[[], Any]:
    async def work() -> int:
        sink = sink_from(url)
        sink.use_schema(schema)
        await sink.open(None, restart=True)
        for epoch, first in enumerate(range(0, len(documents), PER_COMMIT), 1):
            for page in range(first, first + PER_COMMIT, 100):
                await sink.write(documents[page : page + 100])
            await sink.commit(Commit(epoch, {}))
        await sink.aclose()
        return len(documents)

    return work


def citations(count: int = 2000) -> list[Document]:
    """Return generated citations, parsed."""

    async def parsed(path: Path) -> list[Document]:
        return [document async for document in IngestionPipeline(pubmed(path)).iter_results()]

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "citations.xml"
        write_sample(path, count)
        return asyncio.run(parsed(path))


def typed_rows(folder: Path) -> list[Row]:
    """Return what typed columns cost, for each kind of output."""
    documents, result = citations(), []
    targets = {
        "JSON Lines": f"{folder}/{{}}.jsonl",
        "Parquet": f"{folder}/{{}}.parquet",
        "SQLite": f"sqlite:///{folder}/typed.db?table={{}}",
        "DuckDB": f"duckdb:///{folder}/typed.duckdb?table={{}}",
    }
    if url := os.environ.get("PENSTOCK_POSTGRES"):
        targets["PostgreSQL"] = f"{url}?table={{}}"
    for what, target in targets.items():
        ways = [
            Way("typed", alone(ours(target.format("typed"), documents, PubMedColumns)), len(documents)),
            Way("untyped", alone(ours(target.format("untyped"), documents)), len(documents)),
        ]
        said = f"{what}, typed columns, {len(documents):,}"
        result.append(at_most(said, measure(ways, 5), "typed", "untyped", 1.3))
    return result


def rows_of(documents: list[Document]) -> list[tuple[Any, ...]]:
    return [
        (
            d.doc_id,
            d.source,
            d.version,
            d.title,
            d.content,
            encode(d.metadata).decode(),
            d.content_hash,
            d.deleted,
        )
        for d in documents
    ]


def by_hand(write: Callable[[list[Document]], None], documents: list[Document]) -> Callable[[], Any]:
    async def work() -> int:
        with yielding_to_threads():
            for first in range(0, len(documents), PER_COMMIT):
                await asyncio.to_thread(write, documents[first : first + PER_COMMIT])
        return len(documents)

    return work


def sqlite_by_hand(path: Path) -> Callable[[list[Document]], None]:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(TABLE.format("TEXT"))

    def write(documents: list[Document]) -> None:
        if documents[0].doc_id == "PMID:0:1":
            db.execute("DELETE FROM hand")
        db.execute("BEGIN IMMEDIATE")
        for first in range(0, len(documents), 500):
            rows = rows_of(documents[first : first + 500])
            statement = f"INSERT INTO hand VALUES {', '.join([f'({MARKS})'] * len(rows))}{UPSERT}"  # noqa: S608
            db.execute(statement, [value for row in rows for value in row])
        db.execute("COMMIT")

    return write


def duckdb_by_hand(path: Path) -> Callable[[list[Document]], None]:
    import duckdb
    import pyarrow as pa

    db = duckdb.connect(str(path), config={"memory_limit": "512MB", "threads": 2})
    db.execute(TABLE.format("JSON"))

    def write(documents: list[Document]) -> None:
        if documents[0].doc_id == "PMID:0:1":
            db.execute("DELETE FROM hand")
        columns = dict(zip(FIELDS, map(list, zip(*rows_of(documents), strict=True)), strict=True))
        db.register("incoming", pa.table(columns))
        db.execute(f"INSERT INTO hand SELECT * FROM incoming{UPSERT}")  # noqa: S608
        db.unregister("incoming")

    return write


def postgres_by_hand(url: str) -> Callable[[list[Document]], None]:
    import psycopg

    db = psycopg.connect(url, autocommit=True)
    db.execute("DROP TABLE IF EXISTS hand")
    db.execute(TABLE.format("JSONB"))
    db.execute("CREATE TEMP TABLE incoming (LIKE hand)")

    def write(documents: list[Document]) -> None:
        if documents[0].doc_id == "PMID:0:1":
            db.execute("TRUNCATE hand")
        with db.transaction(), db.cursor() as cursor:
            with cursor.copy("COPY incoming FROM STDIN") as copy:
                for row in rows_of(documents):
                    copy.write_row(row)
            cursor.execute(f"INSERT INTO hand SELECT * FROM incoming{UPSERT}")  # type: ignore[arg-type]  # noqa: S608
            cursor.execute("TRUNCATE incoming")

    return write


def rows() -> list[Row]:
    documents, result = articles(), []
    many = [
        d.model_copy(update={"doc_id": f"{d.doc_id}.{n}"}) if n else d for n in range(MORE) for d in documents
    ]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        pairs = {
            "SQLite": (f"sqlite:///{folder}/ours.db", sqlite_by_hand(folder / "hand.db")),
            "DuckDB": (f"duckdb:///{folder}/ours.duckdb", duckdb_by_hand(folder / "hand.duckdb")),
        }
        if url := os.environ.get("PENSTOCK_POSTGRES"):
            pairs["PostgreSQL"] = (url, postgres_by_hand(url))
        for what, (url, write) in pairs.items():
            for those, rounds in (documents, 7), (many, 3):
                for kept, loop in ("idle", alone), ("busy", beside):
                    ways = [
                        Way("sink", loop(ours(url, those)), len(those)),
                        Way("by hand", loop(by_hand(write, those)), len(those)),
                    ]
                    said = f"{what}, {kept} loop, {len(those):,}, by a hand-written loop"
                    result.append(at_most(said, measure(ways, rounds), "sink", "by hand", 1.2))
        result += typed_rows(folder)
    return result
