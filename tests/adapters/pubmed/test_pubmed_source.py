"""`PubMedSource`: pages, positions, new and changed files, and damaged files."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import shutil
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock.adapters.pubmed.parse import identify_record, parse_record
from penstock.adapters.pubmed.sample import write_sample
from penstock.adapters.pubmed.source import PubMedSource, deletions_of
from penstock.adapters.xml_files.splitter import Piece
from penstock.document import Document
from penstock.errors import DocumentError, PositionError, SourceError

from ...length import LONG  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from penstock.abc import Page
    from penstock.document import RawRecord


async def pages(*paths: str | Path, position=None, **options) -> list[Page[RawRecord]]:
    return [page async for page in PubMedSource(*paths, **options).fetch(position)]


async def until_error(*paths: str | Path, position=None, **options) -> tuple[list[RawRecord], str]:
    records: list[RawRecord] = []
    try:
        async for page in PubMedSource(*paths, **options).fetch(position):
            records += page.items
    except SourceError as error:
        return records, str(error)
    return records, ""


def flat(found: list[Page[RawRecord]]) -> list[RawRecord]:
    return [record for page in found for record in page.items]


def article(number: int | str, inside: str = "") -> str:
    pmid = f'<PMID Version="1">{number}</PMID>' if number else ""
    return f"<PubmedArticle><MedlineCitation>{pmid}{inside}</MedlineCitation></PubmedArticle>"


def articles(*numbers: int | str) -> bytes:
    return f"<PubmedArticleSet>{''.join(map(article, numbers))}</PubmedArticleSet>".encode()


linux = sys.platform == "linux"


def open_files() -> int:
    """Return the number of open descriptors, on Linux."""
    return len(list(Path("/proc/self/fd").iterdir())) if linux else 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write three files: one with deletions, an empty set, and one with malformed records."""
    write_sample(tmp_path / "n1.xml.gz", 40, seed=1, deletions=7)
    (tmp_path / "n2.xml").write_bytes(b"<?xml version='1.0'?><PubmedArticleSet/>")
    write_sample(tmp_path / "n3.xml", 33, seed=3, malformed=3)
    return tmp_path


@pytest.mark.parametrize("page_size", [1, 7, 40, 1000])
async def test_resuming_from_every_position(folder: Path, page_size: int) -> None:
    """After any page, a run with another page size delivers the remaining records; at the end all is done."""
    whole = await pages(folder / "n*", page_size=page_size)
    records = flat(whole)
    assert [record.key for record in records] == [
        *(f"n1.xml.gz#{index}" for index in range(47)),
        *(f"n3.xml#{index}" for index in range(36)),
    ]
    assert all(len(page.items) <= page_size for page in whole)
    came = 0
    for page in whole:
        came += len(page.items)
        stored = json.loads(json.dumps(page.position))
        assert PubMedSource.settled(stored) == came
        assert flat(await pages(folder / "n*", position=stored, page_size=11)) == records[came:]
    assert all(state["done"] for state in whole[-1].position["files"].values())
    assert len(whole[-1].position["files"]) == 3
    assert await pages(folder / "n*", position=whole[-1].position) == []


async def test_positions_do_not_change_later(folder: Path) -> None:
    """A position stays the same while later pages are read."""
    walk = PubMedSource(folder / "n*", page_size=5).fetch(None)
    kept = [(page.position, json.dumps(page.position)) async for page in walk]
    assert all(json.dumps(position) == text for position, text in kept)
    assert len({text for _, text in kept}) == len(kept)


async def test_records_are_the_bytes_of_the_file(folder: Path) -> None:
    """A record has the bytes from its ``<`` to its ``>``, unchanged."""
    content = gzip.decompress((folder / "n1.xml.gz").read_bytes())
    records = flat(await pages(folder / "n1.xml.gz"))
    at = 0
    for record in records:
        at = content.index(record.data, at)
        assert record.data.startswith((b"<PubmedArticle>", b"<PubmedBookArticle>", b"<PMID "))
    assert records[-1].data == b'<PMID Version="1">900000007</PMID>'


async def test_files_added_later_are_new(folder: Path) -> None:
    """A file that was begun is finished first; new files follow, whatever their names."""
    first = await pages(folder / "n1.xml.gz", page_size=30)
    write_sample(folder / "n0.xml.gz", 5, seed=9)
    rest = flat(await pages(folder / "n*", position=first[0].position))
    assert [record.key for record in rest] == [
        *(f"n1.xml.gz#{index}" for index in range(30, 47)),
        *(f"n0.xml.gz#{index}" for index in range(5)),
        *(f"n3.xml#{index}" for index in range(36)),
    ]
    later = await pages(folder / "n*", position=first[-1].position)
    assert {record.key.split("#")[0] for record in flat(later)} == {"n0.xml.gz", "n3.xml"}


async def test_files_of_earlier_runs_are_remembered(folder: Path) -> None:
    """A run over other files keeps the state of the files of earlier runs."""
    first = await pages(folder / "n1.xml.gz")
    second = await pages(folder / "n3.xml", position=first[-1].position)
    assert await pages(folder / "n*", position=second[-1].position) != []  # n2 is new, and empty
    assert flat(await pages(folder / "n*", position=second[-1].position)) == []


@pytest.mark.parametrize("page", [0, -1])
async def test_a_file_that_changed(folder: Path, page: int) -> None:
    """The change is an error before anything is read, whether the file was begun or done."""
    position = (await pages(folder / "n1.xml.gz", page_size=30))[page].position
    write_sample(folder / "n1.xml.gz", 40, seed=2, deletions=7)
    records, error = await until_error(folder / "n*", position=position)
    assert records == []
    assert "n1.xml.gz has changed since an earlier run read it as 'n1.xml.gz'" in error


async def test_the_same_files_from_elsewhere(folder: Path, monkeypatch) -> None:
    """Positions stay valid after the working directory changed or the folder was moved."""
    whole = await pages(folder / "n*", page_size=10)
    moved = shutil.move(folder, folder.with_name("moved"))
    monkeypatch.chdir(moved)
    rest = await pages("n3.xml", "./n1.xml.gz", position=whole[1].position, page_size=10)
    assert flat(rest) == flat(whole[2:])


async def test_the_page_that_was_begun_comes_first(folder: Path) -> None:
    """A run resumed within a page gets that page first. New files or another page size do not change this."""
    found = await pages(folder / "n*", page_size=10)
    for number, name in enumerate(("n0.xml", "n11.xml", "n2a.xml", "n9.xml")):
        write_sample(folder / name, 3, seed=20 + number)
    for page, following in [*pairwise(found)][:: 1 if LONG else 6]:
        if not following.items:
            continue
        for size in (4, 10, 100):
            again = await pages(folder / "n*", position=page.position, page_size=size)
            first = flat(again)[: len(following.items)]
            assert [record.key for record in first] == [record.key for record in following.items]


async def test_the_file_that_is_next_must_be_there(folder: Path) -> None:
    """If the file of the next page is missing, resuming is an error."""
    first = await pages(folder / "n*", page_size=30)
    records, error = await until_error(folder / "n3.xml", position=first[0].position)
    assert records == []
    assert error == (
        "the earlier run stopped in 'n1.xml.gz', which is not among the files now: "
        "add it to the files, or read everything again with refresh=True (--refresh)"
    )


async def test_a_foreign_position_is_refused(folder: Path) -> None:
    """A position of another source is an error, because starting over would repeat documents."""
    for position in ({}, {"files": []}, {"files": {"a": 1}}, "n1", 3):
        with pytest.raises(PositionError, match="not a position of a source of files"):
            await pages(folder / "n*", position=position)


async def test_the_estimate_is_exact_at_the_end(folder: Path) -> None:
    """Every page has an estimate, and the last one is exact, even after resuming."""
    whole = await pages(folder / "n*", page_size=10)
    assert all(page.estimated_total for page in whole)
    assert whole[-1].estimated_total == 83
    assert (await pages(folder / "n*", position=whole[3].position))[-1].estimated_total == 83


async def test_arguments_are_checked_at_once_and_files_are_not() -> None:
    """Wrong arguments raise at once; a missing file raises when the first page is requested."""
    with pytest.raises(ValueError, match="needs at least one file or glob"):
        PubMedSource()
    with pytest.raises(TypeError, match=r"must be a str or a pathlib\.Path, not bytes"):
        PubMedSource(b"a.xml")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PubMedSource(["a.xml"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="page_size must be at least 1, not 0"):
        PubMedSource("a.xml", page_size=0)
    with pytest.raises(TypeError, match="page_size must be a whole number"):
        PubMedSource("a.xml", page_size=1.5)  # type: ignore[arg-type]
    source = PubMedSource("missing.xml", Path("more/*.gz"))
    assert source.parameters == {"paths": ["missing.xml", "more/*.gz"]}
    walk = source.fetch(None)
    with pytest.raises(SourceError, match=r"missing\.xml does not exist"):
        await anext(aiter(walk))


async def test_cancelled_while_reading_it_closes_the_file(folder: Path) -> None:
    """After a cancellation at any turn of the event loop, no file is left open."""
    before = open_files()
    await asyncio.to_thread(os.getpid)  # the executor's thread is there from now on

    async def read() -> None:
        await pages(folder / "n*", page_size=3)

    for turns in range(40):
        task = asyncio.create_task(read())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.done()
    assert open_files() <= before


async def test_closed_in_the_middle_it_closes_the_file(folder: Path) -> None:
    """`aclose` of the generator closes the open file."""
    walk = PubMedSource(folder / "n1.xml.gz", page_size=1).fetch(None)
    before = open_files()
    await anext(walk)
    assert open_files() == before + linux
    await walk.aclose()
    assert open_files() == before


# -- damaged files


@pytest.mark.parametrize("size", [10_000, 13_000, 16_000])
async def test_a_truncated_gzip(folder: Path, size: int) -> None:
    """All whole records are delivered, then the error is raised; a resumed run raises the same error."""
    whole = flat(await pages(folder / "n1.xml.gz"))
    path = folder / "n1.xml.gz"
    path.write_bytes(path.read_bytes()[:size])
    records, error = await until_error(path, page_size=4)
    assert 0 < len(records) < len(whole)
    assert records == whole[: len(records)]
    assert error == f"{path} is truncated: its gzip data ends early, after {size} bytes; fetch it again"
    found = [page async for page in _until(PubMedSource(path, page_size=4))]
    assert await until_error(path, position=found[-1].position) == (records[len(flat(found)) :], error)


async def _until(source: PubMedSource):
    try:
        async for page in source.fetch(None):
            yield page
    except SourceError:
        return


async def test_xml_that_breaks_in_the_middle(tmp_path: Path) -> None:
    """The whole records are delivered; then the error says where the file ends."""
    path = tmp_path / "a.xml"
    path.write_bytes(articles(1, 2, 3)[:-40])
    records, error = await until_error(path)
    assert [record.key for record in records] == ["a.xml#0", "a.xml#1"]
    assert f"{path} is truncated: it ends within the record that begins at byte " in error
    assert "(2 records before it)" in error


async def test_wrong_files(tmp_path: Path) -> None:
    """A web page, an answer of another service, text, and random bytes each have their own error."""
    for content, message in [
        (b"<html><body/></html>", "has the root element <html>, not <PubmedArticleSet> or "),
        (b"<eFetchResult><ERROR>x</ERROR></eFetchResult>", "has the root element <eFetchResult>"),
        (b"Dear PMID", "is not XML: it begins with b'Dear PMID'"),
        (os.urandom(300).replace(b"<", b" "), "is not XML"),
    ]:
        path = tmp_path / "a.xml"
        path.write_bytes(b"\x00" + content if message == "is not XML" else content)
        records, error = await until_error(path)
        assert records == []
        assert message in error


TOO_LARGE = "it has 5092 bytes, more than the 1000 that max_record_bytes allows"


async def test_bad_records_are_isolated(tmp_path: Path) -> None:
    """Records that are damaged, unknown, too large or without a PMID fail alone; the others are whole."""
    path = tmp_path / "a.xml"
    parts = [
        article(1),
        article(2, "&bomb;"),
        article(3, "<b>"),
        article(""),
        article("x"),
        "<PubmedArticle><MedlineCitation><PMID Version='1'>6</PMID>",
        article(7, "x" * 5000),
        "<Stray>8</Stray>",
        article(9, "\x01"),
        article(10),
        "<DeleteCitation><PMID>11</PMID><PMID Version='2'>12</PMID></DeleteCitation>",
        "<DeleteCitation><PMID>13</PMID><PMID></DeleteCitation>",
        "<DeleteCitation/>",
    ]
    path.write_text(
        "<!DOCTYPE PubmedArticleSet [<!ENTITY bomb SYSTEM 'x'>]>"
        f"<PubmedArticleSet>{''.join(parts)}</PubmedArticleSet>"
    )
    source = PubMedSource(path, max_record_bytes=1000)
    outcomes = []
    for record in flat([page async for page in source.fetch(None)]):
        try:
            name = source.identify(record)
        except DocumentError as error:
            name = str(error)
        result = source.parse(record)
        outcome = result.ok.doc_id if result.is_ok() else str(result.error)
        outcomes.append((name, re.sub("XML: .*", "XML: …", outcome)))  # libxml2 words it
    assert outcomes == [
        ("PMID:1.1", "PMID:1.1"),
        (
            "PMID:2.1",
            "record a.xml#1 cannot be read: its entity &bomb; is in another file, and other files are not read",
        ),
        ("PMID:3.1", "record a.xml#2 cannot be parsed as XML: …"),
        *[("record a.xml#3 has no PMID, so it cannot be identified",) * 2],
        *[("the PMID of record a.xml#4 is not a number of 1 to 18 digits: 'x'",) * 2],
        ("PMID:6.1", "record a.xml#5 cannot be read: its end tag is missing"),
        ("PMID:7.1", f"record a.xml#6 cannot be read: {TOO_LARGE}"),
        *[("record a.xml#7 cannot be read: it is not a record of this set",) * 2],
        ("PMID:9.1", "record a.xml#8 cannot be parsed as XML: …"),
        ("PMID:10.1", "PMID:10.1"),
        ("PMID:11.1", "PMID:11.1"),
        ("PMID:12.2", "PMID:12.2"),
        ("PMID:13.1", "PMID:13.1"),
        *[("record a.xml#13 cannot be read: its end tag is missing",) * 2],
    ]


async def test_other_encodings_and_namespaces_of_the_root(tmp_path: Path) -> None:
    """Latin-1 and UTF-16 become UTF-8; records may use a prefix that only the root declares."""
    text = (
        "<?xml version='1.0' encoding='{0}'?><PubmedArticleSet xmlns:mml='http://www.w3.org/1998/Math/MathML'>"
        "<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>é <mml:math><mml:mi>x</mml:mi>"
        "</mml:math></ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
    )
    for encoding in ("iso-8859-1", "utf-16", "utf-8"):
        path = tmp_path / f"{encoding}.xml"
        path.write_bytes(text.format(encoding).encode(encoding))
        source = PubMedSource(path)
        [record] = flat([page async for page in source.fetch(None)])
        assert source.identify(record) == "PMID:1.1"
        assert source.parse(record).ok.title == "é x"


async def test_older_sets(tmp_path: Path) -> None:
    """MedlineCitationSet, which files had before 2015, is read too."""
    path = tmp_path / "a.xml"
    path.write_text(
        "<MedlineCitationSet><MedlineCitation Owner='NLM' Status='MEDLINE'><PMID>1</PMID>"
        "<DateCreated><Year>1999</Year></DateCreated><Article><ArticleTitle>T</ArticleTitle></Article></MedlineCitation>"
        "<DeleteCitation><PMID>2</PMID></DeleteCitation></MedlineCitationSet>"
    )
    source = PubMedSource(path)
    records = flat([page async for page in source.fetch(None)])
    documents = [source.parse(record).ok for record in records]
    assert [(one.doc_id, one.title, one.deleted) for one in documents] == [
        ("PMID:1.1", "T", False),
        ("PMID:2.1", "", True),
    ]
    assert documents[0].metadata["date_created"] == {
        "date": "1999",
        "precision": "year",
        "raw": "1999",
    }
    assert [source.identify(record) for record in records] == ["PMID:1.1", "PMID:2.1"]


async def test_bare_records_and_several_sets(tmp_path: Path) -> None:
    """A file without a set, or with several, has the records that files of their own have."""
    one, two, old = articles(1, 2), articles(3), b"<MedlineCitation><PMID>4</PMID></MedlineCitation>"
    bare = one.removeprefix(b"<PubmedArticleSet>").removesuffix(b"</PubmedArticleSet>")
    (tmp_path / "bare.xml").write_bytes(bare + old)
    (tmp_path / "sets.xml").write_bytes(one + b"\n<?xml version='1.0'?>" + two + old)
    source = PubMedSource(tmp_path / "*.xml")
    found = flat(await pages(tmp_path / "*.xml"))
    ids = [source.identify(raw) for raw in found]
    assert ids == [f"PMID:{number}.1" for number in (1, 2, 4, 1, 2, 3, 4)]
    assert all(source.parse(raw).is_ok() for raw in found)


def test_plain_deletions_are_read_as_lxml_reads_them() -> None:
    """A deletion in the usual form, which needs no tree, is the same document as in another form."""
    for version in ("", ' Version="1"', ' Version="12"'):
        plain = parse_record(f"<PMID{version}>123</PMID>".encode())
        for other in (f"<PMID{version} >123</PMID>", f"<PMID{version}> 123\n</PMID >"):
            read = parse_record(other.encode())
            assert read.model_copy(update={"content_hash": plain.content_hash}) == plain
            assert list(vars(read)) == list(vars(plain)) == list(Document.model_fields)
    for bad in (
        "<PMID Version=\"1'>1</PMID>",
        "<PMID>0</PMID>",
        '<PMID Version="0">7</PMID>',
        "<PMID></PMID>",
    ):
        with pytest.raises(DocumentError):
            parse_record(bad.encode())


def test_a_long_list_of_deletions_is_split_bit_by_bit() -> None:
    """Of a list of 20,000 PMIDs no more than a few hundred records are in memory at once."""
    data = b"<DeleteCitation>" + b"<PMID>12345678</PMID>" * 20_000 + b"</DeleteCitation>"
    tracemalloc.start()
    try:
        count = sum(1 for _ in deletions_of(Piece("DeleteCitation", data, 0)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 1_000_000


@pytest.mark.parametrize("inside", [b"<a/>" * 300_000, b"x" * 14_000_000 + "\U0001f600".encode()])
def test_a_record_that_would_need_much_memory_is_refused(inside: bytes) -> None:
    """A tree of tiny elements, or a huge text with wide characters, is not even parsed."""
    record = (
        article(1).encode().replace(b"</MedlineCitation>", inside * 3 + b"</MedlineCitation>")[:16_000_000]
    )
    for look in (parse_record, identify_record):
        with pytest.raises(DocumentError, match="MiB of memory to parse"):
            look(b"<PubmedArticle><!-- -->" + record[len("<PubmedArticle>") :])
