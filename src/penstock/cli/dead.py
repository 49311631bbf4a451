"""``penstock dead``: the documents that failed for good, to look at, to try again, to drop."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.exits import ALL_COMPLETED, DOCUMENTS_FAILED
from penstock.cli.job import LEDGER_SUFFIX, UsageProblem, default_ledger, program, shown_place
from penstock.cli.outputs import shown
from penstock.cli.status import find_ledger
from penstock.cli.text import clean, count, put, shell_command, shorten, size
from penstock.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import DeadLetter
    from penstock.adapters import Adapter
    from penstock.cli.job import Place
    from penstock.cli.outputs import Output

__all__ = ["drop_letters", "list_letters", "replay_letters", "show_letter"]

_LINE = 160


def key_of(ledger: Place, wanted: str | None) -> str:
    """Return the key of the ledger that is meant: the one asked for, or the only one.

    Raises:
        UsageProblem: there are several, or not that one; the message names those that there are.
    """
    from penstock.ledger import read_status

    known = [status.key for status in read_status(ledger)]
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted in known:
        return str(wanted)
    names = ", ".join(known) or "none: nothing has run yet"
    raise UsageProblem(f"which ingestion is meant? {shown_place(ledger)} has {names}; name one with --key")


def list_letters(place: str, *, key: str | None, latest: int, as_json: bool) -> int:
    """Print the dead letters, the oldest first, one line each."""
    from penstock.ledger.history import read_dead_letters

    ledger = find_ledger(place)
    name = key_of(ledger, key)
    letters = read_dead_letters(ledger, name, latest=latest)
    if as_json:
        put(sys.stdout, *(json.dumps(_as_json(letter)) for letter in letters))
        return ALL_COMPLETED
    if not letters:
        put(sys.stdout, f"{clean(name)}: no dead letters")
        return ALL_COMPLETED
    put(sys.stdout, *(_line(letter) for letter in letters))
    return ALL_COMPLETED


def _line(letter: DeadLetter) -> str:
    who = f" {letter.doc_id}" if letter.doc_id else ""
    return shorten(clean(f"{letter.key}{who}: {letter.error_type}: {letter.error}"), _LINE)


def _as_json(letter: DeadLetter) -> dict[str, object]:
    return {
        "key": letter.key,
        "doc_id": letter.doc_id,
        "adapter": letter.adapter,
        "error_type": letter.error_type,
        "error": letter.error,
        "attempts": letter.attempts,
        "timestamp": letter.timestamp,
        "bytes": len(letter.raw),
    }


def show_letter(place: str, record: str, *, key: str | None, raw: bool) -> int:
    """Print one letter with its traceback and its bytes, or only the bytes as they are.

    Raises:
        LedgerError: there is no letter of that record.
    """
    letter = _find(place, record, key)
    if raw:
        sys.stdout.buffer.write(letter.raw)
        sys.stdout.buffer.flush()
        return ALL_COMPLETED
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(letter.timestamp))
    tries = "attempt" if letter.attempts == 1 else "attempts"
    facts = {
        "record": letter.key,
        "document": letter.doc_id or "without an id",
        "adapter": letter.adapter,
        "failed": f"{when}, after {letter.attempts} {tries}",
        "error": f"{letter.error_type}: {letter.error}",
        "context": json.dumps(letter.context),
    }
    trace = ["", *letter.traceback.rstrip().splitlines()] if letter.traceback else []
    lines = [*trace, "", f"{size(len(letter.raw))} of raw bytes:"]
    lines += letter.raw.decode("utf-8", "replace").splitlines()
    put(sys.stdout, *(f"{what:<10}{clean(value)}" for what, value in facts.items()))
    put(sys.stdout, *(clean(line) for line in lines))
    return ALL_COMPLETED


def _find(place: str, record: str, key: str | None) -> DeadLetter:
    from penstock.ledger.history import read_dead_letters

    ledger = find_ledger(place)
    name = key_of(ledger, key)
    found = read_dead_letters(ledger, name, latest=1, record=record)
    if not found:
        chosen = ["--key", key] if key is not None else []
        command = shell_command([*program(), "dead", "list", shown(place), *chosen])
        raise LedgerError(
            f"{shown_place(ledger)} has no dead letter of {record!r}; {command} names those that there are"
        )
    return found[0]


def drop_letters(place: str, records: Sequence[str], *, key: str | None, everything: bool) -> int:
    """Remove letters for good.

    Raises:
        UsageProblem: neither records nor ``--all`` were given, or both.
    """
    if bool(records) == everything:
        raise UsageProblem("which letters are to be dropped? Name their records, or say --all")
    ledger = find_ledger(place)
    dropped = asyncio.run(_drop(ledger, key_of(ledger, key), None if everything else records))
    put(sys.stdout, f"penstock: dropped {count(dropped)} of the dead letters")
    return ALL_COMPLETED if everything or dropped == len(set(records)) else DOCUMENTS_FAILED


async def _drop(path: Place, key: str, records: Sequence[str] | None) -> int:
    from penstock.ledger import ledger_from

    async with ledger_from(path) as ledger:
        return await ledger.drop_dead_letters(key, records)


def replay_letters(
    outputs: Sequence[Output], records: Sequence[str], *, ledger: Place | None, key: str | None
) -> int:
    """Try letters again, into the outputs that they were missing from; 1 if some fail or are not there.

    Raises:
        UsageProblem: a ledger was named where the output is wanted.
    """
    from penstock.ledger.history import read_dead_letters
    from penstock.pipeline import IngestionPipeline

    output = outputs[0]
    if ledger is None and isinstance(output, Path) and output.name.endswith(LEDGER_SUFFIX):
        raise UsageProblem(f"{output} is a ledger: name the output that the documents are to go into")
    path = ledger or default_ledger(output)
    name = key_of(path, key)
    letters = read_dead_letters(path, name, latest=1)
    if not letters:
        put(sys.stdout, f"penstock: nothing to replay: {clean(name)} has no dead letters")
        return DOCUMENTS_FAILED if records else ALL_COMPLETED
    pipeline = IngestionPipeline(_adapter(letters[0].adapter), ledger=path, key=name)
    result = asyncio.run(pipeline.replay(outputs, keys=set(records) or None))
    put(
        sys.stdout,
        f"penstock: replayed {count(result.letters)}: {count(result.completed)} completed, "
        f"{count(result.failed)} failed again",
        *(f"  {_line(letter)}" for letter in result.failures),
    )
    if missing := len(set(records)) - result.letters if records else 0:
        put(sys.stderr, f"penstock: {count(missing)} of the records named have no dead letter")
    return DOCUMENTS_FAILED if result.failed or missing else ALL_COMPLETED


def _adapter(name: str) -> Adapter:
    """Return the adapter whose records the letters are; its files are not needed."""
    from penstock.adapters import pubmed

    if name != "pubmed":
        raise LedgerError(
            f"the letters are of the adapter {name!r}, which the command line does not know: "
            "replay them from Python with IngestionPipeline(adapter, ledger=...).replay(sink)"
        )
    return pubmed("dead letters")
