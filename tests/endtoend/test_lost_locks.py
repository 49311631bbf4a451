"""A run that was stopped, and whose lock files somebody removed, changes nothing when it goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from penstock.adapters.pubmed.sample import write_sample

from ..cli.conftest import PATIENCE, Penstock, environment  # noqa: TID252  tests are no installed package
from ..length import cases  # noqa: TID252  tests are no installed package
from .outputs import OUTPUTS

SCRIPT = Path(__file__).with_name("ingest.py")


@pytest.mark.slow
@pytest.mark.parametrize("kind", cases(["several"], [kind for kind in OUTPUTS if kind != "duckdb"]))
def test_a_stopped_run_without_its_locks_touches_nothing(tmp_path: Path, kind: str) -> None:
    """A second run completes the output meanwhile. The first one ends with an error, and the output stays."""
    output, sample = OUTPUTS[kind], tmp_path / "sample.xml"
    write_sample(sample, 120, seed=3)
    settings = {"files": [str(sample)], "every": 7, "output": output.target}
    command, forks = [str(SCRIPT), json.dumps(settings)], Penstock.server()
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert forks.run(command, one, environment(), PATIENCE).returncode == 0
    with forks.start(command, two, environment()) as first:
        for _ in range(60):
            first.stdout.readline()
        first.send_signal(signal.SIGSTOP)
        for lock in two.glob("*.lock"):
            lock.unlink()
        # Stopped inside a transaction, it would keep SQLite's own lock: then let it take another step.
        while forks.run(command, two, environment(), PATIENCE).returncode:
            first.send_signal(signal.SIGCONT)
            first.stdout.readline()
            first.send_signal(signal.SIGSTOP)
        completed = output.read(two)
        first.send_signal(signal.SIGCONT)
        _, stderr = first.communicate(PATIENCE)
    assert first.returncode == 1
    # Where it looks first, at the lock or at the output, depends on where it was stopped.
    assert any(words in stderr.decode() for words in ("lost its lock", "put it back as it was"))
    assert output.read(two) == completed == output.read(one)
    assert not [*two.glob("*.lock")]
