"""Real processes are killed and run again; they leave the output of an undisturbed run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from penstock.adapters.pubmed.sample import write_sample
from penstock.ledger.choice import ledger_from
from penstock.ledger.history import read_runs
from penstock.testing.faults import kill_and_compare

from ..length import LONG, cases  # noqa: TID252  tests are no installed package
from .outputs import ONES, OUTPUTS, Output, postgres

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..postgres import PostgresServer  # noqa: TID252  tests are no installed package

pytestmark = pytest.mark.usefixtures("forking")

SCRIPT = Path(__file__).with_name("ingest.py")
KILLS = int(os.environ.get("PENSTOCK_KILLS", "1"))
"""Kills per kind of output; ``nox -s laws`` sets 200."""


def command(files: list[str], every: int, **options: Any) -> Callable[[Path], list[str]]:
    """Return a function from the folder of a job to its command."""
    settings = {"files": files, "every": every, "output": "out.jsonl", **options}
    return lambda _: [str(SCRIPT), json.dumps(settings)]


LEDGERS = ["a file", "a table beside it", "a table elsewhere"]
"""The outputs of runs with a ledger in PostgreSQL; beside it is in the same database."""


def outcome(
    read: Callable[[Path], list[str]], *, ordered: bool = True, ledger: str | None = None
) -> Callable[[Path], Any]:
    """Return a function that reads what a job left: its documents, the sums in the ledger, and the documents' states."""

    def told(folder: Path) -> Any:
        documents, place = read(folder), ledger or folder / "run.db"
        first, *later = read_runs(place, "pubmed")
        assert not any(sum(run.counts.values()) for run in later)  # killed behind its end: nothing to do
        return documents if ordered else sorted(documents), first.state, first.counts, tally(place)

    return told


def tally(place: str | Path) -> dict[str, int]:
    """Return the number of documents in each state, from the ledger."""
    import asyncio

    async def main() -> dict[str, int]:
        async with ledger_from(place) as ledger:
            await ledger.open("pubmed")
            return await ledger.tally("pubmed")

    return asyncio.run(main())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a file of records of every kind: good, deleted and malformed ones."""
    path = tmp_path_factory.mktemp("sample") / "sample.xml.gz"
    write_sample(path, 200, seed=5, deletions=5, malformed=7)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", cases(["several", "a file and DuckDB"], OUTPUTS))
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path, sample: str, kind: str) -> None:
    """Runs killed at random instants, some during a commit, end with the same documents and sums."""
    output = OUTPUTS[kind]
    done = kill_and_compare(
        command([sample], 11, output=output.target), outcome(output.read), tmp_path, kills=KILLS, seed=2026
    )
    assert done.kills == KILLS


class Emptied:
    """A command that empties the database when a job begins, so that all jobs can share it."""

    def __init__(self, url: str, command: Callable[[Path], list[str]]) -> None:
        self._url, self._command, self._begun = url, command, set[Path]()

    def __call__(self, folder: Path) -> list[str]:
        if folder not in self._begun:
            self._begun.add(folder)
            with psycopg.connect(self._url) as db:
                db.execute("DROP SCHEMA IF EXISTS penstock_ledger CASCADE")
                db.execute("DROP TABLE IF EXISTS documents, penstock_commits")
        return self._command(folder)


def test_a_killed_run_into_postgresql(tmp_path: Path, sample: str, postgres_server: PostgresServer) -> None:
    """Killed runs into a table on a server, with a local ledger, end like an undisturbed one."""
    output = postgres(postgres_server.database())
    killed = Emptied(str(output.target), command([sample], 11, output=output.target))
    done = kill_and_compare(killed, outcome(output.read), tmp_path, kills=KILLS, seed=2029)
    assert done.kills == KILLS


@pytest.mark.slow
@pytest.mark.parametrize("kind", cases(["a table beside it"], LEDGERS))
def test_a_killed_run_with_a_ledger_in_postgresql(
    tmp_path: Path, sample: str, postgres_server: PostgresServer, kind: str
) -> None:
    """The lease of a killed process is free at once, also during a statement, and the next run goes on."""
    url = postgres_server.database()
    outputs = {
        "a file": ONES["jsonl"],
        "a table beside it": postgres(url),
        "a table elsewhere": postgres(postgres_server.database()),
    }
    output: Output = outputs[kind]
    killed = Emptied(url, command([sample], 11, output=output.target, ledger=url))
    if kind == "a table elsewhere":
        killed = Emptied(str(output.target), killed)
    done = kill_and_compare(killed, outcome(output.read, ledger=url), tmp_path, kills=KILLS, seed=2028)
    assert done.kills == KILLS


def test_a_killed_run_with_overlapping_documents(tmp_path: Path, sample: str) -> None:
    """With concurrent steps the order is free, but no document is lost or doubled."""
    kill_and_compare(
        command([sample], 11, overlapping=True),
        outcome(ONES["jsonl"].read, ordered=False),
        tmp_path,
        kills=KILLS,
        seed=2027,
    )


@pytest.mark.slow
def test_killed_runs_with_several_processes_end_like_an_undisturbed_one(tmp_path: Path) -> None:
    """Where other processes parse, the output has the same lines in the same order."""
    files = [str(tmp_path / f"sample{k}.xml.gz") for k in range(3)]
    for k, file in enumerate(files):
        write_sample(file, 150, seed=k, malformed=3)
    kill_and_compare(
        command(files, 30, processes=2),
        outcome(ONES["jsonl"].read),
        tmp_path,
        kills=max(KILLS // 2, 1),
        seed=7,
    )


REAL = {"update": ("pubmed21n1298.excerpt.xml.gz", 100), "baseline": ("pubmed20n0014.xml.gz", 1000)}
"""The name of a real file, and the documents from one commit to the next."""


@pytest.mark.corpus
@pytest.mark.skipif(not LONG, reason="the other tests of kills run every day, this one in nox -s laws")
@pytest.mark.parametrize("kind", REAL)
def test_a_killed_run_over_a_real_file(corpus: Path, tmp_path: Path, kind: str) -> None:
    """A killed run over a real file of 720 or 30,000 records ends like an undisturbed one."""
    name, every = REAL[kind]
    kill_and_compare(
        command([str(corpus / "pubmed" / name)], every),
        outcome(ONES["jsonl"].read),
        tmp_path,
        kills=max(KILLS // 4, 1),
        seed=14,
    )
