"""Peak memory of the PubMed run on the command line, and its growth with ten times the input.

Every run is a separate process. The peak is the most resident memory, interpreter and libraries included. The generated
300,000 records are one file. The ledger also has ten times as much to store.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import Row
from pubmed import run_way, source_file

from penstock.adapters.pubmed.sample import write_sample

TITLE = "Peak memory of `penstock ingest pubmed`, in MB (10^6 bytes)"
ALLOWED = 120e6
GROWTH = 5e6
RECORDS = 30_000
TIMES = 10
ROUNDS = 3


def rows() -> list[Row]:
    """Return the measured rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small.xml.gz", folder / "large.xml.gz"
        write_sample(small, RECORDS)
        write_sample(large, RECORDS * TIMES)
        real = peaks(folder, source_file(folder))
        once, tenfold = peaks(folder, small), peaks(folder, large)
    return [
        row("a baseline file", max(real), real, ALLOWED),
        row(f"{RECORDS:,} records", max(once), once, ALLOWED),
        row(f"{RECORDS * TIMES:,} records", max(tenfold), tenfold, ALLOWED),
        row(f"what {TIMES} times the records add", max(tenfold) - max(once), [], GROWTH),
    ]


def peaks(folder: Path, file: Path) -> list[float]:
    """Return the peak of each round."""
    return [run_way("command", folder, file)["peak"] for _ in range(ROUNDS)]


def row(what: str, ours: float, each: list[float], limit: float) -> Row:
    """Return a row that compares the worst round with the limit."""
    return Row(what, mb(ours), "", " ".join(map(mb, each)), f"≤ {mb(limit)}", ours <= limit)


def mb(size: float) -> str:
    """Return bytes as text with a unit."""
    return f"{size / 1e6:.1f}"
