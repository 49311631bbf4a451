"""Bad inputs, outputs and ledgers: one sentence, the right exit code, nothing lost."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import article, articles, pmid

if TYPE_CHECKING:
    import subprocess

    from .conftest import Penstock

GOOD = articles(*(article(pmid(n)) for n in range(1, 40)))
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE PubmedArticleSet [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><PubmedArticleSet>"
    + article(pmid(1), title="&j;").encode()
    + article(pmid(2)).encode()
    + b"</PubmedArticleSet>"
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE PubmedArticleSet [<!ENTITY x SYSTEM "file:///etc/hostname">]><PubmedArticleSet>'
    + article(pmid(1), title="&x;").encode()
    + article(pmid(2)).encode()
    + b"</PubmedArticleSet>"
)


def refused(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """Check that a run was refused: exit code 2, one clean sentence on stderr, nothing on stdout."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    sentence, *hints = done.stderr.splitlines()
    assert all(hint.startswith(("penstock: to ", "penstock: when ")) for hint in hints)
    assert sentence.startswith("penstock: ")
    assert sentence.isprintable()
    assert "Traceback" not in sentence
    assert "unexpected error" not in sentence
    for words in said:
        assert words in sentence


def test_a_missing_file(penstock: Penstock) -> None:
    """The message names the file."""
    refused(penstock("ingest", "pubmed", "gone.xml", "--to", "out.jsonl"), "gone.xml")


def test_a_pattern_that_matches_nothing(penstock: Penstock) -> None:
    """The message names the pattern."""
    refused(penstock("ingest", "pubmed", "gone*.xml.gz", "--to", "out.jsonl"), "gone*.xml.gz")


def test_a_folder_in_place_of_a_file(penstock: Penstock) -> None:
    """The message names the folder."""
    (penstock.folder / "folder").mkdir()
    refused(penstock("ingest", "pubmed", "folder", "--to", "out.jsonl"), "folder")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.xml", b""),
        ("empty.xml.gz", b""),
        ("empty-inside.xml.gz", gzip.compress(b"", mtime=0)),
        ("garbage.xml", bytes(range(256)) * 40),
        ("garbage.xml.gz", bytes(range(256)) * 40),
        ("garbage-inside.xml.gz", gzip.compress(bytes(range(256)) * 40)),
        ("wrong-root.xml", b"<?xml version='1.0'?><html><body>Not found</body></html>"),
        ("text.xml", b"Not found\n"),
    ],
)
def test_a_file_that_is_not_pubmed(penstock: Penstock, name: str, content: bytes) -> None:
    """The message names the file, and no document is written."""
    (penstock.folder / name).write_bytes(content)
    refused(penstock("ingest", "pubmed", name, "--to", "out.jsonl", "--no-progress"), name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("truncated.xml.gz", gzip.compress(GOOD, mtime=0)[:-30]),
        ("truncated.xml", GOOD[:-300]),
    ],
)
def test_a_file_that_ends_too_early(penstock: Penstock, name: str, content: bytes) -> None:
    """The message names the file. Once it is complete, the first hint ingests each record once.

    The second hint goes on without the rest of the file.
    """
    path = penstock.folder / name
    path.write_bytes(content)
    done = penstock("ingest", "pubmed", name, "--to", "out.jsonl", "--no-progress")
    refused(done, name)
    again, skip = (line.partition(": ")[2].partition(": ")[2] for line in done.stderr.splitlines()[1:])
    assert penstock.shell(skip).returncode == 1
    path.write_bytes(gzip.compress(GOOD) if name.endswith("gz") else GOOD)
    again = penstock.shell(again)
    assert again.returncode == 0, again.stderr
    assert (penstock.folder / "out.jsonl").read_bytes().count(b"\n") == 39


@pytest.mark.parametrize("content", [BOMB, EXTERNAL])
def test_entities_are_not_expanded(penstock: Penstock, content: bytes) -> None:
    """A record with an entity bomb or an external entity fails at worst; its neighbour is ingested, no file leaks."""
    (penstock.folder / "a.xml").write_bytes(content)
    done = penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl", limits="ulimit -v 4000000")
    assert done.returncode in {0, 1, 2}, done.stderr
    assert "Traceback" not in done.stderr
    output = penstock.folder / "out.jsonl"
    written = output.read_bytes() if output.exists() else b""
    assert len(written) < 10_000
    hostname = Path("/etc/hostname")
    if hostname.exists():
        assert hostname.read_bytes().strip() not in written


def test_a_broken_record_between_good_ones(penstock: Penstock) -> None:
    """Exit code 1: the good records are ingested, the broken one becomes a dead letter."""
    broken = article(pmid(2), title="<i>never closed")
    (penstock.folder / "a.xml").write_bytes(articles(article(pmid(1)), broken, article(pmid(3))))
    done = penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert (penstock.folder / "out.jsonl").read_bytes().count(b"\n") == 2


def test_an_output_in_a_folder_that_cannot_be_made(penstock: Penstock) -> None:
    """The message names the folder."""
    (penstock.folder / "a.xml").write_bytes(GOOD)
    refused(penstock("ingest", "pubmed", "a.xml", "--to", "a.xml/out.jsonl"), "a.xml")


def test_an_output_that_is_a_folder(penstock: Penstock) -> None:
    """The message names the output."""
    (penstock.folder / "a.xml").write_bytes(GOOD)
    (penstock.folder / "out").mkdir()
    refused(penstock("ingest", "pubmed", "a.xml", "--to", "out"), "out")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is a place nobody can write to")
@pytest.mark.parametrize(
    "words", [["--to", "/proc/out.jsonl"], ["--to", "out.jsonl", "--ledger", "/proc/l.db"]]
)
def test_a_place_that_cannot_be_written_to(penstock: Penstock, words: list[str]) -> None:
    """The message names the output or the ledger."""
    (penstock.folder / "a.xml").write_bytes(GOOD)
    refused(penstock("ingest", "pubmed", "a.xml", *words), "/proc")


@pytest.mark.skipif(os.name != "posix", reason="ulimit is a shell's")
def test_an_output_that_grows_too_large(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """A write that the system refuses is one sentence. With more space the same command completes."""
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--no-progress", limits="ulimit -f 600")
    refused(done)
    again = penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert again.returncode == 0, again.stderr
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_an_output_that_is_not_ours_is_left_alone(penstock: Penstock) -> None:
    """A file that no ledger knows is refused and not changed."""
    (penstock.folder / "a.xml").write_bytes(GOOD)
    (penstock.folder / "out.jsonl").write_text("precious\n")
    refused(penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl"), "out.jsonl")
    assert (penstock.folder / "out.jsonl").read_text() == "precious\n"


def test_an_output_that_was_cut_is_refused(penstock: Penstock) -> None:
    """The run refuses an output that is shorter than what was committed."""
    (penstock.folder / "a.xml").write_bytes(GOOD)
    penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl")
    with (penstock.folder / "out.jsonl").open("r+b") as file:
        file.truncate(10)
    (penstock.folder / "b.xml").write_bytes(articles(article(pmid(100))))
    refused(penstock("ingest", "pubmed", "a.xml", "b.xml", "--to", "out.jsonl"), "out.jsonl")


@pytest.mark.parametrize("content", [b"not a database at all\n" * 99, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_corrupt_ledger(penstock: Penstock, content: bytes) -> None:
    """The message names the ledger, which is not replaced."""
    (penstock.folder / "a.xml").write_bytes(GOOD)
    ledger = penstock.folder / "out.jsonl.ledger.db"
    ledger.write_bytes(content)
    refused(penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl"), "out.jsonl.ledger.db")
    refused(penstock("status", "out.jsonl"), "out.jsonl.ledger.db")
    assert ledger.read_bytes() == content


def test_a_changed_input_is_reported(penstock: Penstock) -> None:
    """A changed file is named and not read as a new one."""
    source = penstock.folder / "a.xml"
    source.write_bytes(GOOD)
    penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl")
    source.write_bytes(articles(article(pmid(7), title="another")))
    refused(penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl"), "a.xml")


def test_the_traceback_is_there_on_demand(penstock: Penstock) -> None:
    """--debug shows the traceback."""
    done = penstock("ingest", "pubmed", "gone.xml", "--to", "out.jsonl", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="names are text there")
def test_a_name_that_is_not_text(penstock: Penstock) -> None:
    """A file name of any bytes works, is printed safely, and the printed command can be pasted."""
    name = os.fsdecode(b"a\xff\x1b[31m.xml")
    (penstock.folder / name).write_bytes(GOOD)
    done = penstock("ingest", "pubmed", name, "--to", "out.jsonl", "--limit", "5")
    assert done.returncode == 0, done.stderr
    assert all(line.isprintable() for line in done.stdout.splitlines())
    command = done.stdout.split("continue:")[1].split("\n")[0].strip()
    again = penstock.shell(command)
    assert again.returncode == 0, again.stderr
    assert (penstock.folder / "out.jsonl").read_bytes().count(b"\n") == 39


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="names are text there")
def test_a_name_that_is_not_text_in_events(penstock: Penstock) -> None:
    """Events can contain such a name."""
    name = os.fsdecode(b"a\xff.xml")
    (penstock.folder / name).write_bytes(GOOD)
    done = penstock("ingest", "pubmed", name, "--to", "out.jsonl", "--events")
    assert done.returncode == 0, done.stderr


def test_a_file_without_records(penstock: Penstock) -> None:
    """A valid file without records ends with a warning and exit code 3."""
    (penstock.folder / "none.xml").write_bytes(articles())
    done = penstock("ingest", "pubmed", "none.xml", "--to", "out.jsonl")
    assert done.returncode == 3, done.stderr
    assert "the source gave no documents at all" in done.stdout
