"""What a run says at its end: what it did, what it cost, where things are, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cli.exits import ALL_COMPLETED, DOCUMENTS_FAILED, INCOMPLETE, INTERRUPTED
from penstock.cli.job import shown_place
from penstock.cli.outputs import file_of, shown
from penstock.cli.text import clean, count, duration, size

if TYPE_CHECKING:
    from penstock.cli.job import Job
    from penstock.cli.outputs import Output
    from penstock.cli.resources import Peak
    from penstock.pipeline import RunSummary

__all__ = ["STATES", "exit_code", "receipt", "went"]

STATES = ("completed", "failed", "skipped", "deleted")
"""The states of a receipt, in its order; ``started`` is their sum and would only need explaining."""

FRESHNESS = ("new", "changed", "unchanged")
"""How documents stand to earlier runs: of those completed the first two, of those skipped the last."""


def exit_code(summary: RunSummary) -> int:
    """Return 0 for all completed, 1 if some failed, 3 if their number is wrong, 130 if it was interrupted."""
    if summary.state == "cancelled":
        return INTERRUPTED
    if summary.warning is not None:
        return INCOMPLETE
    if summary.nothing_to_do:
        return ALL_COMPLETED
    return DOCUMENTS_FAILED if summary.counts.get("failed", 0) else ALL_COMPLETED


def went(summary: RunSummary) -> int:
    """Return how many documents went through in this process: completed and failed ones."""
    return summary.session.get("completed", 0) + summary.session.get("failed", 0)


def receipt(summary: RunSummary, job: Job, peak: Peak) -> list[str]:
    """Return the receipt, one line each, safe to print on a terminal."""
    return [_headline(summary, job), "", *_body(summary, job, peak), "", *_next(summary, job)]


def _headline(summary: RunSummary, job: Job) -> str:
    if summary.nothing_to_do and summary.warning is None:
        why = f"{clean(', '.join(map(shown, job.outputs)))} already holds all that these inputs have to give"
        if summary.limited and job.limit is not None:
            why = f"the limit of {count(job.limit)} was reached before"
        return f"penstock: nothing to do: {why}"
    word = {"completed": "completed", "cancelled": "interrupted"}.get(summary.state, clean(summary.state))
    if summary.limited:
        word = "stopped at the limit"
    documents = went(summary)
    line = f"penstock: {word}, {count(documents)} {'document' if documents == 1 else 'documents'}"
    line += f" in {duration(summary.duration)}"
    if documents and summary.duration > 0:
        line += f", {count(documents / summary.duration)} docs/s"
    return line


def _body(summary: RunSummary, job: Job, peak: Peak) -> list[str]:
    return [
        *([f"  {'warning':<10}{clean(summary.warning)}", ""] if summary.warning else []),
        *([] if summary.nothing_to_do else _table(summary)),
        *_costs(summary, peak),
        *(f"  {'output':<10}{clean(shown(output))}{_of(_bytes_of(output))}" for output in job.outputs),
        f"  {'ledger':<10}{clean(shown_place(job.ledger))}",
    ]


def _table(summary: RunSummary) -> list[str]:
    """Return the counts per state; with a second column where an earlier process did a part of the run."""
    head = f"  {'':<10}{'this time':>12}{'whole run':>12}"
    lines = [head] if summary.resumed else []
    for state in STATES:
        line = f"  {state:<10}{count(summary.session.get(state, 0)):>12}"
        lines.append(line + f"{count(summary.counts.get(state, 0)):>12}" if summary.resumed else line)
    if any(summary.counts.get(state) for state in ("changed", "unchanged")):
        for state in FRESHNESS:
            line = f"    {state:<10}{count(summary.session.get(state, 0)):>10}"
            lines.append(line + f"{count(summary.counts.get(state, 0)):>12}" if summary.resumed else line)
    retried = summary.session.get("retried", 0)
    if retried:
        lines.append(f"  {'retried':<10}{count(retried):>12}")
    return [*lines, ""]


def _costs(summary: RunSummary, peak: Peak) -> list[str]:
    lines = [] if summary.nothing_to_do else [f"  {'read':<10}{size(summary.bytes_read)} of records"]
    if peak.own is not None:
        worker = f", largest worker {size(peak.worker)}" if peak.worker else ""
        lines.append(f"  {'memory':<10}{size(peak.own)} at the peak{worker}")
    return lines


def _bytes_of(output: Output) -> int | None:
    path = file_of(output)
    try:
        if path is not None and path.is_dir():
            return sum(part.stat().st_size for part in path.iterdir() if part.is_file())
        return None if path is None else path.stat().st_size
    except OSError:
        return None


def _of(number: int | None) -> str:
    return "" if number is None else f" ({size(number)})"


def _next(summary: RunSummary, job: Job) -> list[str]:
    """Return how to go on: resume, look at what failed, take what is new, or do it all again."""
    if summary.state == "cancelled":
        return [_how("to resume", job.command())]
    lines = []
    if summary.counts.get("failed", 0):
        lines.append(_how("what failed", job.dead_command("list")))
        lines.append(_how("try again", job.dead_command("replay")))
    if job.limit is not None:
        lines.append(_how("go on", job.command(limited=False)))
    else:
        what = "new files" if job.asked is None else "once more"  # the demo takes no files
        lines.append(_how(what, job.command(refresh=False)))
    if job.refresh:
        lines.append(_how("changed ones", job.command()))
    lines.append(_how("replay all", job.command(restart=True)))
    return lines


def _how(what: str, command: str) -> str:
    return f"  {what + ':':<14}{command}"
