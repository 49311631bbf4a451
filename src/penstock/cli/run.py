"""``penstock run``: runs the pipeline of a file, or one that a module has."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyclopts import Parameter

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.file_job import FileJob
from penstock.cli.job import UsageProblem
from penstock.cli.options import AtLeastOne, Debug, Flag, Outputs, Progress, Quiet, Sets
from penstock.cli.text import clean, clean_lines, count, put
from penstock.pipeline_file import is_import_path, load, pipeline_object
from penstock.pipeline_file.places import shown, shown_place

if TYPE_CHECKING:
    from penstock.cli.job import Job


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How ``penstock run`` runs. The docstring of a field is its help text, and stays on one line."""

    limit: AtLeastOne | None = None
    """Stop after this many documents."""
    restart: Flag = False
    """Forget the state, empty the output and start from the beginning."""
    refresh: Flag = False
    """Read all inputs again from the beginning. Take documents that are new or have changed."""
    progress: Progress = True
    quiet: Quiet = False
    events: Flag = False
    """Print every event as a line of JSON on stdout. The receipt then goes to stderr."""
    debug: Debug = False


def run(
    pipeline: str,
    /,
    *,
    to: Outputs | None = None,
    sets: Sets = None,
    dry_run: Flag = False,
    explain: Flag = False,
    options: FileOptions = FileOptions(),
) -> int:
    """Run a pipeline, and return the exit code.

    Args:
        pipeline: A pipeline file, or MODULE:OBJECT: a pipeline in a module of Python, here or installed.
        to: For MODULE:OBJECT: where to write. Repeat it for more outputs.
        dry_run: Check everything that can be checked without opening an output, and stop.
        explain: Describe what happens to each document, and stop.

    Raises:
        PipelineFileError: the file has mistakes.
        GraphError: MODULE:OBJECT cannot be imported, or is no pipeline.
    """
    from penstock.cli.ingest import ingest

    job = _job(pipeline, tuple(to or ()), tuple(sets or ()), options)
    if not (dry_run or explain):
        return ingest(job)
    job.check()
    checked = _checked(pipeline, job) if dry_run else []
    if explain:
        put(sys.stdout, *clean_lines(job.pipeline(()).explain(job.sink())))
    put(sys.stdout, *checked)
    return ALL_COMPLETED


def _job(name: str, to: tuple[str, ...], sets: tuple[str, ...], options: FileOptions) -> Job:
    if is_import_path(name):
        if sets:
            raise UsageProblem(f"--set changes a pipeline file, and {name} is none: change it in Python")
        from penstock.cli.object_job import ObjectJob

        return ObjectJob.of(pipeline_object(name), to, options)
    if to:
        raise UsageProblem(f"--to belongs to MODULE:OBJECT: write --set to={to[0]}, or change 'to' in {name}")
    return FileJob.of(load(name, overrides=sets), sets, options)


def _checked(name: str, job: Job) -> list[str]:
    """Look at the inputs, and return what was found.

    Raises:
        SourceError: an input is missing.
    """
    source = job.source()
    source.check()
    inputs = len(source.inputs())
    facts = {
        "source": f"{source.name}, {count(inputs)} {'input' if inputs == 1 else 'inputs'}",
        "output": ", ".join(map(shown, job.outputs)) or job.sink().describe(),
        "ledger": shown_place(job.ledger),
    }
    return [
        f"penstock: {clean(name)} can run; nothing was opened",
        "",
        *(f"  {what:<10}{clean(value)}" for what, value in facts.items()),
    ]
