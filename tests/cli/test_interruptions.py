"""Real signals to real processes, and the same command afterwards.

Tests do not sleep. A run with --events waits for its reader, so "in the middle" is a number of lines that
were read.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import PATIENCE, RECORDS, read_until_commit

if TYPE_CHECKING:
    from .conftest import Penstock
    from .forked import Running


def in_the_middle(penstock: Penstock, *words: str | Path, lines: int) -> Running:
    """Start a run and read this many events; the run then waits for its reader."""
    process = penstock.start("ingest", "pubmed", *words, "--to", "out.jsonl", "--events")
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    return process


def said(process: Running) -> str:
    """Read the remaining output and return stderr."""
    _, err = process.communicate(timeout=PATIENCE)
    return err.decode()


def resume_command(words: str) -> str:
    """Return the command at the end of the text."""
    return words.split("to resume:")[1].split("\n", maxsplit=1)[0].strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_the_run_well(
    penstock: Penstock, sample: Path, undisturbed: bytes, number: signal.Signals
) -> None:
    """Exit code 130, a receipt, complete lines committed, and a command that completes the same output."""
    process = in_the_middle(penstock, sample, lines=230)
    process.send_signal(number)
    words = said(process)
    assert process.returncode == 130, words
    assert "interrupted, " in words
    output = penstock.folder / "out.jsonl"
    half = output.read_bytes()
    assert undisturbed.startswith(half)
    assert (
        half
    )  # perhaps all of it: on a busy machine the signal may be seen when the last documents are in flight
    done = penstock.shell(resume_command(words).replace(" --events", ""))
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == undisturbed
    assert f"{RECORDS:,}\n" in done.stdout  # the whole run's column


def test_a_signal_to_the_whole_group_reaches_workers_too_and_ends_well(
    penstock: Penstock, sample: Path, undisturbed: bytes
) -> None:
    """Ctrl-C on a terminal also reaches worker processes: no traceback, and the same bytes in the end."""
    words = [str(sample), "--processes", "2"]
    process = in_the_middle(penstock, *words, lines=100)
    os.killpg(process.pid, signal.SIGINT)
    err = said(process)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    done = penstock("ingest", "pubmed", *words, "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


@pytest.mark.slow
def test_a_second_signal_stops_at_once_even_where_nobody_reads(
    penstock: Penstock, sample: Path, undisturbed: bytes
) -> None:
    """A run that hangs in a write ends two seconds after the second signal with 130, and can be resumed."""
    process = in_the_middle(penstock, sample, lines=230)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    words = said(process)
    assert process.returncode == 130, words
    assert "stopped at once" in words
    assert "Traceback" not in words
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def kills() -> list[int]:
    """Return numbers of events after which to kill: 2, or as many as the environment says."""
    dice = random.Random(20_26)
    return sorted(dice.randrange(1, 2 * RECORDS) for _ in range(int(os.environ.get("PENSTOCK_KILLS", "2"))))


@pytest.mark.parametrize("lines", kills())
def test_a_killed_run_ends_with_the_same_bytes(
    penstock: Penstock, sample: Path, undisturbed: bytes, lines: int
) -> None:
    """After SIGKILL at any moment, the same command completes the output of an undisturbed run."""
    process = in_the_middle(penstock, sample, lines=lines)
    process.kill()
    process.communicate()
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_killed_again_and_again(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """Three kills, each in a resumed run, do not change the output."""
    for _ in range(3):
        process = in_the_middle(penstock, sample, lines=120)
        process.kill()
        process.communicate()
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    again = penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True)
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed


def test_status_while_a_run_is_going(penstock: Penstock, sample: Path) -> None:
    """Status works beside a running process and does not disturb it."""
    process = in_the_middle(penstock, sample, lines=230)
    read_until_commit(penstock, process, "out.jsonl")
    words = said(process)
    assert process.returncode == 0, words


def test_two_processes_on_one_ledger(penstock: Penstock, sample: Path, undisturbed: bytes) -> None:
    """The second process ends with 2 and says that the ledger is in use; the first completes."""
    process = in_the_middle(penstock, sample, lines=10)
    second = penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert str(process.pid) in second.stderr
    words = said(process)
    assert process.returncode == 0, words
    assert (penstock.folder / "out.jsonl").read_bytes() == undisturbed
