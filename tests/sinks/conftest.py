"""The sinks that must keep the same promises, and a disk that forgets what was not fsynced."""

from __future__ import annotations

import gzip
import json
import random
from itertools import count
from pathlib import Path

import pyarrow.dataset
import pytest
import zstandard

from penstock.document import Document
from penstock.sinks import JsonLinesSink, MemorySink, ParquetSink
from penstock.sinks.lines import encode_lines


class FragileFile:
    """A file of ``FragileDisk``: what is durable, and what was done since."""

    def __init__(self, identity):
        self.identity = identity
        self.durable = b""
        self.since = []  # the contents after each step since the last fsync

    @property
    def now(self):
        return self.since[-1] if self.since else self.durable

    def size(self):
        return len(self.now)

    def read(self, offset, length):
        return self.now[offset : offset + length]

    def append(self, data):
        self.since.append(self.now + data)

    def truncate(self, size):
        self.since.append(self.now[:size])

    def fsync(self):
        self.durable, self.since = self.now, []

    def close(self):
        pass

    def after_power_cut(self, rng):
        """Return what may be left: any step, with sectors lost, zeroed or taken from another step."""
        versions = [self.durable, *self.since]
        left = bytearray(rng.choice(versions))
        common = min(map(len, versions))
        while common and any(version[:common] != self.durable[:common] for version in versions):
            common -= 1  # what no step touched since the fsync is as it was
        for start in range(common, len(left), 64):
            sector = slice(max(start, common), start + 64)
            other = rng.choice([left, left, left, bytes(len(left)), *versions])[sector]
            if len(other) == len(left[sector]):
                left[sector] = other
        if rng.random() < 0.3:
            del left[rng.randrange(common, len(left) + 1) :]
        return bytes(left)


class FragileLock:
    def acquire(self):
        return None

    def release(self):
        pass


class FragileDisk:
    """A ``Storage`` in memory, with a power switch."""

    def __init__(self, seed=0):
        self._rng = random.Random(seed)
        self._identities = count()
        self.files = {}
        self.durable_names = {}
        self.fail_at = None
        self.steps = 0

    def step(self):
        self.steps += 1
        if self.steps == self.fail_at:
            raise OSError(5, "Input/output error")

    def open(self, path, *, create):
        if path not in self.files:
            if not create:
                raise FileNotFoundError(2, "No such file", str(path))
            self.files[path] = FragileFile(f"file {next(self._identities)}")
        return Watched(self, self.files[path])

    def fsync_folder(self, folder):
        self.step()
        self.durable_names = dict(self.files)

    def rename(self, source, target):
        self.step()
        self.files[target] = self.files.pop(source)

    def remove(self, path):
        del self.files[path]

    def make_folder(self, path):
        pass

    def names(self, folder):
        return sorted(path.name for path in self.files if path.parent == folder)

    def lock(self, path):
        return FragileLock()

    def cut_power(self):
        """Forget whatever was not fsynced, or some of it; names that were not, too."""
        names = dict(self.durable_names)
        for path, file in self.files.items():
            if self._rng.random() < 0.5:
                names.setdefault(path, file)
        self.files = self.durable_names = names
        for file in names.values():
            file.durable, file.since = file.after_power_cut(self._rng), []


class Watched:
    """A file whose every writing step counts, and may be the one that fails."""

    def __init__(self, disk, file):
        self._disk = disk
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def append(self, data):
        try:
            self._disk.step()
        except OSError:
            self._file.append(data[: len(data) // 2])  # a failed write may have written a part
            raise
        self._file.append(data)

    def truncate(self, size):
        self._disk.step()
        self._file.truncate(size)

    def fsync(self):
        self._disk.step()
        self._file.fsync()


class MemoryKind:
    """In memory a crash leaves the object, with whatever was written to it."""

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
    """On the real disk a crash leaves the file, and the system gives back the lock."""

    def __init__(self, folder: Path, ending=""):
        self._path = folder / f"out.jsonl{ending}"

    def new(self):
        return JsonLinesSink(self._path)

    async def crash(self, sink):
        # What was handed to the system stays there; what the sink still buffered is gone.
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


class ParquetKind:
    """A folder: a crash leaves whole parts, and perhaps one under its temporary name."""

    def __init__(self, folder: Path):
        self._path = folder / "out.parquet"

    def new(self):
        return ParquetSink(self._path)

    async def crash(self, sink):
        await sink._worker.run(lambda: None)
        if sink._folder._file is not None:
            sink._folder._file.close()
            sink._folder._file = None
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

    def _last(self):
        return max(self._path.glob("part-*.parquet"))


def stored_documents(path):
    """Return the documents of a folder of Parquet files, read as one dataset, in order."""
    parts = sorted(map(str, path.glob("part-*.parquet")))
    if not parts:
        return []
    table = pyarrow.dataset.dataset(parts).to_table()
    columns = [name for name in table.column_names if not name.startswith("metadata.")]
    rows = table.select(columns).to_pylist()
    return [Document(**{**row, "metadata": json.loads(row["metadata"])}) for row in rows]


def unpacked(data, suffix):
    """Return what a file of lines holds, by the ending of its name; a part that was cut makes it fail."""
    if suffix == ".gz":
        return gzip.decompress(data)
    if suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).readall()
    return data


ENDINGS = {"jsonl": "", "jsonl.gz": ".gz", "jsonl.zst": ".zst"}


@pytest.fixture(params=["memory", *ENDINGS, "parquet"])
def kind(request, tmp_path):
    """Return one kind of sink."""
    if request.param == "parquet":
        return ParquetKind(tmp_path)
    return MemoryKind() if request.param == "memory" else JsonLinesKind(tmp_path, ENDINGS[request.param])


@pytest.fixture
async def sink(kind):
    """Return a sink of each kind, not yet opened."""
    sink = kind.new()
    yield sink
    await sink.aclose()


@pytest.fixture
def fragile_disk():
    """Return the class of disks that forget."""
    return FragileDisk
