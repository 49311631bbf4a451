"""Real processes, really killed: run again, they leave what an undisturbed run leaves."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from penstock.adapters.pubmed.sample import write_sample
from penstock.ledger.choice import ledger_from
from penstock.ledger.history import read_runs
from penstock.testing.faults import kill_and_compare

from .outputs import ONES, OUTPUTS, Output, postgres

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..postgres import PostgresServer  # noqa: TID252  tests are no installed package

SCRIPT = Path(__file__).with_name("ingest.py")
KILLS = int(os.environ.get("PENSTOCK_KILLS", "1"))
"""Kills per kind of output; ``nox -s laws`` sets 200."""


def command(files: list[str], every: int, **options: Any) -> Callable[[Path], list[str]]:
    """Return the command of each job, which runs in the job's folder."""
    settings = {"files": files, "every": every, "output": "out.jsonl", **options}
    return lambda _: [sys.executable, str(SCRIPT), json.dumps(settings)]


def outcome(
    read: Callable[[Path], list[str]], *, ordered: bool = True, ledger: str | None = None
) -> Callable[[Path], Any]:
    """Return what tells what a job has left: its documents, the sums in the ledger, and each document's state."""

    def told(folder: Path) -> Any:
        documents, place = read(folder), ledger or folder / "run.db"
        first, *later = read_runs(place, "pubmed")
        assert not any(sum(run.counts.values()) for run in later)  # killed behind its end: nothing to do
        return documents if ordered else sorted(documents), first.state, first.counts, tally(place)

    return told


def tally(place: str | Path) -> dict[str, int]:
    """Return how many documents the ledger has in each state."""
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


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path, sample: str, kind: str) -> None:
    """SIGKILL at random instants, some in the middle of a commit: the same documents, the same sums."""
    output = OUTPUTS[kind]
    done = kill_and_compare(
        command([sample], 11, output=output.target), outcome(output.read), tmp_path, kills=KILLS, seed=2026
    )
    assert done.kills == KILLS


class Emptied:
    """One database for all jobs, emptied when a job begins."""

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
    """The same with the table on a server, and the ledger here."""
    output = postgres(postgres_server.database())
    killed = Emptied(str(output.target), command([sample], 11, output=output.target))
    done = kill_and_compare(killed, outcome(output.read), tmp_path, kills=KILLS, seed=2029)
    assert done.kills == KILLS


@pytest.mark.parametrize("kind", ["a file", "a table beside it", "a table elsewhere"])
def test_a_killed_run_with_a_ledger_in_postgresql(
    tmp_path: Path, sample: str, postgres_server: PostgresServer, kind: str
) -> None:
    """The lease of who was killed is free at once, amid a statement too: the next start goes on."""
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
    """With steps side by side the order is free; no document is lost and none is there twice."""
    kill_and_compare(
        command([sample], 11, overlapping=True),
        outcome(ONES["jsonl"].read, ordered=False),
        tmp_path,
        kills=KILLS,
        seed=2027,
    )


def test_killed_runs_in_several_processes_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """The same with files parsed side by side."""
    files = [str(tmp_path / f"sample{k}.xml.gz") for k in range(3)]
    for k, file in enumerate(files):
        write_sample(file, 150, seed=k, malformed=3)
    kill_and_compare(
        command(files, 30, processes=2),
        outcome(ONES["jsonl"].read, ordered=False),
        tmp_path,
        kills=max(KILLS // 5, 1),
        seed=7,
    )


@pytest.mark.corpus
@pytest.mark.slow
def test_a_killed_run_over_a_real_file(corpus: Path, tmp_path: Path) -> None:
    """The same with 30,000 citations of a real baseline file."""
    kill_and_compare(
        command([str(corpus / "pubmed" / "pubmed20n0014.xml.gz")], 1000),
        outcome(ONES["jsonl"].read),
        tmp_path,
        kills=max(KILLS // 4, 1),
        seed=14,
    )
