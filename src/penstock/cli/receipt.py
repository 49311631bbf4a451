"""The receipt at the end of a run: its counts, its costs, its outputs, and the commands that continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cli.exits import ALL_COMPLETED, DOCUMENTS_FAILED, INCOMPLETE, INTERRUPTED
from penstock.cli.text import clean, count, duration, plural, size
from penstock.pipeline_file.places import STDOUT, file_of, shown, shown_place

if TYPE_CHECKING:
    from penstock.cli.job import Job
    from penstock.cli.resources import Peak
    from penstock.pipeline import RunSummary
    from penstock.pipeline_file.places import Output

STATES = ("completed", "failed", "skipped", "deleted")
"""The states that are shown, in this order. ``started`` is their sum and is left out."""

_FRESHNESS = ("new", "changed", "unchanged")
"""Documents compared with earlier runs: new and changed ones were completed, unchanged ones skipped."""


_AGAIN = (
    "a run that is interrupted begins anew; --ledger FILE lets it resume, and keeps what failed",
    "after an interruption, documents since the last commit come again",
)
"""What comes twice, without and with a ledger."""


def exit_code(summary: RunSummary) -> int:
    """Return 0 if all completed, 1 if some failed, 3 if their number is wrong, 130 if interrupted."""
    if summary.state == "cancelled":
        return INTERRUPTED
    if summary.warning is not None:
        return INCOMPLETE
    if summary.nothing_to_do:
        return ALL_COMPLETED
    return DOCUMENTS_FAILED if summary.counts.get("failed", 0) else ALL_COMPLETED


def receipt(summary: RunSummary, job: Job, peak: Peak) -> list[str]:
    """Return the lines of the receipt, safe to print on a terminal."""
    return [_headline(summary, job), "", *_body(summary, job, peak), "", *_next(summary, job)]


def quiet_receipt(summary: RunSummary, job: Job) -> list[str]:
    """Return what ``--quiet`` leaves: a warning, failed documents, and how to resume an interrupted run."""
    lines = [f"penstock: warning: {clean(summary.warning)}"] if summary.warning else []
    if summary.state == "cancelled":
        lines.append(f"penstock: interrupted; to resume: {job.command()}")
    elif failed := 0 if summary.nothing_to_do else summary.counts.get("failed", 0):
        hint = "" if job.ledger is None else f"; to list them: {job.list_command()}"
        lines.append(f"penstock: {plural(failed, 'document')} failed{hint}")
    return lines


def _headline(summary: RunSummary, job: Job) -> str:
    if summary.nothing_to_do and summary.warning is None:
        names = ", ".join(map(_name_of, job.outputs)) or clean(summary.sink or "the output")
        reason = f"{names} already has all documents of these inputs"
        if job.is_query:
            reason = f"{names} has all documents of this query; --refresh takes what is new since then"
        if summary.limited and job.options.limit is not None:
            reason = f"an earlier run reached the limit of {count(job.options.limit)}"
        return f"penstock: nothing to do: {reason}"
    word = {"completed": "completed", "cancelled": "interrupted"}.get(summary.state, clean(summary.state))
    if summary.limited:
        word = "stopped at the limit"
    documents = summary.session.get("completed", 0) + summary.session.get("failed", 0)
    line = f"penstock: {word}, {plural(documents, 'document')} in {duration(summary.duration)}"
    if documents and summary.duration > 0:
        line += f", {count(documents / summary.duration)} docs/s"
    return line


def _body(summary: RunSummary, job: Job, peak: Peak) -> list[str]:
    lines = []
    if summary.warning:
        lines += [_fact("warning", clean(summary.warning)), ""]
    if not summary.nothing_to_do:
        lines += [*_table(summary), _fact("read", f"{size(summary.bytes_read)} of records")]
    if peak.own is not None:
        worker = f", largest worker {size(peak.worker)}" if peak.worker else ""
        lines.append(_fact("memory", f"{size(peak.own)} at the peak{worker}"))
    if _before_restart(summary, job):
        lines.append(_fact("restart", "not begun: no record came; what it would have emptied is unchanged"))
    lines += [_fact("output", _name_of(output) + _size_of(output)) for output in job.outputs]
    if not job.outputs and summary.sink is not None:  # a sink of the user's own
        lines.append(_fact("output", clean(summary.sink)))
    lines.append(_fact("ledger", clean(shown_place(job.ledger))))
    if STDOUT in job.outputs:
        lines.append(_fact("delivery", f"at least once into stdout: {_AGAIN[job.ledger is not None]}"))
    return lines


def _fact(name: str, value: str) -> str:
    return f"  {name:<10}{value}"


def _table(summary: RunSummary) -> list[str]:
    """Return the counts per state. A resumed run has two columns: this process, and the whole run."""
    columns = [summary.session, summary.counts] if summary.resumed else [summary.session]

    def row(state: str, indent: str = "  ") -> str:
        numbers = "".join(f"{count(column.get(state, 0)):>12}" for column in columns)
        return f"{indent}{state:<10}{numbers[len(indent) - 2 :]}"

    lines = [f"  {'':<10}{'this time':>12}{'whole run':>12}"] if summary.resumed else []
    lines += [row(state) for state in STATES]
    if any(summary.counts.get(state) for state in ("changed", "unchanged")):
        lines += [row(state, indent="    ") for state in _FRESHNESS]
    if retried := summary.session.get("retried", 0):
        lines.append(_fact("retried", f"{count(retried):>12}"))
    return [*lines, ""]


def _name_of(output: Output) -> str:
    return "stdout" if output == STDOUT else clean(shown(output))


def _size_of(output: Output) -> str:
    path = file_of(output)
    if path is None:
        return ""
    try:
        parts = [part for part in path.iterdir() if part.is_file()] if path.is_dir() else [path]
        return f" ({size(sum(part.stat().st_size for part in parts))})"
    except OSError:
        return ""


def _next(summary: RunSummary, job: Job) -> list[str]:
    """Return the commands that resume, show what failed, take new documents, or start over."""
    if job.ledger is None:
        return [_how("once more", job.command())]
    if summary.state == "cancelled":
        return [_how("to resume", job.command(restart=_before_restart(summary, job)))]
    lines = []
    if summary.counts.get("failed", 0):
        lines.append(_how("what failed", job.list_command()))
        lines.append(_how("try again", job.replay_command()))
    if job.options.limit is not None:
        lines.append(_how("continue", job.command(limited=False)))
    elif job.is_query:
        lines.append(_how("what is new", job.command(refresh=True)))
    else:
        what = "new files" if job.refreshable else "once more"  # the demo takes no files
        lines.append(_how(what, job.command(refresh=False)))
    if job.options.refresh and not job.is_query:
        lines.append(_how("changed files", job.command()))
    lines.append(_how("start over", job.command(restart=True)))
    return lines


def _before_restart(summary: RunSummary, job: Job) -> bool:
    """Whether a restart ended before its first record, which begins it."""
    return job.options.restart and not any(summary.session.values())


def _how(what: str, command: str) -> str:
    return f"  {what + ':':<15}{command}"
