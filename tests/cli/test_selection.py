"""Standard output as the output, and what is written of which documents."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re

import pytest

from .conftest import article, articles, pmid


@pytest.fixture
def few(tmp_path):
    """Return the name of a file with four documents."""
    records = [article(pmid(k), f"Title {k}") for k in range(1, 5)]
    (tmp_path / "few.xml.gz").write_bytes(gzip.compress(articles(*records)))
    return "few.xml.gz"


def test_a_pipe_gets_the_bytes_of_a_file(penstock, few, tmp_path):
    """Stdout has only the lines, stderr the receipt, which says at least once; no ledger is written."""
    done = penstock("ingest", "pubmed", few, "--to", "-")
    assert [p.name for p in tmp_path.iterdir()] == [few]
    assert done.returncode == 0, done.stderr
    assert "delivery  at least once into stdout: a run that is interrupted begins anew" in done.stderr
    assert penstock("ingest", "pubmed", few, "--to", "deep/er/out.jsonl").returncode == 0
    assert (tmp_path / "deep/er/out.jsonl").read_text() == done.stdout


def test_a_ledger_that_was_asked_for(penstock, few, tmp_path):
    """With a ledger only new documents come; the commands of the receipt name both again."""
    words = ("ingest", "pubmed", few, "--to", "-", "--ledger", "made/run.db")
    first, second = penstock(*words), penstock(*words)
    assert (first.stdout.count("\n"), second.stdout, second.returncode) == (4, "", 0)
    assert "nothing to do: stdout already has" in second.stderr
    assert "ingest pubmed --to - --ledger made/run.db --restart few.xml.gz" in second.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--refresh"], "--refresh needs a ledger, and --to - has none by default: add --ledger FILE"),
        (["--events"], "--to - and --events both write to stdout"),
        (["--columns", "doc_id,yaer"], "there is no column 'yaer' (did you mean year?)"),
        (["--where", "yaer > 2000"], "there is no column 'yaer': did you mean year"),
    ],
)
def test_what_is_refused(penstock, few, words, says):
    """Wrong options are refused before anything is written."""
    done = penstock("ingest", "pubmed", few, "--to", "-", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert ".py:" not in done.stderr  # the command line is no code of a user


def test_a_reader_that_leaves(penstock, sample):
    """A closed pipe ends the run without a message about an error."""
    running = penstock.start("ingest", "pubmed", sample, "--to", "-", "--no-progress")
    assert json.loads(running.stdout.readline())["doc_id"] == "PMID:1.1"
    running.stdout.close()
    _, stderr = running.communicate(60)
    assert (running.wait(), stderr) == (141, b"")


def test_chosen_columns_and_documents(penstock, few, tmp_path):
    """Every kind of output has the same choice; documents left out are skipped, and the receipt repeats it."""
    chosen = ("--columns", "pmid,title", "--raw", "--where", "pmid > 2 and title != 'Title 4'")
    done = penstock("ingest", "pubmed", few, "--to", "a.jsonl", "--to", "a.csv", *chosen)
    assert done.returncode == 0, done.stderr
    assert re.search(r"skipped +3\n", done.stdout)
    assert (
        "--raw --columns pmid,title --where 'pmid > 2 and title != '\"'\"'Title 4'\"'\"'' few" in done.stdout
    )
    (line,) = (tmp_path / "a.jsonl").read_text().splitlines()
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    found = json.loads(line)
    assert list(found) == list(row) == ["pmid", "title", "raw"]
    assert (found["pmid"], row["pmid"], row["title"]) == (3, "3", "Title 3")
    assert found["raw"] == row["raw"] == base64.b64encode(article(pmid(3), "Title 3").encode()).decode()
    other = penstock("ingest", "pubmed", few, "--to", "a.jsonl", "--to", "a.csv", "--columns", "title")
    assert other.returncode == 2
    assert "was written with other columns; choose the same columns again (--columns, --raw)" in other.stderr
