"""Outputs on the command line: paths and URLs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from penstock.adapters import find_adapter
from penstock.cli.job import Job
from penstock.cli.options import RunOptions
from penstock.pipeline_file.places import default_ledger, file_of, output_of, shown

from ..length import cases  # noqa: TID252  tests are no installed package
from .conftest import RECORDS, Penstock

if TYPE_CHECKING:
    from ..postgres import PostgresServer  # noqa: TID252  tests are no installed package

SECRET = "hunter2secret"  # noqa: S105  of the tests


@pytest.mark.parametrize(
    ("word", "ledger"),
    [
        ("out/a.jsonl", "out/a.jsonl.ledger.db"),
        ("out/", "out.ledger.db"),
        ("a/out.parquet", "a/out.parquet.ledger.db"),
        ("out.jsonl.gz", "out.jsonl.gz.ledger.db"),
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
    """The ledger lies beside the file; for a database on a server, in the current folder."""
    assert default_ledger(output_of(word)) == Path(ledger)


def test_which_file_an_output_is() -> None:
    """``None`` means a database on a server, which cannot be an input."""
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
    """A URL is printed with its parameters and without its password."""
    assert shown(url) == public
    pubmed = find_adapter("pubmed")
    job = Job(pubmed, ("a.xml",), pubmed.settings(), RunOptions(), url, default_ledger(url))
    assert SECRET not in job.command() + job.status_command() + job.replay_command()


def test_an_ingestion_into_several_outputs(penstock: Penstock, sample: Path) -> None:
    """Each output gets every document; the receipt names all, and its commands work."""
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
    """Status accepts the URL and the file; the same command has nothing to do."""
    command = ("ingest", "pubmed", sample, "--to", "sqlite:///a.db")
    assert penstock(*command).returncode == 0
    for place in ("sqlite:///a.db", "a.db", "a.db.ledger.db"):
        status = penstock("status", place)
        assert status.returncode == 0, status.stderr
        assert "run 1 completed" in status.stdout
    assert "nothing to do" in penstock(*command).stdout


PLACES = [
    "out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.parquet", "out/",
    "sqlite:///a.db", "sqlite:///b.db?table=articles", "duckdb:///a.duckdb", "duckdb:///my%20file.duckdb?table=x",
]  # fmt: skip


@pytest.mark.parametrize("output", cases([PLACES[1], *PLACES[4::2]], PLACES))
def test_the_ledger_is_found_by_the_output(penstock: Penstock, sample: Path, output: str) -> None:
    """Every command finds the ledger by the output, its file, or the ledger."""
    done = penstock("ingest", "pubmed", sample, "--to", output)
    assert done.returncode == 0, done.stderr
    ledger = default_ledger(output_of(output))
    for place in (output, str(file_of(output_of(output))), str(ledger), f"sqlite:///{quote(str(ledger))}"):
        status = penstock("status", place)
        assert status.returncode == 0, status.stderr
        assert status.stdout.startswith(f"ledger {ledger}\n")
        assert "no dead letters" in penstock("dead", "list", place).stdout
    assert "nothing to replay" in penstock("dead", "replay", output).stdout


def test_the_ledger_of_a_table_on_a_server(
    penstock: Penstock, sample: Path, postgres_server: PostgresServer
) -> None:
    """It is in the current folder; without one there, the URL is that of a ledger on the server."""
    url = postgres_server.database()
    for output in (url, f"{url}?table=articles"):
        assert penstock("ingest", "pubmed", sample, "--to", output).returncode == 0
        status = penstock("status", output)
        assert f"ledger {default_ledger(output)}\n" in status.stdout, status.stderr
    other = penstock("status", f"{url}?table=others")
    assert (other.returncode, "others.ledger.db" in other.stderr) == (2, True)
    default_ledger(url).unlink(missing_ok=True)
    (penstock.folder / default_ledger(url)).unlink()
    assert penstock("ingest", "pubmed", sample, "--to", "b.jsonl", "--ledger", url).returncode == 0
    assert "run 1 completed" in penstock("status", url).stdout


def test_a_file_with_several_tables_has_several_ledgers(penstock: Penstock, sample: Path) -> None:
    """The message lists the ledgers to choose from."""
    for table in ("one", "two"):
        assert penstock("ingest", "pubmed", sample, "--to", f"sqlite:///a.db?table={table}").returncode == 0
    unclear = penstock("status", "a.db")
    assert (unclear.returncode, "a.db.one.ledger.db, a.db.two.ledger.db" in unclear.stderr) == (2, True)
    assert penstock("status", "sqlite:///a.db?table=two").returncode == 0


def test_a_url_of_nothing_we_know_has_no_ledger(penstock: Penstock) -> None:
    """One sentence, and exit code 2."""
    done = penstock("status", f"mysql://u:{SECRET}@h/x")
    assert (done.returncode, done.stderr.count("\n"), SECRET in done.stderr) == (2, 1, False)


def test_a_password_is_never_printed(
    penstock: Penstock, sample: Path, postgres_server: PostgresServer
) -> None:
    """Neither the receipt nor errors have it; the receipt's command works without it."""
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
    """One sentence, and exit code 2."""
    for url, says in (("sqlite://a.db", "names no file"), (f"mysql://u:{SECRET}@h/x", "no sink is known")):
        done = penstock("ingest", "pubmed", sample, "--to", url)
        assert done.returncode != 0
        assert says in done.stderr
        assert SECRET not in done.stderr
