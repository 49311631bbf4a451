# ruff: noqa: S608 - paths and tables are those of the tests
"""Each kind of output, read by its own tool, holds the documents that were written."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow.dataset
import pytest

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.adapters.pubmed.columns import PubMedColumns
from penstock.adapters.pubmed.sample import write_sample
from penstock.columns import columns_of
from penstock.sinks.layout import ENVELOPE

COLUMNS = columns_of(PubMedColumns)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return a file of 40 citations, and some in it that repeat."""
    path = tmp_path_factory.mktemp("sample") / "sample.xml"
    write_sample(path, 40)
    return path


def plain(value):
    """Return a value as JSON has it, without fields that have no value."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # numpy
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def document_of(row):
    """Return the fields of the document that a row was written from, its lists and structs as JSON or not."""
    row = plain(row)
    for column in COLUMNS:
        if not hasattr(column.type, "kind") and isinstance(row.get(column.name), str):
            row[column.name] = json.loads(row[column.name])
    metadata = row["metadata"] if isinstance(row["metadata"], dict) else json.loads(row["metadata"])
    metadata |= {c.name: row[c.name] for c in COLUMNS if c.read is None and c.name in row}
    fields = {column.name: row[column.name] for column in ENVELOPE if column.name != "metadata"}
    computed = {c.name: row.get(c.name) for c in COLUMNS if c.read is not None}
    return {**fields, "deleted": bool(fields["deleted"]), "metadata": plain(metadata), **computed}


def wanted(document):
    """Return the fields of a document as ``document_of`` returns them."""
    fields = plain(document.model_dump(exclude={"raw"}))
    return {**fields, **{c.name: c.read(document) for c in COLUMNS if c.read is not None}}


def from_pandas(path):
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def from_duckdb(path):
    with duckdb.connect(str(path)) as db:
        return db.sql("SELECT * FROM documents").to_arrow_table().to_pylist()


def from_sqlite(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM documents")]


READERS = {
    "jsonl": ("out.jsonl", lambda path: [*map(json.loads, path.read_text().splitlines())]),
    "jsonl, polars": ("out.jsonl", lambda path: pl.read_ndjson(path, infer_schema_length=None).to_dicts()),
    "parquet, pandas": ("out.parquet", from_pandas),
    "parquet, polars": ("out.parquet", lambda path: pl.scan_parquet(path).collect().to_dicts()),
    "parquet, polars, a pattern": (
        "out.parquet", lambda path: pl.scan_parquet(path / "*.parquet").collect().to_dicts(),
    ),
    "parquet, pyarrow": ("out.parquet", lambda path: pyarrow.dataset.dataset(path).to_table().to_pylist()),
    "parquet, duckdb": (
        "out.parquet", lambda path: duckdb.sql(f"FROM '{path}/*.parquet'").to_arrow_table().to_pylist(),
    ),
    "duckdb": ("duckdb:///out.duckdb", from_duckdb),
    "sqlite": ("sqlite:///out.db", from_sqlite),
}  # fmt: skip


async def test_what_was_written_can_be_read(file, tmp_path, monkeypatch):
    """Every tool reads the documents from its output, with all of their metadata and the typed columns."""
    monkeypatch.chdir(tmp_path)
    documents = {one.doc_id: wanted(one) async for one in IngestionPipeline(pubmed(file)).iter_results()}
    targets = sorted({target for target, _ in READERS.values()})
    await IngestionPipeline(pubmed(file), ledger="l.db", checkpoint_every=15).run(sink=targets)
    for name, (target, read) in READERS.items():
        rows = read(tmp_path / target.removeprefix("sqlite:///").removeprefix("duckdb:///"))
        if target.endswith(".jsonl"):
            found = {row["doc_id"]: plain(row) for row in rows}
            expected = {
                key: {k: v for k, v in one.items() if k in found[key]} for key, one in documents.items()
            }
            assert found == expected, name
        else:
            found = {row["doc_id"]: document_of(row) for row in rows}
            assert found == documents, name


async def test_postgresql_holds_the_documents(file, postgres_server):
    """The table has all documents, typed, and an index finds a PMID and a MeSH term."""
    documents = {one.doc_id: wanted(one) async for one in IngestionPipeline(pubmed(file)).iter_results()}
    url = postgres_server.database()
    await IngestionPipeline(pubmed(file), checkpoint_every=15).run(sink=f"{url}?table=articles")
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as db:
        found = {row["doc_id"]: document_of(row) for row in db.execute("SELECT * FROM articles")}
        assert found == documents
        db.execute("SET enable_seqscan = off")
        for condition in ("pmid = 7", """mesh @> '[{"name": "Mice"}]'"""):
            plan = db.execute(f"EXPLAIN SELECT title FROM articles WHERE {condition}").fetchall()
            assert any("Index" in line["QUERY PLAN"] for line in plan), condition
