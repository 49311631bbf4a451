"""``penstock status``: shows what a ledger knows. Also finds the ledger that a word names."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.options import AtLeastOne, Debug, Json, LedgerOrOutput
from penstock.cli.receipt import STATES
from penstock.cli.text import clean, count, duration, folded, plural, put, shorten
from penstock.errors import LedgerError
from penstock.pipeline_file.places import (
    LEDGER_SUFFIX,
    default_ledger,
    file_of,
    output_of,
    shown,
    shown_place,
)
from penstock.redact import redact_json

if TYPE_CHECKING:
    from penstock.abc import DeadLetter
    from penstock.ledger import KeyStatus
    from penstock.ledger.history import RunRecord
    from penstock.pipeline_file.places import Place

LETTER_FIELDS = ("key", "doc_id", "adapter", "error_type", "error", "attempts", "timestamp")
"""What ``--json`` shows of a dead letter."""

_MAGIC = b"SQLite format 3\0"
_MARK, _OURS = slice(68, 72), b"PENS"
_DATABASE_NAMES = (LEDGER_SUFFIX, ".db", ".sqlite", ".sqlite3")
_LINE = 160
_SHOWN_RUNS = 10


def show_status(
    ledger_or_output: LedgerOrOutput,
    /,
    *,
    failures: AtLeastOne = 10,
    as_json: Json = False,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Print the state of every key of a ledger, and return the exit code.

    Args:
        failures: Show only the latest documents that failed, this many.

    Raises:
        LedgerError: there is no such ledger, or it cannot be read.
        LedgerCorrupt: it is damaged, or is not a ledger.
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
        if as_json:
            put(sys.stdout, _as_json(ledger, status, runs, letters))
        lines += ["", *_key(status), *_runs(runs, status), *_failed(letters, status.dead_letters)]
    if not as_json:
        put(sys.stdout, *folded(sys.stdout, lines, hang=4))
    return ALL_COMPLETED


def _as_json(ledger: Place, status: KeyStatus, runs: list[RunRecord], letters: list[DeadLetter]) -> str:
    """Return what is known about one key as one line. Times are Unix seconds."""
    facts = asdict(status)
    facts["commits"] = facts.pop("epoch")
    for name in ("record", "pending"):  # of use to the sink only
        del facts[name]
    failed = [{name: getattr(letter, name) for name in LETTER_FIELDS} for letter in letters]
    known = {"ledger": shown_place(ledger), **facts, "runs": [*map(asdict, runs)], "failures": failed}
    return json.dumps(redact_json(known))


def is_pipeline_file(word: str) -> bool:
    """Whether a word names a pipeline file, and no output or ledger."""
    return word.endswith(".toml") and Path(word).is_file()


def _ledger_of_file(file: str) -> Place:
    from penstock.pipeline_file import load

    place = load(file).ledger
    if place is None:
        raise LedgerError(f"the pipeline of {file} keeps no ledger")
    return place


def find_ledger(name: str | Path) -> Place:
    """Return the ledger ``name``, that of the pipeline file ``name``, or the one beside the output ``name``.

    A database file may have one ledger for each table; if there is only one, that is returned.

    Raises:
        LedgerError: there is no ledger, or there are several.
        GraphError: ``name`` is a URL that is neither.
    """
    return _ledger_of_file(str(name)) if is_pipeline_file(str(name)) else _ledger_named(name)


def _ledger_named(name: str | Path) -> Place:
    from penstock.ledger.postgres.text import is_postgres

    output = output_of(str(name))
    path, beside = file_of(output), default_ledger(output)
    if path is None:  # a server: it holds the ledger, or a table whose ledger is a local file
        if beside.exists() or "table=" in str(output):
            return beside
        if not is_postgres(str(output)):
            raise LedgerError(
                f"no ledger is known for {clean(shown(output))}; name a file, or postgresql://..."
            )
        return str(output)
    if _head(path)[_MARK] == _OURS and _is_database(path):
        return path
    if beside.exists():
        return beside
    others = sorted(path.parent.glob(f"{escape(path.name)}.*{LEDGER_SUFFIX}"))
    if isinstance(output, Path):
        if len(others) == 1:
            return others[0]
        if not others and (_is_database(path) or path.name.endswith(_DATABASE_NAMES)):
            return path  # the error comes from opening it, which says what is wrong
    raise LedgerError(_no_ledger(path, beside, others))


def _no_ledger(path: Path, beside: Path, others: list[Path]) -> str:
    missing = f"neither {path} nor {beside} exists" if not path.exists() else f"{beside} does not exist"
    if others:
        return f"{missing}; name one of these ledgers: {', '.join(map(str, others))}"
    return f"no ledger found: {missing}; name the ledger, or an output that has its ledger beside it"


def _is_database(path: Path) -> bool:
    """Whether ``path`` is a file of SQLite: a ledger, or an output."""
    return _head(path).startswith(_MAGIC)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MARK.stop)
    except OSError:
        return b""


def _key(status: KeyStatus) -> list[str]:
    """Return the state, the counts and the last commit of one key."""
    holder = f" by {clean(str(status.holder))}" if status.holder and status.state == "running" else ""
    lines = [f"{clean(status.key)}: run {status.run} {_state(status.state)}{holder}"]
    lines += [f"  {state:<12}{count(status.counts.get(state, 0)):>12}" for state in STATES]
    if status.committed_at is None:
        return [*lines, "  nothing is committed yet"]
    ago = max(0.0, time.time() - status.committed_at)
    commits = plural(status.epoch, "commit")
    lines.append(f"  {commits}, the last {local_time(status.committed_at)} ({duration(ago)} ago)")
    lines.append("  position " + shorten(json.dumps(status.position), _LINE))
    if status.state == "interrupted":
        lines.append("  to continue, repeat the command that started it, without --restart")
    return lines


def _runs(runs: list[RunRecord], status: KeyStatus) -> list[str]:
    """Return the latest runs, a line each."""
    hidden = len(runs) - _SHOWN_RUNS
    lines = ["  runs:" if hidden <= 0 else f"  the last {_SHOWN_RUNS} of {count(len(runs))} runs:"]
    for run in runs[-_SHOWN_RUNS:]:
        state = status.state if run.run == status.run else run.state
        took = "" if run.ended_at is None else f", took {duration(max(0.0, run.ended_at - run.started_at))}"
        counts = ", ".join(f"{count(run.counts[s])} {s}" for s in STATES if run.counts.get(s))
        lines.append(
            f"    {run.run}  {_state(state)}, began {local_time(run.started_at)}{took}"
            f"{counts and ': ' + counts}"
        )
    return lines


def _failed(letters: list[DeadLetter], total: int) -> list[str]:
    """Return the dead letters, a line each."""
    if not total:
        return ["  no dead letters"]
    which = "" if len(letters) == total else f", the last {count(len(letters))}"
    lines = [f"  {plural(total, 'dead letter')}{which}:"]
    for letter in letters:
        doc_id = f"{letter.doc_id} " if letter.doc_id else ""
        lines.append("    " + shorten(f"{doc_id}({letter.key}): {letter.error}", _LINE))
    return lines


def _state(state: str) -> str:
    """Return a state in words: an interrupted run may have stopped at its limit."""
    return "not finished" if state == "interrupted" else clean(state)


def local_time(moment: float) -> str:
    """Return a Unix time as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
