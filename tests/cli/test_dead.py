"""``penstock dead`` in processes of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import article, articles, pmid

if TYPE_CHECKING:
    from .conftest import Penstock

BROKEN = article(pmid(3), "half").replace("</Article>", "")
NAMELESS = article("", "no id \x1b[31m".replace("\x1b", ""))


@pytest.fixture
def failed(penstock: Penstock, tmp_path: Path) -> Penstock:
    """Return a command whose folder has an output with two dead letters."""
    records = [article(pmid(1)), BROKEN, article(pmid(2)), NAMELESS]
    (tmp_path / "in.xml").write_bytes(articles(*records))
    done = penstock("ingest", "pubmed", "in.xml", "--to", "out.jsonl")
    assert done.returncode == 1, done.stderr
    return penstock


def test_the_receipt_names_the_commands(penstock: Penstock, tmp_path: Path) -> None:
    """The receipt prints commands that list and replay the failed documents."""
    (tmp_path / "in.xml").write_bytes(articles(article(pmid(1)), NAMELESS))
    done = penstock("ingest", "pubmed", "in.xml", "--to", "out.jsonl")
    assert "what failed:   penstock dead list out.jsonl" in done.stdout
    assert "try again:     penstock dead replay out.jsonl" in done.stdout
    assert penstock.shell("penstock dead list out.jsonl").stdout.count("\n") == 1


def test_list_shows_each_on_a_line(failed: Penstock) -> None:
    """Each line has the record, the document id if any, and the error; also as JSON, by output or by ledger."""
    for place in ("out.jsonl", "out.jsonl.ledger.db"):
        done = failed("dead", "list", place)
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert first.startswith("in.xml#1 PMID:3.1: ")
        assert second.startswith("in.xml#3")
        assert "no PMID" in second
    rows = [json.loads(line) for line in failed("dead", "list", "out.jsonl", "--json").stdout.splitlines()]
    assert [row["key"] for row in rows] == ["in.xml#1", "in.xml#3"]
    assert failed("dead", "list", "out.jsonl", "--latest", "1").stdout.startswith("in.xml#3")


def test_show_has_the_error_and_the_bytes(failed: Penstock) -> None:
    """Without ``--raw`` the letter is printed safely; with it the bytes are unchanged."""
    done = failed("dead", "show", "out.jsonl", "in.xml#1")
    assert done.returncode == 0, done.stderr
    assert "record    in.xml#1" in done.stdout
    assert "<ArticleTitle>half</ArticleTitle>" in done.stdout
    assert failed("dead", "show", "out.jsonl", "in.xml#1", "--raw").stdout == BROKEN
    gone = failed("dead", "show", "out.jsonl", "in.xml#9")
    assert gone.returncode == 2
    assert "no dead letter of 'in.xml#9'" in gone.stderr


def test_replay_without_a_better_parser_changes_nothing(failed: Penstock, tmp_path: Path) -> None:
    """It prints the letters that failed again and ends with 1."""
    before = (tmp_path / "out.jsonl").read_bytes()
    done = failed("dead", "replay", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert "replayed 2: 0 completed, 2 failed again" in done.stdout
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert failed("dead", "list", "out.jsonl").stdout.count("\n") == 2
    again = failed("ingest", "pubmed", "in.xml", "--to", "out.jsonl")
    assert "nothing to do" in again.stdout


def test_replay_says_what_is_not_there(failed: Penstock) -> None:
    """A record without a letter gives exit code 1, as in ``drop``."""
    done = failed("dead", "replay", "out.jsonl", "in.xml#7", "in.xml#8")
    assert done.returncode == 1
    assert "no dead letter of the 2 records that you named" in done.stderr
    assert failed("dead", "drop", "out.jsonl", "--all").returncode == 0
    assert failed("dead", "replay", "out.jsonl", "in.xml#7").returncode == 1
    assert failed("dead", "replay", "out.jsonl").returncode == 0


def test_replay_moves_what_succeeds_now(failed: Penstock, tmp_path: Path) -> None:
    """After the parser was fixed, the bytes in the ledger are parsed again; the files are not needed."""
    from penstock.ledger import SqliteLedger

    async def mend() -> None:
        from penstock.abc import Commit, DeadLetter

        async with SqliteLedger(tmp_path / "out.jsonl.ledger.db") as ledger:
            opened = await ledger.open("pubmed")
            good = article(pmid(3), "whole").encode()
            letter = DeadLetter("PMID:3.1", "in.xml#1", "pubmed", "bad", "DocumentError", good)
            position, record = opened.position or {}, opened.record
            await ledger.commit("pubmed", Commit(opened.epoch + 1, position, (), (letter,), record=record))
            await ledger.finish("pubmed", "completed")

    asyncio.run(mend())
    (tmp_path / "in.xml").unlink()
    done = failed("dead", "replay", "out.jsonl", "in.xml#1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replayed 1: 1 completed, 0 failed again" in done.stdout
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])["title"] == "whole"
    assert failed("dead", "list", "out.jsonl").stdout.startswith("in.xml#3")


def test_drop_takes_names_or_all(failed: Penstock) -> None:
    """Giving neither records nor ``--all`` is an error, and so is giving both."""
    for words in ((), ("in.xml#1", "--all")):
        refused = failed("dead", "drop", "out.jsonl", *words)
        assert refused.returncode == 2
        assert "name the records whose letters to drop, or give --all" in refused.stderr
    assert "dropped 1 dead letter\n" in failed("dead", "drop", "out.jsonl", "in.xml#1").stdout
    assert failed("dead", "drop", "out.jsonl", "in.xml#1").returncode == 1
    assert "dropped 1 dead letter\n" in failed("dead", "drop", "out.jsonl", "--all").stdout
    assert failed("dead", "list", "out.jsonl").stdout == "pubmed: no dead letters\n"
    assert "nothing to replay" in failed("dead", "replay", "out.jsonl").stdout


def test_a_place_without_a_ledger(penstock: Penstock) -> None:
    """One sentence, and exit code 2."""
    for words in (("list", "gone.jsonl"), ("replay", "gone.jsonl"), ("replay", "x.ledger.db")):
        done = penstock("dead", *words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
