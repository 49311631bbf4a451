"""Memory of a run of 5,000,000 documents into each kind of output, ledger included: does it stay constant?

    python benchmarks/endless.py [--documents 5000000] [OUTPUT...]

Prints the resident memory (MB of 10^6 bytes) after every tenth of the run, and its growth since the second tenth, when
caches and pools are full. The cache of DuckDB is an exception: it grows up to the 512 MB that it is allowed and stays
there (with 64 MB it is constant after 1,000,000). Each output has a separate process. PostgreSQL is measured if
PENSTOCK_POSTGRES names a database to write to. The ledger is always SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from events import PAGE, Trivial
from expression import Ok
from harness import machine, say

from penstock import Document, IngestionPipeline, RawRecord
from penstock.abc import Page
from penstock.adapters import Adapter
from penstock.cli.resources import spare_the_collector
from penstock.events import BatchProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expression import Result

    from penstock.errors import DocumentError
    from penstock.events import PipelineEvent

OUTPUTS = {
    "jsonl": "{}/out.jsonl",
    "gz": "{}/out.jsonl.gz",
    "zst": "{}/out.jsonl.zst",
    "parquet": "{}/out/",
    "sqlite": "sqlite:///{}/out.db",
    "duckdb": "duckdb:///{}/out.duckdb",
    "postgres": "postgresql",
}
TENTHS = 10


class Different(Trivial):
    """Pages of a thousand records, all different."""

    def page(self, n: int) -> Page[RawRecord]:
        return Page([RawRecord(f"T:{n}:{at}", b"%d.%d" % (n, at)) for at in range(PAGE)], n + 1)

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        found = hashlib.sha256(raw.data).hexdigest()
        return Ok(Document(doc_id=raw.key, source="trivial", version="1", content_hash=found))


class Watch:
    """Prints the resident memory after every tenth of the run."""

    def __init__(self, documents: int) -> None:
        self._every = documents // TENTHS
        self._next = self._every
        self.resident: list[float] = []

    def __call__(self, events: Sequence[PipelineEvent]) -> None:
        for event in events:
            if isinstance(event, BatchProgress) and event.completed >= self._next:
                self._next += self._every
                self.resident.append(resident())
                say(f"  {event.completed:>10,} {self.resident[-1]:8.1f}")


def resident() -> float:
    """Return the resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def run_one(output: str, documents: int) -> None:
    """Run into one output and print the memory."""
    watch = Watch(documents)
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ["PENSTOCK_POSTGRES"] if output == "postgres" else OUTPUTS[output].format(folder)
        pipeline = IngestionPipeline(
            Adapter(Different(documents)),
            ledger=f"{folder}/ledger.db",
            progress_every=PAGE,
            hooks=[watch],
            restart=True,
        )
        spare_the_collector()
        receipt = asyncio.run(pipeline.run(url))
    assert receipt.counts["completed"] == documents, receipt
    say(f"  grew by {watch.resident[-1] - watch.resident[1]:.1f} MB since the second tenth")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help=f"some of: {', '.join(OUTPUTS)}")
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.outputs) - set(OUTPUTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(OUTPUTS)}")
    if given.child:
        run_one(given.outputs[0], given.documents)
        return
    say(machine())
    for output in given.outputs or OUTPUTS:
        if output == "postgres" and "PENSTOCK_POSTGRES" not in os.environ:
            continue
        say(f"\n{output}: documents, MB resident")
        sys.stdout.flush()
        command = [sys.executable, __file__, "--child", "--documents", str(given.documents), output]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
