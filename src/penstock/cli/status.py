"""``penstock status``: what a ledger knows, in words."""

from __future__ import annotations

import json
import os
import sys
import time
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.job import shown_place
from penstock.cli.outputs import LEDGER_SUFFIX, default_ledger, file_of, output_of, shown
from penstock.cli.receipt import STATES
from penstock.cli.text import clean, count, duration, put, shorten
from penstock.errors import LedgerError

if TYPE_CHECKING:
    from penstock.abc import DeadLetter
    from penstock.cli.job import Place
    from penstock.ledger import KeyStatus
    from penstock.ledger.history import RunRecord

__all__ = ["find_ledger", "show_status"]

_MAGIC = b"SQLite format 3\0"
_MARK, _OURS = slice(68, 72), b"PENS"
_DATABASE_NAMES = (LEDGER_SUFFIX, ".db", ".sqlite", ".sqlite3")
_LINE = 160
_SHOWN_RUNS = 10


def show_status(ledger_or_output: str | Path, *, failures: int) -> int:
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


def find_ledger(name: str | Path) -> Place:
    """Return the ledger that ``name`` is, or that ``ingest`` has put beside the output of that name.

    A file in which there are tables has a ledger for each: if it has only one, that is meant.

    Raises:
        LedgerError: it is not there, or there are several.
        GraphError: it is a URL of something else.
    """
    from penstock.ledger.postgres.text import is_postgres

    output = output_of(os.fspath(name))
    path, beside = file_of(output), default_ledger(output)
    if path is None:  # a server: of a ledger, or of a table whose ledger is here
        if beside.exists() or "table=" in str(output):
            return beside
        if not is_postgres(str(output)):
            raise LedgerError(
                f"no ledger is known for {clean(shown(output))}; name a file, or postgresql://..."
            )
        return str(output)
    if _is_ledger(path):
        return path
    if beside.exists():
        return beside
    others = sorted(path.parent.glob(f"{escape(path.name)}.*{LEDGER_SUFFIX}"))
    if len(others) == 1 and isinstance(output, Path):
        return others[0]
    if (
        isinstance(output, Path)
        and not others
        and (_is_database(path) or path.name.endswith(_DATABASE_NAMES))
    ):
        return path  # opening it will tell what is wrong with it
    raise LedgerError(_no_ledger(path, beside, others))


def _no_ledger(path: Path, beside: Path, others: list[Path]) -> str:
    where = f"neither {path} nor {beside} is there" if not path.exists() else f"{beside} is not there"
    if others:
        return f"which ledger is meant? {where}; name one of {', '.join(map(str, others))}"
    return f"no ledger to look at: {where}; name the ledger, or an output that has one beside it"


def _is_ledger(path: Path) -> bool:
    """Say whether ``path`` is a ledger, and not another file of SQLite, such as an output."""
    return _head(path)[_MARK] == _OURS and _is_database(path)


def _is_database(path: Path) -> bool:
    return _head(path).startswith(_MAGIC)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MARK.stop)
    except OSError:
        return b""


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
