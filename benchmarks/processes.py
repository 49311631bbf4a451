"""`penstock ingest` with two processes that parse, compared with one process that does everything.

The whole command, by wall time, so measure it on two quiet processors. Processor time is that of the main process and of
the others, their start included. Both ways must write the same bytes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import Row, Samples, at_least, at_most, in_turn
from memory import row as memory_row
from pubmed import run_way, source_file

from penstock.adapters.pubmed.sample import write_sample

TITLE = "Two processes against one: `penstock ingest pubmed` to JSON Lines, per citation"
ROUNDS = 3
WAYS = ("command", "two processes")
RECORDS = 20_000
WORKER = 60e6


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
    found = {way: Samples() for way in WAYS}
    digests, workers, parents = set[str](), list[float](), list[float]()
    for n in range(ROUNDS):
        for way in in_turn(WAYS, n):
            ran = run_way(way, folder, file)
            found[way].wall.append(ran["wall"] / ran["done"])
            found[way].cpu.append((ran["cpu"] + ran["children"]) / ran["done"])
            digests.add(ran["digest"])
            if way == "two processes":
                workers.append(ran["worker"])
                parents.append(ran["cpu"] / (ran["cpu"] + ran["children"]))
    assert len(digests) == 1, "the number of processes changed the output"
    two, one = "two processes", "command"
    share = f"the main process does {max(parents):.0%} of the work"
    return [
        at_least(f"{what}, two processes by one", found, two, one, 1.8),
        at_most(f"{what}, all processor time; {share}", found, two, one, None, by_cpu=True),
        memory_row(f"{what}, the largest worker, in MB", max(workers), workers, WORKER),
    ]
