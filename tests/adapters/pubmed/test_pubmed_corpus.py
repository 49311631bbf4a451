"""All fields of all records of real files equal those of an independent reader."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from penstock.adapters.pubmed.source import PubMedSource
from penstock.document import content_hash

from .independent import read_file


async def check(path: Path) -> int:
    """Compare all records of a file; return their number."""
    source = PubMedSource(path)
    expected = read_file(path)
    count = 0
    async for page in source.fetch(None):
        for raw, wanted in zip_longest(page.items, [next(expected, None) for _ in page.items]):
            assert source.identify(raw) == wanted["doc_id"]
            document = source.parse(raw).ok
            got = document.model_dump()
            assert got.pop("content_hash") == content_hash(raw.data)
            assert got == wanted, f"{raw.key}, {wanted['doc_id']}"
            count += 1
    assert next(expected, None) is None
    return count


@pytest.mark.slow
async def test_the_whole_baseline_file(corpus: Path) -> None:
    """All fields of 30,000 citations of 1979 and 1980 are equal."""
    assert await check(corpus / "pubmed/pubmed20n0014.xml.gz") == 30_000


async def test_the_update_file(corpus: Path) -> None:
    """700 citations with rare elements, and 20 deletions, are equal."""
    assert await check(corpus / "pubmed/pubmed21n1298.excerpt.xml.gz") == 720


async def test_the_efetch_files(corpus: Path) -> None:
    """Answers of efetch from 2008 on are equal; one of them is a book article."""
    folder = corpus / "pubmed"
    files = [
        *sorted((folder / "metapub_pmid_xml").glob("*.xml")),
        *sorted(folder.glob("eutils_pubmed*.xml")),
        folder / "pubmed-29768149.xml",
        folder / "pmid_28731372.xml",
        folder / "sample_article_20301577.xml",
    ]
    assert sum([await check(file) for file in files]) == len(files) + 1
