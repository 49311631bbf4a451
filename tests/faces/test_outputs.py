"""Outputs on the command line: paths and URLs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock.faces.job import Job
from penstock.faces.outputs import default_ledger, file_of, output_of, shown

from .conftest import RECORDS, Penstock

if TYPE_CHECKING:
    from ..postgres import PostgresServer  # noqa: TID252  tests are no installed package

SECRET = "hunter2secret"  # noqa: S105  of the tests


@pytest.mark.parametrize(
    ("word", "ledger"),
    [
        ("out/a.jsonl", "out/a.jsonl.ledger.db"),
        ("sqlite:///out/a.db", "out/a.db.ledger.db"),
        ("sqlite:///out/a.db?table=documents", "out/a.db.ledger.db"),
        ("sqlite:////data/a.db?table=x/y", "/data/a.db.x%2Fy.ledger.db"),
        ("duckdb:///a%20b.duckdb?table=x", "a b.duckdb.x.ledger.db"),
        ("postgresql://u:p@h:1/db?table=s.t", "db.s.t.ledger.db"),
        ("postgresql://u:p@h", "h.documents.ledger.db"),
        ("postgresql:///", "postgres.documents.ledger.db"),
    ],
)
def test_where_the_ledger_is(word: str, ledger: str) -> None:
    """Beside the file; in the current folder for a database elsewhere."""
    assert default_ledger(output_of(word)) == Path(ledger)


def test_which_file_an_output_is() -> None:
    """None is a database elsewhere, which cannot be an input."""
    assert file_of(output_of("a.jsonl")) == Path("a.jsonl")
    assert file_of(output_of("sqlite:////x/a.db?table=t")) == Path("/x/a.db")
    assert file_of(output_of("postgresql://h/db")) is None


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://u:hunter2secret@h:5/db?table=t", "postgresql://u@h:5/db?table=t"),
        ("postgresql://u@h/db?password=hunter2secret&sslmode=require", "postgresql://u@h/db?sslmode=require"),
        ("postgresql://:hunter2secret@h/db", "postgresql://h/db"),
        ("postgresql://u:a/hunter2secret@h/db", "postgresql://..."),
        ("postgresql://u:a@hunter2secret@h/db", "postgresql://..."),
        ("sqlite:///a.db?table=my%20table", "sqlite:///a.db?table=my%20table"),
    ],
)
def test_what_is_shown(url: str, public: str) -> None:
    """A URL as it may be given again, without its password."""
    assert shown(url) == public
    job = Job("pubmed", ("a.xml",), url, default_ledger(url))
    assert SECRET not in job.command() + job.status_command() + job.dead_command("replay")


def test_an_ingestion_into_several_outputs(penstock: Penstock, sample: Path) -> None:
    """Each gets every document; the receipt names all, and its commands work."""
    outputs = ["--to", "a.jsonl", "--to", "sqlite:///a.db?table=articles", "--to", "duckdb:///a.duckdb"]
    done = penstock("ingest", "pubmed", sample, *outputs)
    assert done.returncode == 0, done.stderr
    assert "sqlite:///a.db?table=articles (" in done.stdout
    assert len((penstock.folder / "a.jsonl").read_bytes().splitlines()) == RECORDS
    db = sqlite3.connect(penstock.folder / "a.db")
    assert db.execute("SELECT count(*) FROM articles").fetchone() == (RECORDS,)
    db.close()
    again = penstock.shell(done.stdout.split("new files:")[1].split("\n", maxsplit=1)[0].strip())
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout


def test_an_ingestion_into_a_database(penstock: Penstock, sample: Path) -> None:
    """The status is found by the URL and by the file; the same command has nothing more to do."""
    command = ("ingest", "pubmed", sample, "--to", "sqlite:///a.db")
    assert penstock(*command).returncode == 0
    for place in ("sqlite:///a.db", "a.db", "a.db.ledger.db"):
        status = penstock("status", place)
        assert status.returncode == 0, status.stderr
        assert "run 1 completed" in status.stdout
    assert "nothing to do" in penstock(*command).stdout


def test_a_password_is_never_printed(
    penstock: Penstock, sample: Path, postgres_server: PostgresServer
) -> None:
    """Not in the receipt, not in errors; the receipt's command goes on without it."""
    url = postgres_server.database().replace("tester@", f"tester:{SECRET}@") + "?table=articles"
    done = penstock("ingest", "pubmed", sample, "--to", url)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    again = penstock.shell(done.stdout.split("new files:")[1].split("\n", maxsplit=1)[0].strip())
    assert "nothing to do" in again.stdout, again.stderr
    wrong = penstock("ingest", "pubmed", sample, "--to", f"postgresql://u:{SECRET}@127.0.0.1:9/db", "--debug")
    assert wrong.returncode != 0
    assert SECRET not in wrong.stdout + wrong.stderr


def test_a_url_that_is_none(penstock: Penstock, sample: Path) -> None:
    """One sentence."""
    for url, says in (("sqlite://a.db", "names no file"), (f"mysql://u:{SECRET}@h/x", "no sink is known")):
        done = penstock("ingest", "pubmed", sample, "--to", url)
        assert done.returncode != 0
        assert says in done.stderr
        assert SECRET not in done.stderr
