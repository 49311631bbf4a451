"""Files that a shell has sorted as text."""

from __future__ import annotations

import pytest

from penstock.cli.globs import unquoted_glob

from .conftest import Penstock, article, articles, pmid


@pytest.mark.parametrize(
    ("files", "glob"),
    [
        (["upd1.xml", "upd10.xml", "upd2.xml"], "'upd*.xml'"),
        (["upd10.xml", "upd1.xml", "upd2.xml"], "'upd*.xml'"),  # a locale that does not see punctuation
        (["a/x1-2.xml.gz", "a/x1-3.xml.gz", "a/x10-1.xml.gz", "a/x2-1.xml.gz"], "'a/x*-*.xml.gz'"),
        (["base.xml", "p24n10.xml", "p24n9.xml"], "'p24n*.xml'"),
    ],
)
def test_a_glob_that_the_shell_expanded(files: list[str], glob: str) -> None:
    """Files in the order of text, and not of their numbers, give a warning that names the quoted glob."""
    assert f"as in {glob}, " in str(unquoted_glob(files))


@pytest.mark.parametrize(
    "files",
    [
        [],
        ["a.xml"],
        ["upd9.xml", "upd10.xml"],
        ["upd09.xml", "upd10.xml"],
        ["upd3.xml", "upd1.xml", "upd2.xml"],
        ["b.xml", "a.xml"],
        ["x10.xml", "y9.xml"],
        ["upd*.xml"],
        ["-"],
    ],
)
def test_files_that_are_named_as_they_are_meant(files: list[str]) -> None:
    """The order of numbers, and an order that no shell makes, give no warning."""
    assert unquoted_glob(files) is None


def test_the_command_warns(penstock: Penstock) -> None:
    """The warning is one line on stderr; the files are read in the order in which they were named."""
    for number in (9, 10):
        (penstock.folder / f"upd{number}.xml").write_bytes(articles(article(pmid(number))))
    done = penstock("ingest", "pubmed", "upd10.xml", "upd9.xml", "--to", "out.jsonl", "--no-progress")
    assert done.returncode == 0
    assert done.stderr.startswith("penstock: warning: upd10.xml is read before upd9.xml: ")
    assert done.stderr.count("\n") == 1
    first, second = (penstock.folder / "out.jsonl").read_text().splitlines()
    assert ("PMID:10" in first, "PMID:9" in second) == (True, True)
