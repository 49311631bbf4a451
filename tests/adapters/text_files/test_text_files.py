"""Files of JSON Lines and of rows: their records, what is bad about them, and runs that are cut anywhere."""

from __future__ import annotations

import csv as tables
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import IngestionPipeline, RawRecord
from penstock.adapters import csv, find_adapter, jsonl
from penstock.adapters.text_files.lines import LineSplitter
from penstock.adapters.text_files.rows import RowSplitter, RowsSource
from penstock.errors import SourceError

CELLS = st.lists(
    st.lists(st.text(st.sampled_from('ab,"\n\t \r\x85\u2028é'), max_size=6), min_size=2, max_size=2),
    max_size=12,
)


def split(splitter: Any, data: bytes, sizes: list[int]) -> list[Any]:
    found, begin = [], 0
    for size in [*sizes, len(data)]:
        found += splitter.feed(data[begin : begin + size])
        begin += size
    return found + splitter.close()


@given(data=st.binary(max_size=60), sizes=st.lists(st.integers(1, 9), max_size=9))
def test_lines_do_not_depend_on_chunks(data: bytes, sizes: list[int]) -> None:
    """The records are the lines that are not blank, without their ends, wherever the bytes are cut."""
    wanted = [line.rstrip(b"\r") for line in data.split(b"\n") if line.strip()]
    assert [piece.data for piece in split(LineSplitter(1000), data, sizes)] == wanted


@given(rows=CELLS, sizes=st.lists(st.integers(1, 9), max_size=9), end=st.sampled_from(["\n", "\r\n"]))
def test_rows_are_those_of_the_csv_module(rows: list[list[str]], sizes: list[int], end: str) -> None:
    """Quoted fields keep commas, quotes and line ends; empty fields are left out."""
    text = io.StringIO()
    writer = tables.writer(text, lineterminator=end, quoting=tables.QUOTE_ALL)
    writer.writerow(["x", "y"])
    writer.writerows(rows)
    source = RowsSource("a.csv", delimiter=",")
    pieces = split(RowSplitter(10_000, ",", '"'), text.getvalue().encode(), sizes)
    found = [source.read(RawRecord("k", piece.data)) for piece in pieces]
    assert found == [{name: value for name, value in zip("xy", row, strict=True) if value} for row in rows]


@pytest.mark.parametrize("sizes", [[3, 5, 500], [3, 500], [], [1] * 1010])
def test_a_record_that_is_too_large(sizes: list[int]) -> None:
    """It is one faulty record, of which the beginning is kept, however it arrives; the next record is whole."""
    for splitter, head in ((LineSplitter(8), b""), (RowSplitter(8, ",", '"'), b"id\n")):
        pieces = split(splitter, b"id\n" + b"x" * 1000 + b"\nnext\n", sizes)
        large, following = pieces[-2:]
        assert "1000 bytes, more than the 8 that max_record_bytes allows" in large.fault
        assert large.data == head + b"x" * 8
        assert (following.data, following.fault) == (head + b"next", "")


async def outcome(adapter: Any) -> tuple[list[Any], list[str]]:
    result = await IngestionPipeline(adapter).run_async()
    return [(d.doc_id, d.metadata) for d in result.documents], [str(f.error) for f in result.failures]


async def test_json_lines(tmp_path: Path) -> None:
    """Ids, versions, titles; bad lines are dead letters that say what is wrong."""
    lines = [
        '{"id": 1, "t": "A"}',
        "",
        '{"n": {"id": "x", "v": 3}}',
        "[1]",
        "{bad",
        '{"id": NaN}',
        '{"id": 2}',
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    found, problems = await outcome(jsonl(path))
    assert found == [("1", {"id": 1, "t": "A"}), ("a.jsonl#1", {"n": {"id": "x", "v": 3}}), ("2", {"id": 2})]
    assert ["not a JSON object" in problems[0], "is not JSON" in problems[1], "NaN" in problems[2]] == [
        True
    ] * 3
    found, problems = await outcome(jsonl(path, id="n.id", version="n.v", title="t"))
    assert [doc_id for doc_id, _ in found] == ["x.3"]
    assert problems[0] == "record a.jsonl#0 has no n.id, where its id should be"
    result = await IngestionPipeline(jsonl(path, title="t", content="n.id")).run_async()
    assert [(d.title, d.content) for d in result.documents] == [("A", ""), ("", "x"), ("", "")]


async def test_rows(tmp_path: Path) -> None:
    """Commas with quotes, tabs without; wrong numbers of fields are dead letters."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,name\r\n1,"a, ""b""\nc"\r\n2\r\n3,x,y\r\n\r\n4,\r\n5,"open\n')
    found, problems = await outcome(csv(path))
    assert found == [("1", {"id": "1", "name": 'a, "b"\nc'}), ("4", {"id": "4"})]
    assert problems[0] == "record a.csv#1 has 1 fields, and the first row has 2"
    assert "3 fields" in problems[1]
    assert "quotes are not closed before the end of the file" in problems[2]
    path.write_text('id\tname\n1\t5" pipe\n')
    assert await outcome(csv(path)) == ([("1", {"id": "1", "name": '5" pipe'})], [])
    path.write_text("id;name\n1;'a;b'\n")
    assert await outcome(csv(path, delimiter=";", quote="'")) == ([("1", {"id": "1", "name": "a;b"})], [])
    path.write_text("id,name\n1," + "x" * 500_000 + "\n")
    assert len((await outcome(csv(path)))[0][0][1]["name"]) == 500_000
    assert tables.field_size_limit() == 131_072


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,id\n1,2\n", "two columns are named 'id'"),
        ("id,\n1,2\n", "a column has no name"),
        ('"id\n1,2\n', "its quotes are not closed"),
    ],
)
async def test_a_first_row_that_names_no_columns(tmp_path: Path, text: str, problem: str) -> None:
    """The file cannot be read, and the message says why."""
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match=problem):
        await outcome(csv(tmp_path / "a.csv"))


@pytest.mark.parametrize("value", ["", ",,", "\n", "é"])
def test_a_delimiter_is_one_character(value: str) -> None:
    """Anything else is refused before anything runs."""
    with pytest.raises(ValueError, match="delimiter must be one ASCII character"):
        csv("a.csv", delimiter=value)


def documents(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "text": "x" * (n % 7)} for n in range(count)]


def write_jsonl(folder: Path) -> Any:
    lines = [json.dumps(row) for row in documents(9)]
    lines[4] = "{bad"
    (folder / "a.jsonl").write_text("\n".join(lines[:5]))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[5:]).encode()))
    return jsonl(folder / "*.jsonl*", page_size=2)


def write_csv(folder: Path) -> Any:
    rows = [f"{row['id']},{row['text']}" for row in documents(9)]
    rows[4] = "r4"
    (folder / "a.csv").write_text("\n".join(["id,text", *rows[:5]]))
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.writestr("b.csv", "\n".join(["id,text", *rows[5:]]))
    return csv(folder / "a.csv", folder / "b.zip", page_size=2)


@pytest.mark.parametrize("write", [write_jsonl, write_csv])
async def test_a_run_can_be_cut_anywhere(tmp_path: Path, write: Any) -> None:
    """What comes before and after any cut is what a whole run gives, over several files."""

    def told(events: list[Any]) -> list[Any]:
        return [(type(e).__name__, e.doc_id) for e in events if type(e).__name__.startswith("Document")]

    adapter = write(tmp_path)
    whole = await adapter.to_list()
    assert len(told(whole)) == 18
    for cut in range(1, len(whole)):
        async with adapter.subscribe() as subscription:
            seen: list[Any] = []
            while len(seen) < cut:
                seen += await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        async with adapter.subscribe(position) as subscription:
            while events := await subscription.request(100):
                seen += events
        assert told(seen) == told(whole), cut


async def test_a_changed_file_is_reported(tmp_path: Path) -> None:
    """It is neither read again nor skipped in silence."""
    adapter = write_jsonl(tmp_path)
    await IngestionPipeline(adapter, ledger=tmp_path / "run.db").run(tmp_path / "out/a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"id": "other"}\n')
    with pytest.raises(SourceError, match=r"a\.jsonl"):
        await IngestionPipeline(adapter, ledger=tmp_path / "run.db").run(tmp_path / "out/a.jsonl")


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("jsonl", '{"k": 1}\n{"k": 2, "bad": 1}\n', {"id": "k"}),
        ("csv", "k;bad\n1;\n2;1\n", {"id": "k", "delimiter": ";"}),
    ],
)
async def test_a_dead_letter_is_read_with_the_settings_of_its_run(
    tmp_path: Path, name: str, text: str, options: dict[str, str]
) -> None:
    """The adapter that replays letters has no settings, so each record carries what reading it needs."""
    entry, path = find_adapter(name), tmp_path / f"in.{name}"
    path.write_text(text)

    def fails(document: Any) -> Any:
        if "bad" in document.metadata:
            raise ValueError(document.doc_id)
        return document

    adapter = entry.build([str(path)], entry.settings(**options))
    ledger, output = tmp_path / "run.db", tmp_path / "out.jsonl"
    summary = await IngestionPipeline(adapter, ledger=ledger, process=[fails]).run(output)
    assert (summary.counts["completed"], summary.counts["failed"]) == (1, 1)
    replayed = await IngestionPipeline(entry.replay(), ledger=ledger).replay(output)
    assert replayed.completed == 1
    assert [json.loads(line)["doc_id"] for line in output.read_text().splitlines()] == ["1", "2"]
