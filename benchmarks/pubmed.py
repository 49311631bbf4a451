"""The PubMed run with ledger and checkpoints, compared with a plain loop of the same parts, and with pubmed_parser.

Every run is a separate process, and the ways take turns. The plain loop and the pipeline must write the same bytes.
pubmed_parser only reads: its results are counted and dropped, and it does not find book chapters, of which a generated
file has some. Judged is the processor time of all threads, because a run takes seconds, and other programs disturb the
wall time of that much work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import CORPUS_FILE, Row, Samples, at_least, at_most, in_turn

from penstock.adapters.pubmed.sample import write_sample

TITLE = "The PubMed run: 30,000 citations from pubmed20n0014.xml.gz to JSON Lines, per citation"
ROUNDS = 5
SAMPLE_RECORDS = 20_000
WAYS = ("plain", "pipeline", "command", "pubmed_parser", "pubmed_parser in detail")


def source_file(folder: Path) -> Path:
    """Return the file of the corpus, or a generated one if the corpus is absent."""
    if CORPUS_FILE.exists():
        return CORPUS_FILE
    made = folder / "sample.xml.gz"
    write_sample(made, SAMPLE_RECORDS)
    return made


def run_way(way: str, folder: Path, *files: Path) -> dict[str, Any]:
    """Run one way in a separate process, in an empty folder."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, str(Path(__file__).with_name("pubmed_ways.py")), way]
        command += [str(Path(work, "out.jsonl")), *map(str, files)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows() -> list[Row]:
    """Return the measured rows."""
    found = {way: Samples() for way in WAYS}
    digests: set[str] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = source_file(folder)
        for n in range(ROUNDS):
            for way in in_turn(WAYS, n):
                ran = run_way(way, folder, file)
                found[way].wall.append(ran["wall"] / ran["done"])
                found[way].cpu.append(ran["cpu"] / ran["done"])
                digests |= {ran["digest"]} - {None}
    assert len(digests) == 1, "the plain loop and the pipeline wrote different bytes"
    detail = "pubmed_parser in detail"
    return [
        at_most("the pipeline, by the plain loop", found, "pipeline", "plain", 1.10, by_cpu=True),
        at_most("penstock ingest, by the plain loop", found, "command", "plain", 1.10, by_cpu=True),
        at_least("penstock ingest, by pubmed_parser in detail", found, "command", detail, 2, by_cpu=True),
        at_least("the pipeline, by pubmed_parser in detail", found, "pipeline", detail, None, by_cpu=True),
        at_least("penstock ingest, by pubmed_parser", found, "command", "pubmed_parser", None, by_cpu=True),
    ]
