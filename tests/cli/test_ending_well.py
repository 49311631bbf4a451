"""Runs that are ended from outside: one sentence, the last commit intact, and the same output afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock.testing.faults import SmallDisk, kill_and_compare

from ..endtoend.outputs import OUTPUTS, Output, table_for_each  # noqa: TID252  tests are no installed package
from ..length import cases  # noqa: TID252
from .conftest import COMMAND, PATIENCE, Penstock, environment

if TYPE_CHECKING:
    from ..postgres import PostgresServer  # noqa: TID252
    from .forked import Running

STOPS = int(os.environ.get("PENSTOCK_STOPS", "1"))
"""Signals per kind of output; ``nox -s laws`` sets 100."""

KINDS = [*OUTPUTS, "postgres"]
"""Every day each library of outputs is met in one of two tests, DuckDB in those of kills."""


@pytest.fixture
def output(request: pytest.FixtureRequest) -> Output:
    """Return each kind of output; in PostgreSQL each folder has its own table."""
    if request.param != "postgres":
        return OUTPUTS[request.param]
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return table_for_each(server.database())


def ingestion(output: Output, sample: Path, folder: Path) -> list[str]:
    """Return the arguments of an ingestion in a folder."""
    to = [word for target in output.targets(folder) for word in ("--to", target)]
    return ["ingest", "pubmed", str(sample), *to, "--no-progress"]


def in_the_middle(penstock: Penstock, *words: str | Path, lines: int) -> Running:
    """Start a run and read this many events; the run then waits for its reader."""
    process = penstock.start("ingest", "pubmed", *words, "--events", "--no-progress")
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    return process


def the_sentence(code: int, words: str) -> str:
    """Return the error; the other lines must be hints that tell how to continue."""
    assert code == 2, words
    sentence, *hints = words.splitlines()
    assert all("to continue: " in hint for hint in hints), words
    return sentence


@pytest.mark.parametrize("output", cases(["a file and a database"], KINDS), indirect=True)
@pytest.mark.usefixtures("forking")
def test_stopped_by_sigterm_again_and_again(tmp_path: Path, sample: Path, output: Output) -> None:
    """SIGTERM at random moments, also before the first commit and at the end: the same documents."""

    def command(folder: Path) -> list[str | Path]:
        return [COMMAND, *ingestion(output, sample, folder), "--events"]

    done = kill_and_compare(
        command,
        output.read,
        tmp_path,
        kills=STOPS,
        signal=signal.SIGTERM,
        seed=15,
        steps=3,
        environment=environment(),
    )
    assert done.kills == STOPS


@pytest.mark.slow
@pytest.mark.parametrize("output", cases(["parquet", "jsonl.zst", "postgres"], KINDS), indirect=True)
def test_stopped_by_sigterm_it_says_how_to_go_on(penstock: Penstock, sample: Path, output: Output) -> None:
    """Exit code 130, a receipt, and a command that completes the same output as an undisturbed run."""
    other = Penstock(penstock.folder / "undisturbed")
    other.folder.mkdir()
    assert other(*ingestion(output, sample, other.folder)).returncode == 0
    words = ingestion(output, sample, penstock.folder)
    process = penstock.start(*words, "--events")
    assert process.stdout is not None
    for _ in range(230):
        assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=PATIENCE)[1].decode()
    assert process.returncode == 130, told
    assert told.startswith("penstock: stopping: documents in flight are finished and committed")
    assert "penstock: interrupted, 256 " in told
    assert "Traceback" not in told
    done = penstock.shell(told.split("to resume:")[1].split("\n", maxsplit=1)[0])
    assert done.returncode == 0, done.stderr
    assert output.read(penstock.folder) == output.read(other.folder)


@pytest.mark.slow
def test_one_signal_where_nobody_reads(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """A run that hangs is ended after ``--grace``; the next run completes."""
    process = in_the_middle(penstock, sample, "--to", "out.jsonl", "--grace", "0.1", lines=230)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert process.stderr is not None
    assert (process.returncode, "stopped at once" in process.stderr.read().decode()) == (130, True)
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


@pytest.mark.parametrize("blocks", cases([40, 700], [40, 300, 700, 1500, 1900]))
def test_a_limit_on_the_size_of_files(
    penstock: Penstock, sample: Path, undisturbed: bytes, blocks: int
) -> None:
    """The message names the file that reached the limit, and the limit."""
    words = ["ingest", "pubmed", str(sample), "--to", "out.jsonl", "--no-progress"]
    done = penstock(*words, limits=f"ulimit -f {blocks}")
    assert "ulimit -f" in the_sentence(done.returncode, done.stderr)
    assert penstock(*words).returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_a_full_disk(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """The message says that the disk is full; with free space the same command completes."""
    try:
        with SmallDisk(1 << 20) as disk:
            words = ["ingest", "pubmed", sample, "--to", disk / "out.jsonl", "--no-progress"]
            done = penstock(*words)
            assert "full" in the_sentence(done.returncode, done.stderr)
            for file in disk.iterdir():
                shutil.copy(file, penstock.folder)
    except OSError as error:
        pytest.skip(f"no small disk here: {error}")
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_a_ledger_that_another_program_locks(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """A run waits for a locked ledger, then fails with a message; the next run completes."""
    process = in_the_middle(penstock, sample, "--to", "out.jsonl", lines=230)
    ledger = penstock.folder / "out.jsonl.ledger.db"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        _, words = process.communicate(timeout=PATIENCE)
    assert f"{ledger.name} is locked by another program" in the_sentence(process.returncode, words.decode())
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


@pytest.mark.slow
def test_a_folder_that_may_no_longer_be_written(penstock: Penstock, sample: Path) -> None:
    """Losing write permission during a run is one sentence; once restored, the same command completes."""
    mighty = os.geteuid() == 0  # root ignores permissions, unless it drops this capability
    drop = ["setpriv", "--bounding-set=-dac_override"] if mighty else []
    if drop and shutil.which(drop[0]) is None:
        pytest.skip("permissions do not bind root, and there is no setpriv here")
    folder = penstock.folder / "out.parquet"
    words = ["--to", "out.parquet"]
    process = penstock.start_behind(drop, "ingest", "pubmed", sample, *words, "--events", "--no-progress")
    assert process.stdout is not None
    for _ in range(230):
        assert process.stdout.readline()
    folder.chmod(0o500)
    _, told = process.communicate(timeout=PATIENCE)
    folder.chmod(0o700)
    sentence = the_sentence(process.returncode, told.decode())
    assert "out.parquet" in sentence
    assert "permission denied" in sentence
    assert penstock("ingest", "pubmed", sample, *words).returncode == 0
    other = Penstock(penstock.folder / "other")
    other.folder.mkdir()
    assert other("ingest", "pubmed", sample, *words).returncode == 0
    assert OUTPUTS["parquet"].read(penstock.folder) == OUTPUTS["parquet"].read(other.folder)
