"""Runs one way to turn a PubMed file into JSON Lines, in a separate process; prints its cost as JSON.

    python benchmarks/pubmed_ways.py WAY OUTPUT FILE...

Imports are done before the clock starts. ``cpu`` is the processor time of all threads, ``peak`` the most resident
memory, in bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def plain(output: Path, files: list[str]) -> Callable[[], int]:
    """Return a plain loop around the same reader, splitter, parser and JSON writer."""
    from penstock.adapters.pubmed.parse import parse_record
    from penstock.adapters.pubmed.source import PUBMED_ROOTS, deletions_of
    from penstock.adapters.xml_files.reader import ByteReader
    from penstock.adapters.xml_files.splitter import RecordSplitter
    from penstock.sinks.files.lines import encode_lines

    def run() -> int:
        done = 0
        with output.open("wb") as lines:
            for file in files:
                splitter = RecordSplitter(PUBMED_ROOTS)
                with ByteReader(file) as reader:
                    while data := reader.read():
                        documents = [
                            parse_record(part.data)
                            for piece in splitter.feed(data)
                            for part in deletions_of(piece)
                        ]
                        lines.write(encode_lines(documents))
                        done += len(documents)
                splitter.close()
            lines.flush()
            os.fsync(lines.fileno())
        return done

    return run


def pipeline(output: Path, files: list[str]) -> Callable[[], int]:
    """Return the standard run: ledger, checkpoints every 1000 documents, progress every 100."""
    from penstock import IngestionPipeline
    from penstock.adapters import pubmed

    def run() -> int:
        ingestion = IngestionPipeline(pubmed(*files, processes=1), ledger=output.with_suffix(".db"))
        return asyncio.run(ingestion.run(output)).counts["completed"]

    return run


def command(output: Path, files: list[str]) -> Callable[[], int]:
    """Return a run of the command line that parses in its own process."""
    import penstock.cli.ingest
    from penstock.cli.main import main

    del penstock

    def run() -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            code = main(
                ["ingest", "pubmed", *files, "--to", str(output), "--no-progress", "--processes", "1"]
            )
        assert code == 0, f"the command ended with {code}"
        return 0

    return run


def theirs(output: Path, files: list[str], **flags: bool) -> Callable[[], int]:
    """Return a run of pubmed_parser, which writes nothing."""
    import pubmed_parser

    del output

    def run() -> int:
        return sum(1 for file in files for _ in pubmed_parser.parse_medline_xml(file, **flags))

    return run


def theirs_in_detail(output: Path, files: list[str]) -> Callable[[], int]:
    """Return a run of pubmed_parser with the flags for details; our documents still hold more."""
    return theirs(
        output,
        files,
        year_info_only=False,
        author_list=True,
        reference_list=True,
        parse_downto_mesh_subterms=True,
    )


WAYS = {
    "plain": plain,
    "pipeline": pipeline,
    "command": command,
    "pubmed_parser": theirs,
    "pubmed_parser in detail": theirs_in_detail,
}


def lines_of(path: Path) -> int:
    """Return how many documents an output holds."""
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def digest(path: Path) -> str | None:
    """Return a checksum of the output, if there is one."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    way, output, files = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    run = WAYS[way](output, files)
    from penstock.cli.resources import peak_memory

    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    done = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    done = done or lines_of(output)
    found = {
        "done": done, "wall": wall, "cpu": cpu, "peak": peak_memory().own, "digest": digest(output),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
