"""Every kind of input: it is read alike, and resumed in the middle alike."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import sys
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.adapters.pubmed.source import PubMedSource
from penstock.adapters.xml_files import archives, reader
from penstock.adapters.xml_files.raw import FileInput
from penstock.adapters.xml_files.reader import ByteReader
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.abc import Page
    from penstock.document import RawRecord

IDS = [f"PMID:{number}.1" for number in range(1, 8)]


def record(number: int) -> str:
    return f"<PubmedArticle><MedlineCitation><PMID>{number}</PMID></MedlineCitation></PubmedArticle>"


def articles(first: int, last: int) -> bytes:
    return f"<PubmedArticleSet>{''.join(map(record, range(first, last + 1)))}</PubmedArticleSet>".encode()


MEDLINE = "\n".join(f"PMID- {number}\nTI  - title\n" for number in range(1, 8)).encode()
HEAD = '<?xml version="1.0" encoding="utf-16"?>'


def archived_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/upd10.xml.gz", gzip.compress(articles(4, 7)))
        archive.writestr("readme.txt", "what this is")
        archive.writestr("__MACOSX/._upd9.xml", b"\0")
        archive.writestr("deep/upd9.xml", articles(1, 3))


def archived_tar(path: Path) -> None:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in {"upd10.xml": articles(4, 7), "notes": b"x", "upd9.xml": articles(1, 3)}.items():
            info = tarfile.TarInfo(f"deep/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def several(path: Path) -> None:
    archived_zip(path.with_name("n1.zip"))
    path.with_name("n2.nbib").write_bytes(MEDLINE)
    path.write_bytes(articles(1, 7))


def with_a_bad_one(path: Path) -> None:
    path.with_name("n0.xml").write_bytes(articles(1, 9)[:-200])
    path.with_name("n1.xml").write_bytes(b"no XML")
    path.write_bytes(articles(1, 7))
    path.with_name("n9.zip").write_bytes(b"no archive")


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


KINDS: dict[str, tuple[Callable[[Path], object], int]] = {
    "plain.xml": (content(articles(1, 7)), 1),
    "packed.xml.gz": (content(gzip.compress(articles(1, 3)[:90]) + gzip.compress(articles(1, 7)[90:])), 1),
    "wide.xml": (content((HEAD + articles(1, 7).decode()).encode("utf-16")), 1),
    "bare.xml": (content("\n".join(map(record, range(1, 8))).encode()), 1),
    "sets.xml": (content(articles(1, 3) + b"<?xml version='1.0'?>\n" + articles(4, 7)), 1),
    "text.nbib": (content(MEDLINE), 1),
    "text.txt.gz": (content(gzip.compress(MEDLINE)), 1),
    "archive.zip": (archived_zip, 1),
    "archive.tar": (archived_tar, 1),
    "archive.tar.gz": (archived_tar, 1),
    "archive.tgz": (archived_tar, 1),
    "n3.xml": (several, 3),
    "n5.xml": (with_a_bad_one, 0),
}
"""What writes the input, and how often each document is in it (0: there are bad files as well)."""


async def pages(*paths: str | Path, position=None, page_size: int = 2) -> list[Page[RawRecord]]:
    source = PubMedSource(*paths, page_size=page_size, on_bad_file="skip")
    return [page async for page in source.fetch(position)]


def flat(found: list[Page[RawRecord]]) -> list[RawRecord]:
    return [raw for page in found for raw in page.items]


@pytest.mark.parametrize("name", KINDS)
async def test_reading_and_resuming(tmp_path: Path, name: str) -> None:
    """Each kind yields its documents in order, and after each page a new run yields the remaining records."""
    write, times = KINDS[name]
    write(tmp_path / name)
    whole = await pages(tmp_path / "*")
    records, source = flat(whole), PubMedSource("any")
    if times:
        assert [source.identify(raw) for raw in records] == IDS * times
        assert all(source.parse(raw).is_ok() for raw in records)
    came = 0
    for page in whole:
        came += len(page.items)
        position = json.loads(json.dumps(page.position))
        assert PubMedSource.settled(position) == came
        assert flat(await pages(tmp_path / "*", position=position, page_size=3)) == records[came:]
    assert all(state["done"] for state in whole[-1].position["files"].values())


async def test_a_bad_file_among_others(tmp_path: Path) -> None:
    """It is one failure and a dead letter; the others are read; a run says so, and again only if it changed."""
    with_a_bad_one(tmp_path / "n5.xml")
    out, ledger = tmp_path / "out.jsonl", tmp_path / "run.db"

    async def run(on_bad_file="skip"):
        adapter = pubmed(tmp_path / "n*", on_bad_file=on_bad_file)
        pipeline = IngestionPipeline(adapter, ledger=ledger)
        return (await pipeline.run(out)).counts

    counts = await run()
    assert (counts["completed"], counts["failed"]) == (6 + 7, 3)
    assert (await run())["failed"] == 0
    (tmp_path / "n1.xml").write_bytes(articles(11, 12))  # fetched again
    counts = await run()
    assert (counts["completed"], counts["failed"]) == (2, 0)
    (tmp_path / "n6.xml").write_bytes(b"no XML")
    with pytest.raises(SourceError, match=r"n6\.xml is not XML"):
        await run(on_bad_file="stop")


async def test_a_passing_error_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the disk could not read to its end is read on by the next run, and nothing comes twice."""
    end = b"</PubmedArticle>"
    (tmp_path / "a.xml").write_bytes(articles(1, 60).replace(end, end + b" " * 9000))
    out, ledger = tmp_path / "out.jsonl", tmp_path / "run.db"

    async def run() -> tuple[int, int]:
        adapter = pubmed(tmp_path / "*.xml", on_bad_file="skip")
        counts = (await IngestionPipeline(adapter, ledger=ledger).run(out)).counts
        return counts["completed"], counts["failed"]

    monkeypatch.setattr(reader, "FileInput", FailingDisk(str(tmp_path / "a.xml")))
    completed, failed = await run()
    assert (0 < completed < 60, failed) == (True, 1)
    assert await run() == (0, 1)  # it fails again
    monkeypatch.undo()
    assert await run() == (60 - completed, 0)
    lines = out.read_text().splitlines()
    assert len(lines) == len({json.loads(line)["doc_id"] for line in lines}) == 60
    assert await run() == (0, 0)


class FailingDisk:
    """A disk that reads no more than 256 KiB of one file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, path: str) -> FileInput:
        file = FileInput(path)
        read, done = file.read, [0]

        def failing(size: int) -> bytes:
            if path == self.path and done[0]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done[0] += 1
            return read(size)

        file.read = failing  # type: ignore[method-assign]
        return file


async def test_a_tar_is_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that stand in a tar as text sorts are read by number; it is opened once more for a step back only."""
    opened: list[str] = []

    class Counted(ByteReader):
        def __init__(self, path: str, *more: Any) -> None:
            super().__init__(path, *more)
            opened.append(path)

    monkeypatch.setattr(archives, "ByteReader", Counted)
    path = tmp_path / "all.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in sorted(f"upd{number}.xml" for number in range(1, 25)):
            data = articles(int(name[3:-4]), int(name[3:-4]))
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    source = PubMedSource("any")
    records = flat(await pages(path))
    assert [source.identify(raw) for raw in records] == [f"PMID:{number}.1" for number in range(1, 25)]
    assert len(opened) == 3  # the list of its files, 1 to 9, and 10 to 24


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("data", [articles(1, 7), gzip.compress(articles(1, 7)), MEDLINE])
async def test_a_named_pipe(tmp_path: Path, data: bytes) -> None:
    """A pipe is read as its bytes arrive; the next run reads what is sent then, and not from the middle."""
    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)

    def send() -> None:
        with pipe.open("wb", buffering=0) as file:
            for at in range(0, len(data), 50):
                file.write(data[at : at + 50])

    async def read(position=None) -> list[Page[RawRecord]]:
        writer = threading.Thread(target=send)
        writer.start()
        found = await pages(pipe, position=position)
        writer.join()
        return found

    whole = await read()
    source = PubMedSource(pipe)
    assert [source.identify(raw) for raw in flat(whole)] == IDS
    again = await read(whole[-1].position)
    assert [source.identify(raw) for raw in flat(again)] == IDS
    assert {raw.key for raw in flat(whole)}.isdisjoint(raw.key for raw in flat(again))
    with pytest.raises(SourceError, match=r"pipe\.xml, which cannot be read again from there"):
        await pages(pipe, position=whole[0].position)


async def test_standard_input(tmp_path: Path) -> None:
    """``-`` is standard input; closing a run that waits for it ends at once."""
    readable, writable = os.pipe()
    kept = os.dup(0)
    try:
        os.dup2(readable, 0)
        os.write(writable, articles(1, 7)[:-30])
        walk = PubMedSource("-", page_size=2).fetch(None)
        first = await anext(walk)
        assert [raw.key for raw in first.items] == ["stdin:1#0", "stdin:1#1"]
        await walk.aclose()
        os.close(writable)
        with pytest.raises(SourceError, match=r"standard input is empty|standard input is not XML"):
            await anext(PubMedSource("-").fetch(None))
        with pytest.raises(SourceError, match="interrupted while it read standard input"):
            await anext(PubMedSource("-").fetch(first.position))
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(readable)
