"""Random bytes and mutated XML never crash the pipeline, and its counts are right."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.adapters.pubmed.source import PUBMED_ROOTS, deletions_of
from penstock.adapters.xml_files.inventory import InputFile
from penstock.adapters.xml_files.records import FileRecords, Format
from penstock.errors import SourceError
from penstock.ledger import SqliteLedger

from .conftest import article, articles

if TYPE_CHECKING:
    from penstock.pipeline import RunSummary

GOOD = articles(
    *(article(n) for n in range(1, 5)),
    b"<DeleteCitation><PMID Version='1'>9</PMID><PMID Version='1'>8</PMID></DeleteCitation>",
    before=b"<!DOCTYPE PubmedArticleSet [<!ENTITY a 'b'>]>",
)
SNIPPETS = [
    b"<", b">", b"&a;", b"&#0;", b"&#x1f;", b"\0", b"\x1b[2J", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x", b"?>",
    b"<PubmedArticle>", b"</PubmedArticle>", b"</PubmedArticleSet>", b"\xff\xfe", b"\xc3", b"'", b'"', b"<PMID>",
    b"<PMID Version='1'>77</PMID>", b"\xef\xbb\xbf", b"xmlns:p='u'", b"<p:x/>", "\u202e\ud7ff".encode(),
]  # fmt: skip

FEWER = settings(max_examples=settings.default.max_examples // 2)
"""Each example is a whole run with files of its own."""

edits = st.lists(
    st.tuples(
        st.integers(0, len(GOOD)),
        st.integers(0, 40),
        st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=12)),
    ),
    max_size=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a valid file with pieces of it replaced."""
    data = GOOD
    for at, length, piece in draw(edits):
        data = data[:at] + piece + data[at + length :]
    return data


@st.composite
def packed(draw: st.DrawFn) -> bytes:
    """Draw such a file as gzip, perhaps with a few of its bytes changed."""
    data = bytearray(gzip.compress(draw(mutated()), mtime=0))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=2)):
        data[at] = byte
    return bytes(data)


def records_in(path: Path) -> int:
    """Return the number of records before the end of the file, or before its error."""
    layout = Format(PUBMED_ROOTS, expand=deletions_of)
    records, count = FileRecords(InputFile("a", str(path)), layout), 0
    try:
        while not records.finished:
            records.gather(1_000, 1_000_000, 60.0)
            count += len(records.take(1_000, 1_000_000))
    except SourceError:
        pass
    finally:
        records.close()
    return count


async def ingest(folder: Path) -> tuple[RunSummary | SourceError, dict[str, int], int]:
    """Return the summary or error of the run, the counts of events, and the number of dead letters."""
    settled = {"DocumentCompleted": 0, "DocumentFailed": 0}

    def count(events: list) -> None:
        for event in events:
            name = type(event).__name__
            if name in settled:
                settled[name] += 1

    try:
        pipeline = IngestionPipeline(pubmed(folder / "a.xml"), ledger=folder / "run.db", hooks=[count])
        ended: RunSummary | SourceError = await pipeline.run(folder / "out.jsonl")
    except SourceError as error:
        ended = error
    ledger = SqliteLedger(folder / "run.db")
    await ledger.open("pubmed")
    letters = await ledger.count_dead_letters("pubmed")
    await ledger.aclose()
    return ended, settled, letters


def check(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.xml").write_bytes(data)
        records = records_in(folder / "a.xml")
        tracemalloc.start()
        try:
            ended, settled, letters = asyncio.run(ingest(folder))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 40_000_000
        assert settled["DocumentCompleted"] + settled["DocumentFailed"] == records
        output = folder / "out.jsonl"  # a run that fails before its first record leaves none
        lines = output.read_bytes().splitlines() if records or output.exists() else []
        assert len(lines) == settled["DocumentCompleted"]
        assert all(isinstance(json.loads(line), dict) for line in lines)
        assert letters <= settled["DocumentFailed"]  # a good record of the same id removes the dead letter
        if not isinstance(ended, SourceError):
            assert ended.counts["completed"] + ended.counts["failed"] == records


@FEWER
@given(mutated())
def test_mutated_xml(data: bytes) -> None:
    """Every record completes or fails; the run succeeds, or raises an error of the file."""
    check(data)


@FEWER
@given(packed())
def test_mutated_gzip(data: bytes) -> None:
    """The same for a gzip file with damage anywhere."""
    check(data)


@pytest.mark.slow
@FEWER
@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(SNIPPETS), max_size=30).map(b"".join)))
def test_any_bytes(data: bytes) -> None:
    """The same for random bytes, and for pieces of XML in any order."""
    check(data)
    check(b"<PubmedArticleSet>" + data)
