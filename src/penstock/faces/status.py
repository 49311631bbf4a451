"""``penstock status``: what a ledger knows, in words."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from penstock.errors import LedgerError
from penstock.faces.exits import ALL_COMPLETED
from penstock.faces.job import LEDGER_SUFFIX, default_ledger, shown_place
from penstock.faces.receipt import STATES
from penstock.faces.text import clean, count, duration, put, shorten

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.abc import DeadLetter
    from penstock.faces.job import Place
    from penstock.ledger import KeyStatus
    from penstock.ledger.history import RunRecord

__all__ = ["find_ledger", "show_status"]

_MAGIC = b"SQLite format 3\0"
_MARK, _OURS = slice(68, 72), b"PENS"
_DATABASE_NAMES = (LEDGER_SUFFIX, ".db", ".sqlite", ".sqlite3")
_LINE = 160
_SHOWN_RUNS = 10


def show_status(ledger_or_output: Place, *, failures: int) -> int:
    """Print where every key of a ledger stands, and return the exit code.

    Raises:
        LedgerError: there is no ledger there, or it cannot be read.
        LedgerCorrupt: it is damaged, or is no ledger.
    """
    from penstock.ledger import read_status
    from penstock.ledger.history import read_dead_letters, read_runs

    ledger = find_ledger(ledger_or_output)
    keys = read_status(ledger)
    lines = [f"ledger {clean(shown_place(ledger))}"]
    if not keys:
        lines.append("  nothing has run yet")
    for status in keys:
        runs = read_runs(ledger, status.key)
        letters = read_dead_letters(ledger, status.key, latest=failures)
        lines += ["", *_key(status), *_runs(runs, status), *_failed(letters, status.dead_letters)]
    put(sys.stdout, *lines)
    return ALL_COMPLETED


def find_ledger(path: Place) -> Place:
    """Return the ledger that ``path`` is, or that lies beside it."""
    if isinstance(path, str):
        return path
    beside = default_ledger(path)
    if _is_ledger(path, beside) or (path.name.endswith(_DATABASE_NAMES) and not beside.exists()):
        return path
    if not beside.exists():
        where = f"neither {path} nor {beside} is there" if not path.exists() else f"{beside} is not there"
        raise LedgerError(
            f"no ledger to look at: {where}; name the ledger, or an output that has one beside it"
        )
    return beside


def _is_ledger(path: Path, beside: Path) -> bool:
    """Say whether ``path`` is a ledger, and not an output in SQLite that has one beside it."""
    try:
        with path.open("rb") as file:
            head = file.read(_MARK.stop)
    except OSError:
        return False
    return head.startswith(_MAGIC) and (head[_MARK] == _OURS or not beside.exists())


def _key(status: KeyStatus) -> list[str]:
    """Return where one key stands."""
    held = f" by {clean(str(status.holder))}" if status.holder and status.state == "running" else ""
    lines = [f"{clean(status.key)}: run {status.run} {_state(status.state)}{held}"]
    lines += [f"  {state:<12}{count(status.counts.get(state, 0)):>12}" for state in STATES]
    if status.committed_at is None:
        return [*lines, "  nothing is committed yet"]
    ago = max(0.0, time.time() - status.committed_at)
    commits = "1 commit" if status.epoch == 1 else f"{count(status.epoch)} commits"
    lines.append(f"  {commits}, the last {_when(status.committed_at)} ({duration(ago)} ago)")
    lines.append("  position " + shorten(json.dumps(status.position), _LINE))
    if status.state == "interrupted":
        lines.append("  the command that began it goes on from there")
    return lines


def _runs(runs: list[RunRecord], status: KeyStatus) -> list[str]:
    """Return the earlier runs and this one, a line each."""
    hidden = len(runs) - _SHOWN_RUNS
    lines = ["  runs:" if hidden <= 0 else f"  runs, without the first {count(hidden)}:"]
    for run in runs[-_SHOWN_RUNS:]:
        state = status.state if run.run == status.run else run.state
        took = "" if run.ended_at is None else f", took {duration(max(0.0, run.ended_at - run.started_at))}"
        sums = ", ".join(f"{count(run.counts[s])} {s}" for s in STATES if run.counts.get(s))
        lines.append(
            f"    {run.run}  {_state(state)}, began {_when(run.started_at)}{took}{sums and ': ' + sums}"
        )
    return lines


def _failed(letters: list[DeadLetter], total: int) -> list[str]:
    """Return the dead letters, a line each."""
    if not total:
        return ["  no dead letters"]
    which = "" if len(letters) == total else f", the last {count(len(letters))}"
    lines = [f"  {count(total)} {'dead letter' if total == 1 else 'dead letters'}{which}:"]
    for letter in letters:
        who = f"{letter.doc_id} " if letter.doc_id else ""
        lines.append("    " + shorten(f"{who}({letter.key}): {letter.error}", _LINE))
    return lines


def _state(state: str) -> str:
    """Return a state in words; what the ledger takes for interrupted may have stopped at its limit."""
    return "not finished" if state == "interrupted" else clean(state)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
