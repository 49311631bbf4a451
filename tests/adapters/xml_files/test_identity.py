"""Which file is which: a test for each row of the table in docs/ingestion.md."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from penstock.adapters.pubmed.source import PubMedSource
from penstock.errors import SourceChanged, SourceError

DOCS = Path(__file__).parents[3] / "docs" / "ingestion.md"
A, B = range(1, 9), range(11, 19)


def articles(numbers: range) -> bytes:
    inside = "".join(
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{number}</PMID></MedlineCitation></PubmedArticle>'
        for number in numbers
    )
    return f"<PubmedArticleSet>{inside}</PubmedArticleSet>".encode()


def read(folder: Path, position=None, records: int = 1000) -> tuple[list[str], object]:
    """Return the ids of up to ``records`` records of the files in ``folder``, and the position behind them."""
    source = PubMedSource(f"{folder}/**/*.xml", page_size=2)

    async def run() -> tuple[list[str], object]:
        ids, at = [], position
        async for page in source.fetch(position):
            ids += [source.identify(raw) for raw in page.items]
            at = page.position
            if len(ids) >= records:
                break
        return ids, at

    return asyncio.run(run())


def renamed(folder: Path) -> None:
    (folder / "x/a.xml").rename(folder / "x/z.xml")


def moved(folder: Path) -> None:
    shutil.move(folder / "x/a.xml", folder / "a.xml")


def folder_moved(folder: Path) -> None:
    (folder / "x").rename(folder / "old")


def copied(folder: Path) -> None:
    shutil.copy(folder / "x/a.xml", folder / "x/copy.xml")


def hard_linked(folder: Path) -> None:
    (folder / "x/link.xml").hardlink_to(folder / "x/a.xml")


def symlinked(folder: Path) -> None:
    (folder / "x/link.xml").symlink_to("a.xml")


def touched(folder: Path) -> None:
    os.utime(folder / "x/a.xml", (1, 1))


def same_base_name(folder: Path) -> None:
    (folder / "y").mkdir()
    (folder / "y/a.xml").write_bytes(articles(range(21, 24)))


def swapped(folder: Path) -> None:
    moved(folder)
    (folder / "x/a.xml").write_bytes(articles(range(21, 24)))


def changed(folder: Path) -> None:
    (folder / "x/a.xml").write_bytes(articles(range(1, 10)))


def changed_and_renamed(folder: Path) -> None:
    (folder / "x/a.xml").unlink()
    (folder / "x/z.xml").write_bytes(articles(range(21, 24)))


def removed(folder: Path) -> None:
    (folder / "x/a.xml").unlink()


ROWS = {
    "renamed": (renamed, []),
    "moved to another folder": (moved, []),
    "its folder was moved or renamed": (folder_moved, []),
    "copied, and both are named": (copied, [*A]),
    "hard-linked, and both are named": (hard_linked, []),
    "linked by a symbolic link, and both are named": (symlinked, []),
    "its time changed, not its content": (touched, []),
    "another file of the same base name, in another folder": (same_base_name, [21, 22, 23]),
    "moved, and another file took its place": (swapped, [21, 22, 23]),
    "changed in its place": (changed, SourceChanged),
    "replaced by another file of another name": (changed_and_renamed, [21, 22, 23]),
    "removed": (removed, []),
}
"""What happens to a file that was read, and the records that the next run reads because of that."""


@pytest.mark.parametrize("row", ROWS)
def test_what_a_finished_file_is_later(tmp_path: Path, row: str) -> None:
    """The next run, after one that was interrupted in another file, reads no record of a known file again."""
    happens, more = ROWS[row]
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.xml").write_bytes(articles(A))
    (tmp_path / "x/b.xml").write_bytes(articles(B))
    first, position = read(tmp_path, records=10)
    assert first == [f"PMID:{number}.1" for number in [*A, 11, 12]]
    happens(tmp_path)
    if more is SourceChanged:
        with pytest.raises(SourceChanged, match=r"a\.xml has changed since an earlier run read it"):
            read(tmp_path, position)
        return
    ids, position = read(tmp_path, position)
    assert Counter(ids) == Counter(f"PMID:{number}.1" for number in [*B[2:], *more])
    assert read(tmp_path, position)[0] == []  # the names that files get hold in later runs


@pytest.mark.parametrize("happens", [renamed, moved, folder_moved, hard_linked, touched, same_base_name])
def test_what_a_file_is_that_was_begun(tmp_path: Path, happens) -> None:
    """A file that was begun is continued under its new name or in its new place."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.xml").write_bytes(articles(A))
    _, position = read(tmp_path, records=4)
    happens(tmp_path)
    ids, _ = read(tmp_path, position)
    assert ids[:4] == [f"PMID:{number}.1" for number in A[4:]]
    assert len(ids) == (7 if happens is same_base_name else 4)


def test_a_file_that_was_begun_and_is_gone(tmp_path: Path) -> None:
    """If the file that was begun is not there, the run does not go on without it."""
    (tmp_path / "a.xml").write_bytes(articles(A))
    (tmp_path / "b.xml").write_bytes(articles(B))
    _, position = read(tmp_path, records=4)
    (tmp_path / "a.xml").unlink()
    with pytest.raises(SourceError, match=r"stopped in 'a\.xml', which is not among the files"):
        read(tmp_path, position)


def test_the_docs_have_the_same_rows() -> None:
    """The table in the documentation has the rows that are tested here."""
    table = DOCS.read_text("utf-8").partition("### Which file is which")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == list(ROWS)
