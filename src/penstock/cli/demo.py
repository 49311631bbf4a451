"""``penstock demo``: generates a sample file and ingests it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from penstock.cli.exits import INTERRUPTED
from penstock.cli.ingest import ingest
from penstock.cli.job import Job, program
from penstock.cli.options import AtLeastOne, Debug, Flag, Progress, Quiet, RunOptions
from penstock.cli.text import clean, count, put, shell_command
from penstock.pipeline_file.places import default_ledger, shown

ADAPTER: Final = "pubmed"
"""The adapter that the demo demonstrates: the sample is in its format."""

RECORDS: Final = 30_000
"""As many as a real baseline file has."""

FOLDER: Final = Path("demo-output")


def demo(
    *,
    records: AtLeastOne = RECORDS,
    folder: Path = FOLDER,
    restart: Flag = False,
    progress: Progress = True,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Generate the sample unless it exists, ingest it, and print what to try next.

    Args:
        records: The number of records to generate.
        folder: Where to put the sample, the output and the ledger.
        restart: Start from the beginning.
    """
    sample = folder / f"sample-{records}.xml.gz"
    job = _job(sample, records, RunOptions(restart=restart, progress=progress, quiet=quiet, debug=debug))
    if not sample.exists():
        try:
            if not quiet:
                put(sys.stderr, f"penstock: generating {count(records)} records in {clean(str(sample))}")
            make_sample(sample, records)
        except KeyboardInterrupt:
            put(
                sys.stderr,
                "penstock: interrupted while generating the sample, which was removed; "
                f"to start again: {job.command()}",
            )
            return INTERRUPTED
    code = ingest(job)
    if not quiet:
        put(sys.stdout, "", *_next(job, interrupted=code == INTERRUPTED))
    return code


def make_sample(sample: Path, records: int) -> None:
    """Write the sample under another name and rename it: a sample is complete or not there at all."""
    from penstock.adapters.pubmed.sample import write_sample

    sample.parent.mkdir(parents=True, exist_ok=True)
    draft = sample.with_name(f".{os.getpid()}-{sample.name}")
    try:
        write_sample(draft, records)
        draft.replace(sample)
    finally:
        draft.unlink(missing_ok=True)


def _job(sample: Path, records: int, options: RunOptions) -> Job:
    from penstock.adapters import find_adapter

    adapter = find_adapter(ADAPTER)
    output = sample.with_name(f"sample-{records}.jsonl")
    repeat = ["demo"]
    if records != RECORDS:
        repeat += ["--records", str(records)]
    if sample.parent != FOLDER:
        repeat += ["--folder", str(sample.parent)]
    if not options.progress:
        repeat.append("--no-progress")
    if options.quiet:
        repeat.append("--quiet")
    if options.debug:
        repeat.append("--debug")
    return Job(
        adapter=adapter,
        files=(str(sample),),
        settings=adapter.settings(),
        options=options,
        to=output,
        ledger=default_ledger(output),
        repeat=tuple(repeat),
    )


def _next(job: Job, *, interrupted: bool) -> list[str]:
    """Return commands to try, quoted for a shell."""
    output = shown(job.to)
    if interrupted:
        lines = [_try("continue", job.command())]
    else:
        lines = [
            _try("repeat it: nothing to do", job.command()),
            _try("start over", job.command(restart=True)),
            "    kill it with Ctrl-C, or with kill -9 from another terminal; then repeat the first command",
        ]
    return [
        "Try next:",
        *lines,
        _try("show its state", job.status_command()),
        _try("show the first document", shell_command(["head", "-n", "1", output])),
        _try("compare the bytes of runs", shell_command(["sha256sum", output])),
        _try("ingest your own files", f"{shell_command(program())} ingest {ADAPTER} FILES --to out.jsonl"),
    ]


def _try(what: str, command: str) -> str:
    return f"  {what:<28}{command}"
