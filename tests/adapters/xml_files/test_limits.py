"""Streams made to exhaust their reader: decompression bombs, and markup that never ends."""

from __future__ import annotations

import gzip
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from penstock.adapters.xml_files.reader import ByteReader, Unpacking
from penstock.adapters.xml_files.splitter import RecordSplitter
from penstock.errors import SourceError

from ...length import sampled  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
MEMBER = gzip.compress(b"x" * MIB, mtime=0)
"""A gzip member that unpacks to a thousand times its size."""

BEGINNINGS = [
    b"", b"<", b"<!--", b"<?x", b"<!DOCTYPE S [", b"<Set", b"<Set a='", b"<Set>", b"<Set>t", b"<Set><Rec",
    b"<Set><Rec>", b"<Set><Rec a='", b"<Set><Rec></Rec", b"<Set><Rec></Rec>", b"<Set><Rec><!--", b"<Set><!--",
    b"<Set><Rec><![CDATA[", b"<Set></Set", b"<Set></Set>", b"<Set><x", b"<Set><x></x", b"<Set><Rec><Rec",
]  # fmt: skip

FILLINGS = (b"x", b" ", b"&a;", b"\0", b">", b"'", b"-")


def unpack(path: Path, unpacking: Unpacking) -> tuple[int, str]:
    """Return the number of bytes that were read, and the error."""
    total = 0
    try:
        with ByteReader(path, unpacking) as reader:
            while data := reader.read():
                total += len(data)
    except SourceError as error:
        return total, str(error)
    return total, ""


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    """After 16 MiB, the ratio of the whole file is limited, over all its members."""
    path = tmp_path / "a.gz"
    path.write_bytes(MEMBER * 40)
    total, error = unpack(path, Unpacking())
    assert 16 * MIB <= total <= 17 * MIB
    assert error.startswith(f"{path} unpacks to more than 200 times its bytes")
    assert "max_ratio" in error
    assert unpack(path, Unpacking(max_ratio=2000)) == (40 * MIB, "")


def test_a_file_is_refused_by_its_size(tmp_path: Path) -> None:
    """The limit of bytes applies to all members together."""
    path = tmp_path / "a.gz"
    path.write_bytes(MEMBER * 8)
    total, error = unpack(path, Unpacking(max_bytes=3 * MIB))
    assert total <= 3 * MIB
    assert "max_unpacked_bytes" in error
    assert unpack(path, Unpacking(max_bytes=8 * MIB)) == (8 * MIB, "")


def test_a_plain_file_has_no_limit(tmp_path: Path) -> None:
    """An uncompressed file is never refused as a bomb."""
    path = tmp_path / "a.xml"
    path.write_bytes(b" " * MIB)
    assert unpack(path, Unpacking(max_ratio=1, max_bytes=1)) == (MIB, "")


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_endless_markup_does_not_fill_memory(beginning: bytes, nested: bool) -> None:
    """For any markup that never ends, the splitter keeps one record and one tag at most, or raises.

    Every day each beginning meets two or three of the fillings.
    """
    for filling in sampled(FILLINGS, 3, BEGINNINGS.index(beginning) + nested):
        splitter = RecordSplitter({"Set": ("Rec",)}, nested=nested, max_record_bytes=MIB)
        portion, largest = filling * (256 * 1024 // len(filling)), 0
        try:
            splitter.feed(beginning)
            for _ in range(12):
                splitter.feed(portion)
                largest = max(largest, len(splitter._scan.buffer))
        except SourceError:
            pass
        assert largest <= 2 * MIB, filling


@pytest.mark.parametrize("token", [b"<!", b"<?", b"<Rec>", b"<Rec", b"</Rec", b"<x>", b"!"])
def test_the_search_is_linear(token: bytes) -> None:
    """The search takes eight times the steps for eight times the bytes, not sixty-four times.

    The test counts the bytes that searches pass, not seconds.
    """

    def passed(count: int) -> int:
        looked = 0

        class Counting(bytearray):
            def find(self, what, start=0, end=None):
                nonlocal looked
                found = super().find(what, start, len(self) if end is None else end)
                looked += (found if found >= 0 else len(self) if end is None else end) - start
                return found

        splitter = RecordSplitter({"Set": ("Rec",)})
        splitter._scan.buffer = Counting(b"<Set><Rec>" + token * count)
        splitter._run()
        return looked

    few, many = passed(500), passed(4_000)
    assert many <= 9 * few + 10_000


def test_an_end_tag_that_does_not_end_costs_its_record() -> None:
    """Only its record is lost; the next one is whole, whatever the chunks."""
    document = b"<Set><Rec>1</Rec" + b" " * 3 * MIB + b"><Rec>2</Rec></Set>"
    for portion in (len(document), 100_000):
        splitter = RecordSplitter({"Set": ("Rec",)})
        pieces = []
        for at in range(0, len(document), portion):
            pieces += splitter.feed(document[at : at + portion])
        splitter.close()
        assert pieces[0].fault == "its end tag does not end"
        assert (pieces[-1].data, pieces[-1].fault) == (b"<Rec>2</Rec>", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child reports the memory of its parent")
def test_a_record_of_a_gigabyte_takes_no_memory(tmp_path: Path) -> None:
    """It fails with its size in the error and its first 64 KiB kept; the next record is read; memory is < 300 MB."""
    path = tmp_path / "a.xml.gz"
    head = b"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version='1'>1</PMID>"
    tail = (
        b"</MedlineCitation></PubmedArticle>"
        b"<PubmedArticle><MedlineCitation><PMID Version='1'>2</PMID></MedlineCitation></PubmedArticle></PubmedArticleSet>"
    )
    with path.open("wb") as file:
        file.write(gzip.compress(head))
        for _ in range(1024):
            file.write(MEMBER)
        file.write(gzip.compress(tail))
    program = textwrap.dedent(
        """
        import asyncio, sys
        from penstock import IngestionPipeline
        from penstock.adapters import pubmed
        from penstock.cli.resources import peak_memory
        from penstock.ledger import SqliteLedger

        async def main():
            ledger = SqliteLedger("run.db")
            summary = await IngestionPipeline(pubmed("a.xml.gz", max_ratio=2000), ledger=ledger).run("out.jsonl")
            await ledger.open("pubmed")
            letters = [letter async for letter in ledger.dead_letters("pubmed")]
            print(summary.counts["completed"], summary.counts["failed"])
            print(len(letters[0].raw), letters[0].doc_id, letters[0].error)
            await ledger.aclose()

        asyncio.run(main())
        print(peak_memory().own)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=250
    )
    counts, letter, peak = done.stdout.splitlines()
    assert counts == "1 1"
    assert letter.startswith("65536 PMID:1.1 record a.xml.gz#0 cannot be read: it has 1073741")
    assert int(peak) < 300_000_000, peak
