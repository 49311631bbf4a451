"""The outputs for the tests of kills, signals and faults: how each is named, and how to read it."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pyarrow.dataset
import zstandard
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Output:
    """``target`` is the output of the pipeline in the folder of a job; ``read`` returns its documents, in order."""

    target: str | list[str]
    read: Callable[[Path], list[str]]

    def targets(self, folder: Path) -> list[str]:
        """Return the targets of the job in ``folder``; the name of the folder may be part of a target."""
        every = [self.target] if isinstance(self.target, str) else self.target
        return [target.replace("{job}", folder.name) for target in every]


def lines(name: str, unpack: Callable[[bytes], bytes]) -> Output:
    """Return an output with one document a line."""
    return Output(name, lambda folder: unpack((folder / name).read_bytes()).decode().splitlines())


def unpack_zstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).readall()


def read_parts(folder: Path) -> list[str]:
    """Return the rows of a folder of Parquet files, read as one dataset."""
    rows: list[dict[str, Any]] = pyarrow.dataset.dataset(folder / "out.parquet").to_table().to_pylist()
    return [json.dumps(row, sort_keys=True, default=str) for row in rows]


def read_sqlite(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "out.db")) as db:
        return [repr(row) for row in db.execute("SELECT * FROM documents ORDER BY doc_id")]


def read_duckdb(folder: Path) -> list[str]:
    with closing(duckdb.connect(str(folder / "out.duckdb"))) as db:
        return [repr(row) for row in db.execute("SELECT * FROM documents ORDER BY doc_id").fetchall()]


def postgres(url: str) -> Output:
    """Return the table of documents in the database ``url``."""

    def read(_: Path) -> list[str]:
        with psycopg.connect(url) as db:
            return [repr(row) for row in db.execute("SELECT * FROM documents ORDER BY doc_id")]

    return Output(url, read)


def table_for_each(url: str) -> Output:
    """Return an output in a database, with a table of its own for each folder."""

    def read(folder: Path) -> list[str]:
        with psycopg.connect(url) as db:
            name = sql.Identifier(f"t_{folder.name}")
            query = sql.SQL("SELECT * FROM {} ORDER BY doc_id").format(name)
            return [repr(row) for row in db.execute(query).fetchall()]

    return Output(f"{url}?table=t_{{job}}", read)


ONES = {
    "jsonl": lines("out.jsonl", bytes),
    "jsonl.gz": lines("out.jsonl.gz", gzip.decompress),
    "jsonl.zst": lines("out.jsonl.zst", unpack_zstd),
    "parquet": Output("out.parquet", read_parts),
}

DATABASES = {
    "sqlite": Output("sqlite:///out.db", read_sqlite),
    "duckdb": Output("duckdb:///out.duckdb", read_duckdb),
}


def together(outputs: list[Output]) -> Output:
    """Return several outputs as one."""
    targets = [one.target for one in outputs if isinstance(one.target, str)]
    return Output(targets, lambda folder: [line for one in outputs for line in one.read(folder)])


OUTPUTS = {
    **ONES,
    "several": together([*ONES.values()]),
    **DATABASES,
    "a file and a database": together([ONES["jsonl"], DATABASES["sqlite"]]),
    "a file and DuckDB": together([ONES["jsonl"], DATABASES["duckdb"]]),
}
