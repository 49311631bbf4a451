"""The Parquet sink: its folder, its columns, and power cuts."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import aclosing
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Annotated, NotRequired, TypedDict

import duckdb
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import SinkError, SinkMismatch, install_command
from penstock.sinks import ParquetSink, sink_from
from penstock.sinks.files.lines import encode_lines
from penstock.testing.faults import Faults, FaultyStorage, FragileDisk

from .conftest import stored_documents
from .test_power import CUTS, directly

COMMIT = Commit(1, {})
DOCUMENTS = [
    Document(doc_id=f"d{n}", source="test", title="t" * (37 * n % 500), metadata={"n": n}) for n in range(60)
]
FOLDER = Path("/disk/out.parquet")


async def written(sink, *commits):
    """Open a new output, write and commit each list of documents, and return the last record."""
    await sink.open(None)
    for documents in commits:
        await sink.write(documents)
        record = await sink.commit(COMMIT)
    await sink.aclose()
    return json.loads(json.dumps(record))


async def test_every_reader_takes_the_folder_as_one_table(tmp_path):
    """Pyarrow reads the folder by its name, DuckDB by a pattern; both skip the marker and temporary names."""
    path = tmp_path / "out"
    await written(ParquetSink(path), DOCUMENTS[:3], [], DOCUMENTS[3:10])
    (path / ".part-00000003.parquet.tmp").write_bytes(b"half")
    assert sorted(p.name for p in path.glob("part-*")) == ["part-00000001.parquet", "part-00000002.parquet"]
    table = pyarrow.dataset.dataset(path).to_table()
    assert table.column("doc_id").to_pylist() == [d.doc_id for d in DOCUMENTS[:10]]
    [(count, total)] = duckdb.sql(
        f"SELECT count(*), sum((metadata->>'n')::int) FROM '{path}/*.parquet'"  # noqa: S608  a path of our own
    ).fetchall()
    assert (count, total) == (10, 45)


class Deep(TypedDict):
    list: NotRequired[list[str]]
    flag: NotRequired[bool]


class Columns:
    """Columns of the documents below."""

    n: int
    deep: Annotated[Deep, "nested"]
    x: Annotated[float, lambda document: document.metadata.get("deep", {}).get("x")]


async def test_all_parts_have_one_schema(tmp_path):
    """The types of columns come from the model and from the schema, not from the documents."""
    odd = Document(doc_id="x", source="s", metadata={"n": "seven", "deep": {"list": ["a"], "flag": True}})
    other = Document(
        doc_id="y", source="s", metadata={"n": 7, "deep": {"list": ["a", 1], "flag": True, "x": 2}}
    )
    await written(ParquetSink(tmp_path / "out", schema=Columns), [odd], [other])
    schemas = [pq.read_schema(path) for path in sorted((tmp_path / "out").glob("part-*"))]
    assert schemas[0] == schemas[1]
    table = pyarrow.dataset.dataset(tmp_path / "out").to_table()
    assert table.column("n").to_pylist() == [None, 7]
    assert table.column("deep").to_pylist() == [
        {"list": ["a"], "flag": True}, {"list": ["a", None], "flag": True},
    ]  # fmt: skip
    assert table.column("x").to_pylist() == [None, 2.0]
    metadata = [json.loads(text) for text in table.column("metadata").to_pylist()]
    assert metadata == [{"n": "seven"}, {"deep": other.metadata["deep"]}]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(2**63, int), (True, int), (1.5, int), (1, str), (10**400, float), ("2001-02-30", date)],
)
async def test_what_does_not_fit_its_column_is_null(tmp_path, value, kind):
    """A value that does not fit its column is null there, and stays in the column of other metadata."""
    deep = "no number" if value == 10**400 else value  # in a list it would be infinite
    document = Document(doc_id="x", source="s", metadata={"v": value, "list": [{"v": deep}]})
    inner = type("Inner", (), {"__annotations__": {"v": kind}})
    schema = type("One", (), {"__annotations__": {"v": kind, "list": list[inner]}})
    await written(ParquetSink(tmp_path / "out", schema=schema), [document])
    table = pyarrow.dataset.dataset(tmp_path / "out").to_table()
    assert table.column("v").to_pylist() == [None]
    assert table.column("list").to_pylist() == [[{"v": None}]]
    assert json.loads(table.column("metadata")[0].as_py()) == document.metadata


async def test_text_that_utf8_cannot_hold(tmp_path):
    """A lone surrogate is replaced; a NUL and all other text stay."""
    document = Document(
        doc_id="x\0", source="s", title="a\ud800b", content="\U0001f9ec\n\x1b[31m", metadata={"t": "\udfff"}
    )
    await written(ParquetSink(tmp_path / "out"), [document])
    (found,) = stored_documents(tmp_path / "out")
    assert (found.doc_id, found.title, found.content) == ("x\0", "a\ufffdb", document.content)
    assert found.metadata == {"t": "\ufffd"}


async def test_raw_bytes_only_when_asked_for(tmp_path):
    """Raw bytes are stored only on request."""
    document = Document(doc_id="x", source="s", raw=b"\x00<a/>")
    await written(ParquetSink(tmp_path / "a"), [document])
    await written(ParquetSink(tmp_path / "b", include_raw=True), [document])
    assert stored_documents(tmp_path / "a")[0].raw is None
    assert stored_documents(tmp_path / "b")[0].raw == b"\x00<a/>"


async def test_metadata_that_are_not_json_are_refused(tmp_path):
    """Metadata that are not JSON are refused, and the message names the document."""
    sink = ParquetSink(tmp_path / "out")
    await sink.open(None)
    with pytest.raises(SinkError, match="'odd' cannot be written as JSON"):
        await sink.write([Document(doc_id="odd", source="s", metadata={"f": object()})])
    await sink.aclose()


async def test_what_pyarrow_refuses_is_said_in_our_words(tmp_path):
    """An error of pyarrow says what, where and what to do. Earlier commits stay, and the next run continues after them."""
    path = tmp_path / "out"
    record = await written(ParquetSink(path), DOCUMENTS[:3])
    sink = ParquetSink(path, compression="nonsense")
    await sink.open(record)
    await sink.write(DOCUMENTS[3:5])
    with pytest.raises(
        SinkError, match=r"cannot write to .*out: Unsupported compression: nonsense; correct .* intact"
    ):
        await sink.commit(COMMIT)
    with pytest.raises(SinkError, match="nonsense"):
        await sink.commit(COMMIT)
    await sink.aclose()
    sink = ParquetSink(path)
    await sink.open(record)
    await sink.write([Document.model_construct(**{**dict(DOCUMENTS[3]), "source": None})])
    with pytest.raises(SinkError, match="'source' is declared non-nullable"):
        await sink.commit(COMMIT)
    await sink.aclose()
    assert [document.doc_id for document in stored_documents(path)] == ["d0", "d1", "d2"]


async def test_large_documents_go_out_in_groups(tmp_path):
    """Large documents are written in groups, before the commit, to a file with a temporary name."""
    sink = ParquetSink(tmp_path / "out")
    await sink.open(None)
    await sink.write([Document(doc_id=f"d{n}", source="s", content="x" * (1 << 20)) for n in range(40)])
    (temporary,) = (tmp_path / "out").glob(".part-*")
    assert sink._items == []
    await sink.commit(COMMIT)
    assert not temporary.exists()
    await sink.aclose()
    assert len(stored_documents(tmp_path / "out")) == 40


async def test_a_foreign_folder_is_refused(tmp_path):
    """Another folder is refused, and restart removes only parts."""
    await written(ParquetSink(tmp_path / "ours"), DOCUMENTS[:3])
    record = await written(ParquetSink(tmp_path / "others"), DOCUMENTS[1:4])
    empty = await written(ParquetSink(tmp_path / "empty"), [])
    sink = ParquetSink(tmp_path / "ours")
    with pytest.raises(SinkMismatch, match=r"is not the one that was written.* 3 documents were committed"):
        await sink.open(record)
    with pytest.raises(SinkMismatch, match="is not the one, but 0 documents were committed"):
        await sink.open(empty)
    with pytest.raises(SinkMismatch, match=r"already holds 'part-00000001.parquet'.*remove its parts"):
        await sink.open(None)
    others = ("notes.txt", ".part-.tmp")
    for name in others:
        (tmp_path / "ours" / name).write_text("keep")
        with pytest.raises(SinkMismatch, match=r"which is no part.*move that file away"):
            await sink.open(None)
    await sink.open(None, restart=True)
    await sink.aclose()
    assert sorted(p.name for p in (tmp_path / "ours").iterdir()) == sorted(others)


@pytest.mark.parametrize("harm", ["a part is gone", "the folder is gone"])
async def test_what_was_committed_must_be_there(tmp_path, harm):
    """A missing part or folder is refused."""
    record = await written(ParquetSink(tmp_path / "out"), DOCUMENTS[:3], DOCUMENTS[3:5])
    if harm == "a part is gone":
        (tmp_path / "out" / "part-00000001.parquet").unlink()
    else:
        (tmp_path / "out").rename(tmp_path / "elsewhere")
    sink = ParquetSink(tmp_path / "out")
    with pytest.raises(SinkMismatch, match=r"(lacks part-00000001\.parquet|is gone), but 5 documents"):
        await sink.open(record)
    await sink.aclose()


async def test_a_file_in_place_of_the_folder(tmp_path):
    """A file in place of the folder is refused with a clear error."""
    (tmp_path / "out.parquet").write_bytes(b"")
    async with aclosing(ParquetSink(tmp_path / "out.parquet")) as sink:
        with pytest.raises(SinkError, match=r"cannot open the output .*out\.parquet"):
            await sink.open(None)


def test_chosen_by_name(tmp_path):
    """A name that ends in a slash or in .parquet means a folder of Parquet files."""
    assert isinstance(sink_from(f"{tmp_path}/out/"), ParquetSink)
    assert isinstance(sink_from(tmp_path / "out.parquet"), ParquetSink)


async def test_other_columns_are_refused(tmp_path):
    """A folder is not continued with other columns."""
    record = await written(ParquetSink(tmp_path / "out", schema=Columns), DOCUMENTS[:3])
    for other in (
        ParquetSink(tmp_path / "out"),
        ParquetSink(tmp_path / "out", schema=Columns, columns=["n"]),
    ):
        async with aclosing(other):
            with pytest.raises(SinkMismatch, match="was written with other columns"):
                await other.open(record)


def test_without_pyarrow_it_says_how_to_get_it(tmp_path):
    """Without pyarrow the error names the extra to install."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from penstock.sinks import ParquetSink\n"
        "try: ParquetSink('x')\nexcept Exception as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert install_command("parquet") in said


# -- a disk that forgets


async def run(disk, ledger, rng, *, until):
    """Continue from the ledger's record, as a driver does; stop without closing after ``until`` steps."""
    sink = ParquetSink(FOLDER, storage=disk)
    sink._worker.run = directly
    await sink.open(ledger["record"])
    if ledger["record"] is None:
        ledger["record"] = await sink.commit(COMMIT)
    at = ledger["at"]
    while at < len(DOCUMENTS):
        if until == 0:
            return
        until -= 1
        step = rng.randrange(1, 6)
        await sink.write(DOCUMENTS[at : at + step])
        at = min(at + step, len(DOCUMENTS))
        if rng.random() < 0.3:
            sink._file.append(*sink._take_items())
        if rng.random() < 0.5 or at == len(DOCUMENTS):
            record = json.loads(json.dumps(await sink.commit(COMMIT)))
            if rng.random() < 0.8:
                ledger.update(record=record, at=at)
    ledger.update(record=await sink.commit(COMMIT), at=at)


def content(disk, ledger):
    """Return the lines of the committed parts."""
    names = [f"part-{n:08}.parquet" for n in range(1, ledger["record"]["parts"] + 1)]
    tables = [pq.read_table(BytesIO(disk.content(FOLDER / name))) for name in names]
    rows = [row for table in tables for row in table.to_pylist()]
    return encode_lines([Document(**{**row, "metadata": json.loads(row["metadata"])}) for row in rows])


@pytest.mark.parametrize("seed", range(CUTS // 2))
async def test_a_power_cut_takes_nothing_that_was_committed(seed):
    """After any number of power cuts the parts become those of an undisturbed run."""
    rng = random.Random(seed)
    disk, ledger = FragileDisk(seed), {"record": None, "at": 0}
    while ledger["at"] < len(DOCUMENTS):
        await run(disk, ledger, rng, until=rng.randrange(12))
        disk.cut_power()
        if ledger["record"] is not None:
            assert content(disk, ledger) == encode_lines(DOCUMENTS[: ledger["at"]])
    await run(disk, ledger, rng, until=-1)
    assert content(disk, ledger) == encode_lines(DOCUMENTS)


@pytest.mark.parametrize("fail_at", range(1, 40))
async def test_a_failing_disk_takes_nothing_that_was_committed(fail_at):
    """If any write, fsync or rename fails, the error names the output, and the next run completes it."""
    disk, ledger = FragileDisk(), {"record": None, "at": 0}
    faults = Faults(fail_at - 1, kill=False)
    try:
        await run(FaultyStorage(disk, faults), ledger, random.Random(1), until=-1)
    except SinkError as error:
        assert str(FOLDER) in str(error)
    assert faults.calls >= fail_at
    await run(disk, ledger, random.Random(2), until=-1)
    assert content(disk, ledger) == encode_lines(DOCUMENTS)
