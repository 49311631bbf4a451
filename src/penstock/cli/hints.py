"""What to do after an error that ended a run: the command that works, and the change to make before it.

The command that was just refused is never printed alone: it is changed, or the words before it say what else
must change first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from penstock.errors import (
    DocumentError,
    LedgerBusy,
    LedgerError,
    SinkError,
    SinkMismatch,
    SourceChanged,
    SourceError,
    WorkerDied,
)

if TYPE_CHECKING:
    from penstock.cli.job import Job

_BEFORE: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (SinkMismatch, "when the output is back as it was, to continue"),
    (SinkError, "when the output can be written again, to continue"),
    (LedgerBusy, "when no other run uses the ledger, to continue"),
    (LedgerError, "when the ledger can be used again, to continue"),
    (SourceError, "when the input can be read again, to continue"),
    (WorkerDied, "when nothing ends its workers, to continue"),
    (MemoryError, "when more memory is free, to continue"),
    (BaseException, "when the cause is removed, to continue"),
)
"""What must change before the same command works, for each class of errors; the first that fits counts."""


def hints_after(error: BaseException, job: Job, *, begun: bool) -> list[str]:
    """Return what to do after ``error`` ended ``job``, in lines to print.

    A run that ended before it took a document has only the hint of a changed input: the message of its error
    says what to change, and nothing is there to continue.

    Args:
        error: What ended the run.
        job: The run.
        begun: Whether it took documents.
    """
    if isinstance(error, SourceChanged):
        return [_with_changed_inputs(job)]
    if not begun:
        return []
    if isinstance(error, DocumentError) and job.options.fail_fast:
        return [f"to go on with the documents behind it: {job.command(fail_fast=False)}"]
    if isinstance(error, SourceError) and not isinstance(error.__cause__, OSError):
        return _with_a_bad_input(job)
    words = next(words for kind, words in _BEFORE if isinstance(error, kind))
    return [f"{words}: {job.command()}"]


def _with_changed_inputs(job: Job) -> str:
    if not job.refreshable or job.options.refresh:  # the demo has no --refresh
        return f"to begin anew with the files of today: {job.command(restart=True)}"
    return f"to read what has changed: {job.command(refresh=True)}"


def _with_a_bad_input(job: Job) -> list[str]:
    """A file that was fetched again has changed, so only a refresh reads it."""
    if not job.refreshable:
        return [f"when the input is mended, to begin anew: {job.command(restart=True)}"]
    lines = [f"when the input is mended, to continue: {job.command(refresh=True)}"]
    if getattr(job.settings, "on_bad_file", "skip") != "skip":
        skipping = replace(job, settings=job.settings.model_copy(update={"on_bad_file": "skip"}))
        command = skipping.command(added="--on-bad-file skip")
        lines.append(f"to continue without what cannot be read: {command}")
    return lines
