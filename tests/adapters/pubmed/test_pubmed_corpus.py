"""All fields of all records of real files equal those of an independent reader."""

from __future__ import annotations

from contextlib import aclosing, closing
from itertools import zip_longest
from pathlib import Path

import pytest

from penstock.adapters.pubmed.source import PubMedSource
from penstock.document import content_hash

from ...length import LONG  # noqa: TID252  tests are no installed package
from .independent import read_file


async def check(path: Path, most: int | None = None) -> int:
    """Compare all records of a file, or the first ``most``; return their number."""
    source = PubMedSource(path)
    count = 0
    with closing(read_file(path)) as expected:
        async with aclosing(source.fetch(None)) as pages:
            async for page in pages:
                for raw, wanted in zip_longest(page.items, [next(expected, None) for _ in page.items]):
                    assert source.identify(raw) == wanted["doc_id"]
                    document = source.parse(raw).ok
                    got = document.model_dump()
                    assert got.pop("content_hash") == content_hash(raw.data)
                    assert got == wanted, f"{raw.key}, {wanted['doc_id']}"
                    count += 1
                    if count == most:
                        return count
        assert next(expected, None) is None
    return count


async def test_the_beginning_of_the_baseline_file(corpus: Path) -> None:
    """All fields of 700 citations of 1979 and 1980 are equal; the long run compares the whole file too."""
    assert await check(corpus / "pubmed/pubmed20n0014.xml.gz", 700) == 700


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="a minute of work; nox -s laws does it")
async def test_the_whole_baseline_file(corpus: Path) -> None:
    """All fields of 30,000 citations of 1979 and 1980 are equal."""
    assert await check(corpus / "pubmed/pubmed20n0014.xml.gz") == 30_000


@pytest.mark.slow
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
