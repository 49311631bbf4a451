"""The kinds of sinks, as fixtures."""

from __future__ import annotations

import csv
import gzip
import io
import json
import resource
from contextlib import contextmanager
from pathlib import Path

import pyarrow.dataset
import pytest
import zstandard

from penstock.document import Document
from penstock.sinks import CsvSink, JsonLinesSink, MemorySink, ParquetSink
from penstock.sinks.files.lines import encode_lines

from .databases import DATABASES, FILE_DATABASES, database_of, harms_of, lose_lock, wipe


class MemoryKind:
    """A sink in memory. A crash leaves the object with everything that was written to it."""

    def new(self):
        return MemorySink()

    async def crash(self, sink):
        return sink

    def content(self, sink):
        return encode_lines(sink.documents)

    stored = content

    def meddle(self, sink):
        sink.documents[-1] = sink.documents[-1].model_copy(update={"doc_id": "somebody else's"})

    def shorten(self, sink):
        sink._committed -= 1


class JsonLinesKind:
    """A file on the real disk. A crash leaves the file, and the system releases the lock."""

    def __init__(self, folder: Path, ending=""):
        self._path = folder / f"out.jsonl{ending}"

    def new(self):
        return JsonLinesSink(self._path)

    async def crash(self, sink):
        # Written bytes stay in the file; buffered ones are lost.
        await sink._worker.run(lambda: None)
        sink._file._file.close()
        sink._file._file = None
        await sink.aclose()
        return self.new()

    def content(self, sink):
        return unpacked(self._path.read_bytes(), self._path.suffix)

    def stored(self, sink):
        return self._path.read_bytes()

    def meddle(self, sink):
        data = bytearray(self._path.read_bytes())
        data[-5] ^= 1
        self._path.write_bytes(data)

    def shorten(self, sink):
        self._path.write_bytes(self._path.read_bytes()[:-1])

    def harms(self, sink):
        return {
            **harms_of(self._path),
            "appended to": lambda: self._path.write_bytes(self._path.read_bytes() + b"x"),
        }

    def wipe(self):
        wipe(self._path.parent)

    def lose_lock(self, sink):
        lose_lock(self._path)


class CsvKind(JsonLinesKind):
    """A file of rows, which is otherwise like one of JSON Lines."""

    def __init__(self, folder: Path, ending=".csv"):
        self._path = folder / f"out{ending}"

    def new(self):
        return CsvSink(self._path)

    def content(self, sink):
        text = super().content(sink).decode()
        delimiter = "\t" if ".tsv" in self._path.name else ","
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        return encode_lines([document_of(row) for row in rows])


def document_of(row):
    """Return the document of a row of CSV."""
    return Document(**{**row, "metadata": json.loads(row["metadata"]), "deleted": row["deleted"] == "true"})


class ParquetKind:
    """A folder. A crash leaves complete parts, and perhaps one part with its temporary name."""

    def __init__(self, folder: Path):
        self._path = folder / "out.parquet"

    def new(self):
        return ParquetSink(self._path)

    async def crash(self, sink):
        await sink._worker.run(lambda: None)
        if sink._file._file is not None:
            sink._file._file.close()
            sink._file._file = None
        await sink.aclose()
        return self.new()

    def content(self, sink):
        return encode_lines(stored_documents(self._path))

    def stored(self, sink):
        return b"".join(path.read_bytes() for path in sorted(self._path.iterdir()))

    def meddle(self, sink):
        data = bytearray(self._last().read_bytes())
        data[-5] ^= 1
        self._last().write_bytes(data)

    def shorten(self, sink):
        self._last().write_bytes(self._last().read_bytes()[:-1])

    def harms(self, sink):
        part = self._path / "part-00000001.parquet"
        return {
            "renamed as a folder": lambda: self._path.rename(self._path.with_name("moved")),
            "emptied": lambda: wipe(self._path),
            **{f"{name} in its last part": harm for name, harm in harms_of(part).items()},
        }

    def wipe(self):
        wipe(self._path.parent)

    def lose_lock(self, sink):
        lose_lock(self._path)

    def _last(self):
        return max(self._path.glob("part-*.parquet"))


def stored_documents(path):
    """Return the documents of a folder of Parquet files, in order."""
    parts = sorted(map(str, path.glob("part-*.parquet")))
    if not parts:
        return []
    table = pyarrow.dataset.dataset(parts).to_table()
    rows = table.to_pylist()
    return [Document(**{**row, "metadata": json.loads(row["metadata"])}) for row in rows]


def unpacked(data, suffix):
    """Decompress a file of lines by the ending of its name; fail if a part is cut off."""
    if suffix == ".gz":
        return gzip.decompress(data)
    if suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).readall()
    return data


@contextmanager
def file_size_limit(size):
    """Limit the size of files, as ``ulimit -f`` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


ENDINGS = {"jsonl": "", "jsonl.gz": ".gz", "jsonl.zst": ".zst"}


ROWS = {"csv": ".csv", "tsv.gz": ".tsv.gz"}


FILES = ["memory", *ENDINGS, *ROWS, "parquet"]


@pytest.fixture(params=[*FILES, *DATABASES])
def kind(request, tmp_path):
    """Return one kind of sink."""
    name = request.param
    if name in DATABASES:
        return database_of(request, tmp_path)
    if name == "parquet":
        return ParquetKind(tmp_path)
    if name in ROWS:
        return CsvKind(tmp_path, ROWS[name])
    return MemoryKind() if name == "memory" else JsonLinesKind(tmp_path, ENDINGS[name])


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    """Return one kind of database."""
    return database_of(request, tmp_path)


@pytest.fixture(params=FILE_DATABASES)
def file_database(request, tmp_path):
    """Return one kind of database that is a file."""
    return database_of(request, tmp_path)


@pytest.fixture
async def sink(kind):
    """Return a sink of each kind, not open yet."""
    sink = kind.new()
    yield sink
    await sink.aclose()
