"""The receipt, from summaries of every kind."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.adapters import find_adapter
from penstock.cli import job as job_module
from penstock.cli.job import Job
from penstock.cli.options import RunOptions
from penstock.cli.receipt import exit_code, receipt
from penstock.cli.resources import Peak
from penstock.pipeline import RunSummary
from penstock.pipeline_file.places import default_ledger

SOME = Peak(84_000_000)
ZERO = dict.fromkeys(("started", "completed", "failed", "skipped", "deleted", "retried"), 0)


@pytest.fixture(autouse=True)
def called_penstock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the program was called by its plain name."""
    monkeypatch.setattr(job_module, "program", lambda: ["penstock"])


def summary(
    state: str = "completed",
    *,
    resumed: bool = False,
    nothing: bool = False,
    session: dict[str, int] = ZERO,
    **counts: int,
) -> RunSummary:
    return RunSummary(
        pipeline_id="p",
        key="pubmed",
        run=1,
        state=state,
        counts=ZERO | counts,
        session=ZERO | (session or counts),
        duration=2.0,
        bytes_read=61_234_567,
        resumed=resumed,
        nothing_to_do=nothing,
        sink="out.jsonl",
        ledger="out.jsonl.ledger.db",
    )


def job(*files: str, limit: int | None = None) -> Job:
    return job_for(files or ("a.xml",), Path("gone/out.jsonl"), limit=limit)


def job_for(files: tuple[str, ...], to: Path, **options: Any) -> Job:
    pubmed = find_adapter("pubmed")
    return Job(pubmed, files, pubmed.settings(), RunOptions(**options), to, default_ledger(to))


def lines(of: RunSummary, asked: Job | None = None, peak: Peak = SOME) -> str:
    return "\n".join(receipt(of, asked or job(), peak))


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (summary(completed=9), 0),
        (summary(completed=9, failed=1), 1),
        (summary(failed=1, nothing=True), 0),
        (summary("cancelled", completed=9), 130),
        (summary("cancelled", failed=9), 130),
        (summary(completed=9, failed=1, resumed=True, session=ZERO | {"completed": 2}), 1),
    ],
)
def test_exit_codes(of: RunSummary, code: int) -> None:
    """A failure anywhere in the logical run gives 1; nothing to do gives 0; an interruption gives 130."""
    assert exit_code(of) == code


def test_the_rate_is_that_of_this_process() -> None:
    """Documents of an earlier process do not count in the rate of this one."""
    of = summary(completed=900, failed=2, resumed=True, session=ZERO | {"completed": 398, "failed": 2})
    assert lines(of).startswith("penstock: completed, 400 documents in 2.0 s, 200 docs/s\n")


def test_a_resumed_run_has_both_sums() -> None:
    """A resumed run has two columns: this time, and the whole run."""
    text = lines(summary(completed=900, skipped=4, resumed=True, session=ZERO | {"completed": 400}))
    assert re.search(r"this time +whole run\n  completed +400 +900\n  failed +0 +0\n  skipped +0 +4\n", text)


def test_memory_of_workers_is_told_apart() -> None:
    """The largest worker is named if there were processes; an unknown peak is left out."""
    assert "84.0 MB at the peak, largest worker 61.0 MB" in lines(
        summary(), peak=Peak(84_000_000, 61_000_000)
    )
    assert "memory" not in lines(summary(), peak=Peak(None))


def test_an_interrupted_run_says_only_how_to_resume() -> None:
    """The receipt of an interrupted run has only the command that resumes."""
    text = lines(summary("cancelled", completed=5))
    assert "  to resume:     penstock ingest pubmed --to gone/out.jsonl a.xml" in text
    assert "start over" not in text


def test_only_who_takes_files_is_told_about_new_ones() -> None:
    """The demo generates its file, so its receipt does not mention new files."""
    assert "  new files:     penstock ingest pubmed --to gone/out.jsonl a.xml" in lines(summary(completed=5))
    demo = lines(summary(completed=5), replace(job(), repeat=("demo",)))
    assert "  once more:     penstock demo" in demo
    assert "new files" not in demo


def test_a_query_is_asked_again_with_refresh() -> None:
    """An adapter without inputs has no new files: its receipt shows the command that asks it again."""
    entry = find_adapter("clinicaltrials")
    to = Path("gone/out.jsonl")
    asked = Job(entry, (), entry.settings(condition="asthma"), RunOptions(), to, default_ledger(to))
    command = "penstock ingest clinicaltrials --to gone/out.jsonl --condition asthma"
    assert f"  what is new:   {command} --refresh" in lines(summary(completed=5), asked)
    assert "new files" not in lines(summary(completed=5), asked)
    assert "--refresh takes what is new" in lines(summary(nothing=True), asked)
    again = replace(asked, options=RunOptions(refresh=True))
    assert lines(summary(completed=5), again).count("--refresh") == 1


def test_ten_thousand_files_do_not_bury_the_receipt() -> None:
    """A very long command is described instead."""
    text = lines(summary(completed=5), job(*(f"pubmed{n:05}.xml.gz" for n in range(10_000))))
    assert "the same command again, with its 10,000 files" in text
    assert max(map(len, text.splitlines())) < 2_100


def test_names_are_shown_safely() -> None:
    """A path with an escape sequence is escaped, also within commands."""
    asked = job_for(("a\x1b[2J.xml",), Path("o\x9b.jsonl"))
    assert all(line.isprintable() for line in receipt(summary(completed=1), asked, Peak(None)))


def test_a_wrong_number_of_documents_is_said_and_has_its_exit_code() -> None:
    """The warning stands above the counts, and its exit code wins over failed documents."""
    found = replace(
        summary(completed=5, failed=1), warning="the source promised 7 documents, but 6 were settled"
    )
    assert exit_code(found) == 3
    lines = receipt(found, job(), SOME)
    assert "  warning   the source promised 7 documents, but 6 were settled" in lines
    assert exit_code(replace(found, state="cancelled")) == 130


def test_no_document_at_all_is_not_nothing_to_do() -> None:
    """The first run of an empty source has a warning in its receipt."""
    found = replace(summary(nothing=True), warning="the source gave no documents at all")
    assert exit_code(found) == 3
    lines = receipt(found, job(), SOME)
    assert "nothing to do" not in lines[0]
    assert "  warning   the source gave no documents at all" in lines


def test_a_restart_without_a_record_says_that_it_has_not_begun() -> None:
    """The receipt says that nothing was emptied, and how to try again; a restart with records does not."""
    stopped, restart = summary("cancelled"), job_for(("a.xml",), Path("gone/out.jsonl"), restart=True)
    lines = receipt(stopped, restart, SOME)
    assert any(line.startswith("  restart   not begun: no record came") for line in lines)
    assert lines[-1].endswith("--restart a.xml")
    some = summary("cancelled", session={"completed": 3}, completed=3)
    for lines in (receipt(some, restart, SOME), receipt(stopped, job(), SOME)):
        assert not any("restart" in line for line in lines)
