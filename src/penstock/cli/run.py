"""``penstock run``: runs the pipeline of a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyclopts import Parameter

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.file_job import FileJob
from penstock.cli.options import AtLeastOne, Debug, Flag, Progress, Sets
from penstock.cli.text import clean, clean_lines, count, put
from penstock.pipeline_file import load
from penstock.pipeline_file.places import shown, shown_place

if TYPE_CHECKING:
    from penstock.pipeline_file import PipelineFile


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
    events: Flag = False
    """Print every event as a line of JSON on stdout. The receipt then goes to stderr."""
    debug: Debug = False


def run(
    file: str,
    /,
    *,
    sets: Sets = None,
    dry_run: Flag = False,
    explain: Flag = False,
    options: FileOptions = FileOptions(),
) -> int:
    """Run the pipeline of a file, and return the exit code.

    Args:
        file: A pipeline file (TOML).
        dry_run: Check everything that can be checked without opening an output, and stop.
        explain: Describe what happens to each document, and stop.

    Raises:
        PipelineFileError: the file has mistakes.
    """
    from penstock.cli.ingest import ingest

    loaded = load(file, overrides=tuple(sets or ()))
    job = FileJob.of(loaded, tuple(sets or ()), options)
    if not (dry_run or explain):
        return ingest(job)
    job.check()
    pipeline, sink = job.built()
    checked = _checked(loaded) if dry_run else []
    if explain:
        put(sys.stdout, *clean_lines(pipeline.explain(sink)))
    put(sys.stdout, *checked)
    return ALL_COMPLETED


def _checked(file: PipelineFile) -> list[str]:
    """Look at the inputs, and return what was found.

    Raises:
        SourceError: an input is missing.
    """
    source = file.adapter.build(file.inputs, file.settings).source
    source.check()
    inputs = len(source.inputs())
    facts = {
        "source": f"{file.adapter.name}, {count(inputs)} {'input' if inputs == 1 else 'inputs'}",
        "output": ", ".join(map(shown, file.outputs)),
        "ledger": shown_place(file.ledger),
    }
    return [
        f"penstock: {clean(str(file.path))} can run; nothing was opened",
        "",
        *(f"  {name:<10}{clean(value)}" for name, value in facts.items()),
    ]
