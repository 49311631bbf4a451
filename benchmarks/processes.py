"""`penstock ingest` with two processes that parse, compared with one process that does everything.

Each run is the whole command, its start included, with an output and a ledger. Both ways must write the same bytes. The
first row of a file compares wall time: measure it on two quiet processors. The second row says what two quiet processors
could give: the processor time of one process by half of that of the main process, of the one that forks and of the
workers. Its figures are the seconds of the one process, of the main process, and of all others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from harness import Row, Samples, at_least, in_turn
from memory import row as memory_row
from pubmed import source_file
from pubmed_ways import digest, lines_of

from penstock.adapters.pubmed.sample import write_sample

TITLE = "Two processes against one: `penstock ingest pubmed` to JSON Lines, per citation"
ROUNDS = 3
RECORDS = 15_000
WORKER = 60e6
GAIN = 1.8
ONE, TWO = "one process", "two processes"

SCRIPT = """
import json, resource, sys
from penstock_command import main
path = sys.argv.pop()
code = main()
own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
with open(path, "w") as file:
    json.dump({"own": own.ru_utime + own.ru_stime, "others": others.ru_utime + others.ru_stime}, file)
sys.exit(code)
"""


@dataclass(slots=True)
class Ran:
    """One run: seconds, the documents, a checksum of the output, and the most memory of a worker in bytes."""

    wall: float
    own: float
    others: float
    done: int
    digest: str | None
    worker: float


def rows() -> list[Row]:
    """Return the measured rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        modern = folder / "modern.xml.gz"
        write_sample(modern, RECORDS)
        return [
            *rows_of("a baseline file", folder, source_file(folder)),
            *rows_of("a generated modern file", folder, modern),
        ]


def rows_of(what: str, folder: Path, file: Path) -> list[Row]:
    """Return the rows of one file."""
    found: dict[str, list[Ran]] = {ONE: [], TWO: []}
    for n in range(ROUNDS):
        for way in in_turn((ONE, TWO), n):
            found[way].append(ingest(2 if way == TWO else 1, folder, file))
    assert len({ran.digest for runs in found.values() for ran in runs}) == 1, "the outputs differ"
    per_document = {
        way: Samples(
            [one.wall / one.done for one in runs], [(one.own + one.others) / one.done for one in runs]
        )
        for way, runs in found.items()
    }
    workers = [ran.worker for ran in found[TWO]]
    return [
        at_least(f"{what}, two processes by one", per_document, TWO, ONE, GAIN),
        _possible(f"{what}, what two processors could give", found),
        memory_row(f"{what}, the largest worker, in MB", max(workers), workers, WORKER),
    ]


def _possible(what: str, found: dict[str, list[Ran]]) -> Row:
    one = median(ran.own for ran in found[ONE])
    own, others = median(ran.own for ran in found[TWO]), median(ran.others for ran in found[TWO])
    gain = one / max(own, (own + others) / 2)
    return Row(what, f"{gain:.2f}", "", f"{one:.2f} {own:.2f} {others:.2f} s", "", None)


def ingest(processes: int, folder: Path, file: Path) -> Ran:
    """Run the command in an empty folder."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        output, usage = Path(work, "out.jsonl"), Path(work, "usage.json")
        command = [sys.executable, "-c", SCRIPT, "ingest", "pubmed", str(file), "--to", str(output)]
        command += ["--no-progress", "--processes", str(processes), str(usage)]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            worker = _largest_child(running)
        wall = time.perf_counter() - began
        assert running.returncode == 0, f"the command ended with {running.returncode}"
        seconds: dict[str, Any] = json.loads(usage.read_text())
        return Ran(wall, **seconds, done=lines_of(output), digest=digest(output), worker=worker)


def _largest_child(running: subprocess.Popen[bytes]) -> float:
    """Wait for the end, and return the most resident memory of a process that this one has started."""
    peaks = [0.0]
    while running.poll() is None:
        time.sleep(0.1)
        with suppress(psutil.Error, OSError, StopIteration):
            for child in psutil.Process(running.pid).children(recursive=True):
                lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
                peaks.append(1024 * int(next(one for one in lines if one.startswith("VmHWM")).split()[1]))
    return max(peaks)


if __name__ == "__main__":
    from harness import say, table

    say(table(TITLE, rows()))
