"""What ends a run from outside, in its middle: one clear sentence, the last commit intact, and the same end."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.dataset
import pytest

from penstock.testing.faults import SmallDisk, kill_and_compare

from .conftest import COMMAND, PATIENCE, Penstock, environment

if TYPE_CHECKING:
    import subprocess

STOPS = int(os.environ.get("PENSTOCK_STOPS", "3"))
"""Signals per kind of output; 100 for the record."""

ENDINGS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")


def documents(path: Path) -> list[object]:
    """Return what an output holds, in order: lines, or rows."""
    if path.suffix == ".parquet":
        return pyarrow.dataset.dataset(path).to_table().to_pylist()
    if path.suffix == ".gz":
        import gzip

        return [*gzip.decompress(path.read_bytes()).splitlines()]
    if path.suffix == ".zst":
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True) as packed:
            return [*packed.readall().splitlines()]
    return [*path.read_bytes().splitlines()]


def in_the_middle(penstock: Penstock, *words: str | Path, lines: int) -> subprocess.Popen[bytes]:
    """Start a run and read so many events of it; it then waits for its reader."""
    process = penstock.start("ingest", "pubmed", *words, "--events", "--no-progress")
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    return process


def the_sentence(code: int, words: str) -> str:
    """Return the one sentence, beside the hint that says how to go on."""
    assert code == 2, words
    sentence, *hints = words.splitlines()
    assert all("to go on: " in hint for hint in hints), words
    return sentence


@pytest.mark.parametrize("ending", ENDINGS)
def test_stopped_by_sigterm_again_and_again(tmp_path: Path, sample: Path, ending: str) -> None:
    """At random instants, those before the first commit and those at the end among them: the same documents."""
    name = f"out.{ending}"

    def command(_: Path) -> list[str | Path]:
        return [COMMAND, "ingest", "pubmed", sample, "--to", name, "--events", "--no-progress"]

    done = kill_and_compare(
        command,
        lambda job: documents(job / name),
        tmp_path,
        kills=STOPS,
        signal=signal.SIGTERM,
        seed=15,
        steps=3,
        environment=environment(),
    )
    assert done.kills == STOPS


def test_one_signal_where_nobody_reads(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """What hangs is not waited for longer than ``--grace`` allows; the next run ends like any other."""
    process = in_the_middle(penstock, sample, "--to", "out.jsonl", "--grace", "0.1", lines=2_300)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert process.stderr is not None
    assert (process.returncode, "stopped at once" in process.stderr.read().decode()) == (130, True)
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


@pytest.mark.parametrize("blocks", [40, 300, 700, 1500, 2000])
def test_a_limit_on_the_size_of_files(
    penstock: Penstock, sample: Path, undisturbed: bytes, blocks: int
) -> None:
    """Whether the output or the ledger hits it first: the sentence names it, and the limit."""
    words = ["ingest", "pubmed", str(sample), "--to", "out.jsonl", "--no-progress"]
    done = penstock(*words, limits=f"ulimit -f {blocks}")
    assert "ulimit -f" in the_sentence(done.returncode, done.stderr)
    assert penstock(*words).returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_a_full_disk(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """With no room left it says so; with room again it goes on."""
    try:
        with SmallDisk(2 << 20) as disk:
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
    """In the middle of the run: it is waited for, then told; afterwards the run goes on."""
    process = in_the_middle(penstock, sample, "--to", "out.jsonl", lines=2_300)
    ledger = penstock.folder / "out.jsonl.ledger.db"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        _, words = process.communicate(timeout=PATIENCE)
    assert f"{ledger.name} is locked by another program" in the_sentence(process.returncode, words.decode())
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_a_folder_that_may_no_longer_be_written(penstock: Penstock, sample: Path) -> None:
    """A permission that is lost in the middle of the run, and given back."""
    mighty = os.geteuid() == 0  # whom permissions do not bind, unless without this capability
    drop = ["setpriv", "--bounding-set=-dac_override"] if mighty else []
    if drop and shutil.which(drop[0]) is None:
        pytest.skip("permissions do not bind root, and there is no setpriv here")
    folder = penstock.folder / "out.parquet"
    words = ["--to", "out.parquet"]
    process = penstock.start("ingest", "pubmed", sample, *words, "--events", "--no-progress", before=drop)
    assert process.stdout is not None
    for _ in range(2_300):
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
    assert documents(folder) == documents(other.folder / "out.parquet")
