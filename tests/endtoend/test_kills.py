"""Real processes, really killed: run again, they leave what an undisturbed run leaves."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from penstock.adapters.biomed.sample import write_sample
from penstock.ledger import SqliteLedger

SCRIPT = Path(__file__).with_name("ingest.py")
PATIENCE = 240
KILLS = int(os.environ.get("PENSTOCK_KILLS", "20" if "CI" in os.environ else "8"))
"""Per test; the long runs set 100."""


@dataclass
class Job:
    """One ingestion, in a folder of its own, as often as it takes."""

    folder: Path
    files: list[str]
    every: int
    overlapping: bool = False
    processes: int = 1
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        return self.folder / "out.jsonl"

    def run(self, kill_after: int | None = None, seconds: float = 0.0) -> int:
        """Run one process; kill it that many events, and seconds, after its start. Return how many it had."""
        self.folder.mkdir(exist_ok=True)
        options = {
            "files": self.files, "ledger": str(self.folder / "run.db"), "output": str(self.output),
            "every": self.every, "overlapping": self.overlapping, "processes": self.processes,
        }  # fmt: skip
        events = 0
        command = [sys.executable, str(SCRIPT), json.dumps(options)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    self.said = json.loads(line)
                    continue
                events = int(line)
                if kill_after is not None and events >= kill_after:
                    until = perf_counter() + seconds
                    while perf_counter() < until:
                        pass
                    process.kill()
                    break
            process.stdout.read()
            process.wait(PATIENCE)
        assert process.returncode in (0, -9)
        return events

    @property
    def lines(self) -> list[bytes]:
        return self.output.read_bytes().splitlines()

    async def tally(self) -> dict[str, int]:
        """Return how many documents the ledger has in each state."""
        async with SqliteLedger(self.folder / "run.db") as ledger:
            await ledger.open("pubmed")
            return await ledger.tally("pubmed")

    async def agrees_with(self, whole: Job) -> None:
        """Compare output, sums and ledger with those of an undisturbed run."""
        if self.overlapping or self.processes > 1:
            assert sorted(self.lines) == sorted(whole.lines)
        else:
            assert self.output.read_bytes() == whole.output.read_bytes()
        assert await self.tally() == await whole.tally()


async def kill_and_resume(whole: Job, job_of: Any, kills: int, seed: int) -> None:
    """Kill process after process, job after job, until there were that many; compare each job at its end."""
    dice = random.Random(seed)
    events = whole.run()
    done = number = 0
    while done < kills:
        job, number = job_of(number), number + 1
        while done < kills:
            job.said = {}
            job.run(dice.randint(1, max(events // 6, 2)), dice.choice([0, dice.uniform(0, 0.004)]))
            if job.said:
                break  # it came to its end before it was killed
            done += 1
        if not job.said:
            job.run()
        assert job.said["counts"] == whole.said["counts"] or not any(job.said["counts"].values())
        await job.agrees_with(whole)


@pytest.mark.parametrize("overlapping", [False, True], ids=["sequential", "overlapping"])
async def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path, *, overlapping: bool) -> None:
    """SIGKILL at random instants of its progress, some in the middle of a commit: the same bytes, the same sums."""
    sample = tmp_path / "sample.xml.gz"
    write_sample(sample, 400, seed=5, deletions=7, malformed=9)
    await kill_and_resume(
        Job(tmp_path / "whole", [str(sample)], 11, overlapping),
        lambda k: Job(tmp_path / f"job{k}", [str(sample)], 11, overlapping),
        KILLS // 2 if overlapping else KILLS,
        seed=2026,
    )


async def test_killed_runs_in_several_processes_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """With files parsed side by side the order is free; no document is lost and none is there twice."""
    files = [str(tmp_path / f"sample{k}.xml.gz") for k in range(3)]
    for k, file in enumerate(files):
        write_sample(file, 150, seed=k, malformed=3)
    await kill_and_resume(
        Job(tmp_path / "whole", files, 30, processes=2),
        lambda k: Job(tmp_path / f"job{k}", files, 30, processes=2),
        max(KILLS // 5, 1),
        seed=7,
    )


@pytest.mark.corpus
@pytest.mark.slow
async def test_a_killed_run_over_a_real_file(corpus: Path, tmp_path: Path) -> None:
    """The same with 30,000 citations of a real baseline file."""
    file = str(corpus / "pubmed" / "pubmed20n0014.xml.gz")
    await kill_and_resume(
        Job(tmp_path / "whole", [file], 1000),
        lambda k: Job(tmp_path / f"job{k}", [file], 1000),
        max(KILLS // 4, 1),
        seed=14,
    )
