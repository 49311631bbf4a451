"""``penstock status`` on real ledgers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.cli.status import find_ledger, show_status
from penstock.errors import LedgerError
from penstock.ledger import SqliteLedger

POSITION = {"v": 1, "nodes": {}}


async def write(path: Path, *, finished: bool, letters: int = 0) -> None:
    """Write a ledger with one completed run, and a second one."""
    async with SqliteLedger(path) as ledger:
        await ledger.open("pubmed")
        states = [DocumentState(f"pubmed:{n}", "completed", "00") for n in range(3)]
        await ledger.commit("pubmed", Commit(1, POSITION, states, counts={"started": 3, "completed": 3}))
        await ledger.finish("pubmed", "completed")
        await ledger.open("pubmed")
        dead = [
            DeadLetter(
                f"pubmed:\x1b[2J{n}", f"a.xml#{n}", "pubmed", f"no\x9b PMID {n}", "DocumentError", b"<x/>"
            )
            for n in range(letters)
        ]
        counts = {"started": 1200 + letters, "completed": 1200, "failed": letters}
        await ledger.commit("pubmed", Commit(2, POSITION, (), dead, counts=counts))
        if finished:
            await ledger.finish("pubmed", "completed")


async def test_where_a_run_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows state, counts, commits and earlier runs of an interrupted run, found by its output."""
    await write(tmp_path / "out.jsonl.ledger.db", finished=False)
    assert show_status(tmp_path / "out.jsonl", failures=3) == 0
    out = capsys.readouterr().out
    assert "pubmed: run 2 not finished\n" in out
    assert re.search(r"^  completed +1,200$", out, re.MULTILINE)
    assert "2 commits, the last 20" in out
    assert "to continue, repeat the command that started it" in out
    assert re.search(r"^    1  completed, began .*: 3 completed$", out, re.MULTILINE)
    assert re.search(r"^    2  not finished, began ", out, re.MULTILINE)
    assert "no dead letters" in out


async def test_what_failed_is_shown_safely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The latest dead letters are shown, as many as asked for, with control characters escaped."""
    await write(tmp_path / "run.db", finished=True, letters=5)
    assert show_status(tmp_path / "run.db", failures=2) == 0
    out = capsys.readouterr().out
    assert "5 dead letters, the last 2:" in out
    assert "pubmed:\\x1b[2J4 (a.xml#4): no\\x9b PMID 4" in out
    assert "PMID 2" not in out
    assert all(line.isprintable() for line in out.splitlines())


async def test_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints one line for each ingestion, with its runs and the latest failures."""
    await write(tmp_path / "run.db", finished=False, letters=5)
    assert show_status(tmp_path / "run.db", failures=2, as_json=True) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["key"], told["run"], told["state"], told["commits"]) == ("pubmed", 2, "interrupted", 2)
    assert (told["counts"]["completed"], told["dead_letters"], told["holder"]) == (1200, 5, None)
    assert [run["state"] for run in told["runs"]] == ["completed", "running"]
    assert [one["key"] for one in told["failures"]] == ["a.xml#3", "a.xml#4"]
    assert line.isascii()


async def test_a_ledger_that_is_open_can_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a process holds the ledger, status names it."""
    await write(tmp_path / "run.db", finished=False)
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open("pubmed")
        assert show_status(tmp_path / "run.db", failures=1) == 0
    assert re.search(r"pubmed: run 2 running by this process \d+", capsys.readouterr().out)


def test_no_ledger_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """The message has both names if neither exists; otherwise only the missing ledger."""
    with pytest.raises(LedgerError, match=r"neither .*out\.jsonl nor .*out\.jsonl\.ledger\.db"):
        find_ledger(tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl").write_text("{}\n")
    with pytest.raises(LedgerError, match=r"ledger\.db does not exist"):
        find_ledger(tmp_path / "out.jsonl")
