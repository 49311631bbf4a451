"""Sample files: always the same, and with all kinds of records that PubMed has."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
from pathlib import Path

import pytest

from penstock.adapters.pubmed.sample import sample_record, write_sample
from penstock.adapters.pubmed.source import PubMedSource

from .independent import read_file


async def documents(path: Path):
    source = PubMedSource(path)
    return [source.parse(raw) async for page in source.fetch(None) for raw in page.items]


@pytest.mark.slow
async def test_the_parser_and_the_independent_reader_agree(tmp_path: Path) -> None:
    """All fields of all sample records are equal."""
    path = tmp_path / "sample.xml.gz"
    write_sample(path, 600, deletions=3)
    parsed = [result.ok.model_dump(exclude={"content_hash"}) for result in await documents(path)]
    assert parsed == list(read_file(path))
    assert len(parsed) == 603


async def test_the_sample_contains_all_kinds_of_records(tmp_path: Path) -> None:
    """It has book articles, second versions, all forms of dates, collective authors and links."""
    path = tmp_path / "sample.xml"
    write_sample(path, 600, deletions=2, malformed=4)
    results = await documents(path)
    good = [result.ok for result in results if result.is_ok()]
    assert len(results) - len(good) == 4
    assert len({one.doc_id for one in good if not one.deleted}) == 600
    metadata = [one.metadata for one in good if not one.deleted]
    assert sum(one.deleted for one in good) == 2
    assert sum(one["kind"] == "book" for one in metadata) == 6
    assert any(one.version == "2" for one in good)
    dates = [one["publication_date"] for one in metadata]
    assert any("season" in date for date in dates)
    assert any("end" in date for date in dates)
    assert {len(date["date"]) for date in dates} == {4, 7, 10}
    for key in (
        "vernacular_title",
        "mesh",
        "references",
        "chemicals",
        "keywords",
        "grants",
        "other_abstracts",
    ):
        assert any(one[key] for one in metadata), key
        assert not all(one[key] for one in metadata), key
    assert any(author["collective_name"] for one in metadata for author in one["authors"])
    assert any(link["type"] == "RetractionIn" for one in metadata for link in one["comments_corrections"])


def test_the_same_arguments_produce_the_same_bytes(tmp_path: Path) -> None:
    """The bytes are the same on every machine, and a record does not depend on how many there are."""
    a, b, plain = tmp_path / "a.xml.gz", tmp_path / "b.xml.gz", tmp_path / "a.xml"
    for path in (a, b, plain):
        write_sample(path, 150, seed=7)
    assert a.read_bytes() == b.read_bytes()
    assert gzip.decompress(a.read_bytes()) == plain.read_bytes()
    assert sample_record(149, 7).encode() in plain.read_bytes()
    assert sample_record(149, 8).encode() not in plain.read_bytes()
    digest = hashlib.sha256(sample_record(3, 0).encode()).hexdigest()
    assert digest == "a2b59c8b8ee113068f5cc90f19606caa1b87e93b85aa71e9d6c11c5eae770909"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_sample(tmp_path: Path) -> None:
    """Ten times the records need the same memory."""
    peaks = []
    for records in (100, 200, 2_000):  # the first warms up
        tracemalloc.start()
        write_sample(tmp_path / "a.xml.gz", records)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] * 1.2


@pytest.mark.parametrize(("records", "malformed", "deletions"), [(0, 0, 0), (0, 2, 1), (1, 3, 0)])
async def test_small_samples(tmp_path: Path, records: int, malformed: int, deletions: int) -> None:
    """Samples of no record, or very few, are valid files."""
    path = tmp_path / "a.xml"
    write_sample(path, records, malformed=malformed, deletions=deletions)
    results = await documents(path)
    assert len(results) == records + malformed + deletions
    assert sum(result.is_error() for result in results) == malformed
    with pytest.raises(ValueError, match="cannot be negative"):
        write_sample(path, -1)
