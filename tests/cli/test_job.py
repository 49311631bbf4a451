"""Jobs, and the commands that repeat them."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from penstock.adapters import find_adapter
from penstock.cli import job as job_module
from penstock.cli.commands import parse
from penstock.cli.job import Job, UsageProblem
from penstock.cli.options import RunOptions

PUBMED = find_adapter("pubmed")


@pytest.fixture(autouse=True)
def called_penstock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the program was called by its plain name."""
    monkeypatch.setattr(job_module, "program", lambda: ["penstock"])


def job(**given: object) -> Job:
    """Return a job of pubmed; ``given`` are fields of the job, options of the run, or settings."""
    options = {field.name for field in fields(RunOptions)}
    own = {"to": Path("out.jsonl"), "ledger": Path("out.jsonl.ledger.db"), "files": ("a.xml",)} | {
        name: value for name, value in given.items() if name in {"to", "ledger", "files", "also"}
    }
    return Job(
        adapter=PUBMED,
        options=RunOptions(**{name: value for name, value in given.items() if name in options}),
        settings=PUBMED.settings(**{n: v for n, v in given.items() if n not in options | own.keys()}),
        **own,
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"files": ("-x.xml", "with blank.xml", "d'or.xml.gz")},
        {"to": Path("my out/é.jsonl"), "ledger": Path("my out/é.jsonl.ledger.db")},
        {"ledger": Path("else where.db"), "limit": 5, "processes": 3},
        {"ledger": "postgresql://me@host/runs"},
        {"to": Path("-o.jsonl"), "ledger": Path("-l.db")},
        {"key": "my articles", "ledger": "postgresql://me@host/runs"},
        {"to": "out/", "ledger": Path("out.ledger.db"), "refresh": True},
        {"also": (Path("b.jsonl.gz"), "sqlite:///x.db?table=my%20table")},
        {"to": "sqlite:////a/b.db?table=x&deleted=delete", "ledger": Path("/a/b.db.x.ledger.db")},
        {"to": "postgresql://me@h:5/db?table=a.b&sslmode=require", "ledger": Path("db.a.b.ledger.db")},
        {"fail_fast": True, "events": True, "progress": False, "debug": True},
    ],
)
def test_the_command_is_read_back_as_the_job(
    given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed command, parsed again, gives an equal job."""
    wanted = job(**given)
    words = shlex.split(wanted.command())
    assert words[0] == "penstock"
    asked: list[Job] = []
    monkeypatch.setattr("penstock.cli.ingest.ingest", lambda job: asked.append(job) or 0)
    command, bound = parse(words[1:])
    command(*bound.args, **bound.kwargs)
    assert asked == [wanted]


def test_restart_is_repeated_only_when_it_is_meant() -> None:
    """The command that resumes never has --restart."""
    assert "--restart" not in job(restart=True).command()
    assert job().command(restart=True).endswith(" --restart a.xml")
    assert "--restart -- -a" in job(files=("-a",)).command(restart=True)


def test_going_on_beyond_a_limit_leaves_the_limit_out() -> None:
    """The command that continues beyond a limit has no --limit."""
    assert "--limit" in job(limit=3).command()
    assert "--limit" not in job(limit=3).command(limited=False)


@pytest.mark.parametrize(
    ("given", "asked", "words"),
    [
        ({}, {}, "the same command again, with"),
        ({"refresh": True}, {}, "the same command again, with"),
        ({"refresh": False}, {"refresh": True}, "the same command again, --refresh added, with"),
        ({}, {"restart": True}, "the same command again, --restart added, with"),
        ({"limit": 3}, {"limited": False}, "the same command again, without --limit, with"),
    ],
)
def test_a_command_that_nobody_would_paste(given: dict[str, Any], asked: dict[str, Any], words: str) -> None:
    """With very many files the command is described in words, with what is different this time."""
    long = job(files=tuple(f"file{n}.xml" for n in range(9_000)), **given)
    assert long.command(**asked) == f"{words} its 9,000 files"


def test_the_url_of_a_ledger_is_repeated_without_its_password() -> None:
    """The printed URL keeps its parameters and has no password."""
    secret = job(ledger="postgresql://me:hunter2@host/runs?sslmode=require")
    for command in (secret.command(), secret.replay_command(), secret.status_command()):
        assert "postgresql://me@host/runs?sslmode=require" in command


def test_the_status_command_names_the_ledger_only_when_it_lies_elsewhere() -> None:
    """If the ledger lies beside the output, the command names the output."""
    assert job().status_command() == "penstock status out.jsonl"
    assert job(ledger=Path("x.db")).status_command() == "penstock status x.db"


def test_no_files_is_wrong_usage() -> None:
    """No files are refused before anything is opened."""
    with pytest.raises(UsageProblem, match="no files to read"):
        job(files=()).check()


@pytest.mark.parametrize("role", ["to", "ledger"])
def test_an_input_is_never_overwritten(tmp_path: Path, role: str) -> None:
    """An output or ledger that is one of the inputs is refused, also under another name."""
    source = tmp_path / "a.xml"
    source.write_text("<x/>")
    link = tmp_path / "link"
    link.symlink_to(source)
    with pytest.raises(UsageProblem, match="input"):
        job(**{"files": (str(source),), role: link}).check()
    assert source.read_text() == "<x/>"


def test_the_output_is_not_the_ledger() -> None:
    """One file cannot be both, even if it does not exist yet."""
    with pytest.raises(UsageProblem, match="both the output and the ledger"):
        job(ledger=Path.cwd() / "out.jsonl").check()
