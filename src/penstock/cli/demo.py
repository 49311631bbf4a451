"""``penstock demo``: sample data of our own, ingested before your eyes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from penstock.cli.exits import INTERRUPTED
from penstock.cli.ingest import ingest
from penstock.cli.job import Job, default_ledger, program
from penstock.cli.outputs import shown
from penstock.cli.text import clean, count, put, shell_command

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FOLDER", "RECORDS", "run_demo"]

RECORDS: Final = 30_000
"""As many as a real baseline file has."""

FOLDER: Final = "demo-output"


def run_demo(folder: Path, *, records: int, restart: bool, progress: bool, debug: bool) -> int:
    """Make the sample if it is not there yet, ingest it, and say what to try next."""
    sample = folder / f"sample-{records}.xml.gz"
    job = _job(sample, records, restart=restart, progress=progress, debug=debug)
    if not sample.exists():
        try:
            put(sys.stderr, f"penstock: making up {count(records)} records in {clean(str(sample))}")
            make_sample(sample, records)
        except KeyboardInterrupt:
            kept = "interrupted while making up records, none are kept"
            put(sys.stderr, f"penstock: {kept}; again: {job.command()}")
            return INTERRUPTED
    code = ingest(job)
    put(sys.stdout, "", *_next(job, interrupted=code == INTERRUPTED))
    return code


def make_sample(sample: Path, records: int) -> None:
    """Write the sample under another name first: killed in the middle, it is not mistaken for whole."""
    from penstock.adapters.pubmed.sample import write_sample

    sample.parent.mkdir(parents=True, exist_ok=True)
    half = sample.with_name(f".{os.getpid()}-{sample.name}")
    try:
        write_sample(half, records)
        half.replace(sample)
    finally:
        half.unlink(missing_ok=True)


def _job(sample: Path, records: int, *, restart: bool, progress: bool, debug: bool) -> Job:
    output = sample.with_name(f"sample-{records}.jsonl")
    return Job(
        adapter="pubmed",
        files=(str(sample),),
        to=output,
        ledger=default_ledger(output),
        progress=progress,
        restart=restart,
        debug=debug,
        asked=("demo", *_options(records, sample.parent), *_flags(progress=progress, debug=debug)),
    )


def _options(records: int, folder: Path) -> list[str]:
    """Return the options that say so, without those that go without saying."""
    options = [] if records == RECORDS else ["--records", str(records)]
    return options if str(folder) == FOLDER else [*options, "--folder", str(folder)]


def _flags(*, progress: bool, debug: bool) -> list[str]:
    return [*([] if progress else ["--no-progress"]), *(["--debug"] if debug else [])]


def _next(job: Job, *, interrupted: bool) -> list[str]:
    """Return what to try, shell-quoted."""
    output = shown(job.to)
    lines = ["Try next:"]
    if interrupted:
        lines.append(f"  go on where it stopped        {job.command()}")
    else:
        lines.append(f"  once more: nothing to do      {job.command()}")
        lines.append(f"  from the start, to kill it    {job.command(restart=True)}")
        lines.append(
            "    in the middle: Ctrl-C, or kill -9 from another terminal; then the first command again"
        )
    lines.append(f"  where it stands               {job.status_command()}")
    lines.append(f"  the first document            {shell_command(['head', '-n', '1', output])}")
    lines.append(f"  the same bytes every time     {shell_command(['sha256sum', output])}")
    lines.append(
        f"  files of your own             {shell_command(program())} ingest pubmed FILES --to out.jsonl"
    )
    return lines
