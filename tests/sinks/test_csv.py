"""CSV and TSV."""

from __future__ import annotations

import csv
from typing import Annotated

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import GraphError, SinkMismatch
from penstock.sinks import CsvSink, JsonLinesSink


class Person:
    name: str


class Columns:
    year: int
    open: bool
    tags: list[str]
    people: list[Person]
    words: Annotated[int, lambda document: len(document.content.split())]


DOCUMENT = Document(
    doc_id="a",
    source="test",
    title='He said "no,\nnever"',
    content="two words",
    metadata={"year": 2015, "open": True, "tags": ["x", "y, z"], "people": [{"name": "A"}], "more": "\t"},
    raw=b"<raw/>",
)
EMPTY = Document(doc_id="b", source="test", deleted=True)


async def rows_of(path, **options):
    """Write two documents, and read them with the csv module."""
    sink = CsvSink(path, **options)
    sink.use_schema(Columns)
    await sink.open(None)
    await sink.write([DOCUMENT, EMPTY])
    await sink.commit(Commit(1, {}))
    await sink.aclose()
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("name", ["out.csv", "out.tsv"])
async def test_what_a_row_holds(tmp_path, name):
    """One value a cell, lists of texts joined; lists of structs stay in the metadata, tombstones are rows."""
    full, empty = await rows_of(tmp_path / name)
    assert full == {
        "doc_id": "a", "source": "test", "record_id": "", "version": "", "title": 'He said "no,\nnever"',
        "content": "two words", "metadata": '{"people":[{"name":"A"}],"more":"\\t"}', "content_hash": "",
        "deleted": "false", "year": "2015", "open": "true", "tags": "x; y, z", "words": "2",
    }  # fmt: skip
    assert (empty["deleted"], empty["year"], empty["open"], empty["tags"]) == ("true", "", "", "")


async def test_chosen_columns(tmp_path):
    """Chosen columns come in their order, nested ones as JSON, raw bytes as base64."""
    columns = ["people", "tags", "doc_id"]
    full, _ = await rows_of(tmp_path / "out.csv", columns=columns, separator="|", include_raw=True)
    assert list(full.items()) == [
        ("people", '[{"name":"A"}]'), ("tags", "x|y, z"), ("doc_id", "a"), ("raw", "PHJhdy8+"),
    ]  # fmt: skip
    with pytest.raises(GraphError, match=r"separator= is the text .* not ''"):
        CsvSink(tmp_path / "other.csv", separator="")


@pytest.mark.parametrize(("kind", "name"), [(CsvSink, "out.csv"), (JsonLinesSink, "out.jsonl")])
async def test_other_columns_are_refused(tmp_path, kind, name):
    """A file goes on with the columns with which it began, also if it has no document yet."""

    async def opened(record, columns, documents):
        sink = kind(tmp_path / name, columns=columns)
        try:
            await sink.open(record)
            await sink.write(documents)
            return await sink.commit(Commit(1, {}))
        finally:
            await sink.aclose()

    record = None
    for documents in ([], [EMPTY], []):
        record = await opened(record, ["doc_id", "title"], documents)
        for others in (["title", "doc_id"], None):
            with pytest.raises(SinkMismatch, match="was written with other columns; choose the same"):
                await opened(record, others, [])
