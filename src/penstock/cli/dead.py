"""``penstock dead``: lists, shows, replays and drops dead letters."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.exits import ALL_COMPLETED, DOCUMENTS_FAILED
from penstock.cli.failures import HINT
from penstock.cli.job import UsageProblem, program
from penstock.cli.outputs import LEDGER_SUFFIX, default_ledger, shown, shown_place
from penstock.cli.status import find_ledger, local_time
from penstock.cli.text import clean, count, plural, put, shell_command, shorten, size
from penstock.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import DeadLetter
    from penstock.adapters import Adapter
    from penstock.cli.outputs import Output, Place

__all__ = ["drop_letters", "key_of", "list_letters", "replay_letters", "show_letter"]

_LINE = 160
_JSON_FIELDS = ("key", "doc_id", "adapter", "error_type", "error", "attempts", "timestamp")


def key_of(ledger: Place, wanted: str | None) -> str:
    """Return the key ``wanted``, or the only key of the ledger.

    Raises:
        UsageProblem: the ledger has several keys, or not the one wanted; the message lists its keys.
    """
    from penstock.ledger import read_status

    known = [status.key for status in read_status(ledger)]
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted in known:
        return str(wanted)
    if not known:
        raise UsageProblem(f"{shown_place(ledger)} has no ingestion yet")
    raise UsageProblem(f"name one ingestion of {shown_place(ledger)} with --key: {', '.join(known)}")


def list_letters(place: str, *, key: str | None, latest: int, as_json: bool) -> int:
    """Print dead letters, the oldest first, one line each."""
    from penstock.ledger.history import read_dead_letters

    ledger = find_ledger(place)
    name = key_of(ledger, key)
    letters = read_dead_letters(ledger, name, latest=latest)
    if as_json:
        put(sys.stdout, *(json.dumps(_as_json(letter)) for letter in letters))
    elif letters:
        put(sys.stdout, *(_line(letter) for letter in letters))
    else:
        put(sys.stdout, f"{clean(name)}: no dead letters")
    return ALL_COMPLETED


def _line(letter: DeadLetter) -> str:
    doc_id = f" {letter.doc_id}" if letter.doc_id else ""
    return shorten(clean(f"{letter.key}{doc_id}: {letter.error_type}: {letter.error}"), _LINE)


def _as_json(letter: DeadLetter) -> dict[str, object]:
    return {name: getattr(letter, name) for name in _JSON_FIELDS} | {"bytes": len(letter.raw)}


def show_letter(place: str, record: str, *, key: str | None, raw: bool) -> int:
    """Print one letter with its traceback and its bytes; with ``raw`` only the unchanged bytes.

    Raises:
        LedgerError: the record has no letter.
    """
    letter = _find(place, record, key)
    if raw:
        sys.stdout.buffer.write(letter.raw)
        sys.stdout.buffer.flush()
        return ALL_COMPLETED
    facts = {
        "record": letter.key,
        "document": letter.doc_id or "without an id",
        "adapter": letter.adapter,
        "failed": f"{local_time(letter.timestamp)}, after {plural(letter.attempts, 'attempt')}",
        "error": f"{letter.error_type}: {letter.error}",
        "context": json.dumps(letter.context),
    }
    traceback = ["", *letter.traceback.rstrip().splitlines()] if letter.traceback else []
    lines = [*traceback, "", f"{size(len(letter.raw))} of raw bytes:"]
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
        raise LedgerError(f"{shown_place(ledger)} has no dead letter of {record!r}; to list them: {command}")
    return found[0]


def drop_letters(place: str, records: Sequence[str], *, key: str | None, everything: bool) -> int:
    """Remove letters for good.

    Raises:
        UsageProblem: neither records nor ``--all`` were given, or both.
    """
    if bool(records) == everything:
        raise UsageProblem("name the records whose letters to drop, or give --all")
    ledger = find_ledger(place)
    dropped = asyncio.run(_drop(ledger, key_of(ledger, key), None if everything else records))
    put(sys.stdout, f"penstock: dropped {plural(dropped, 'dead letter')}")
    return ALL_COMPLETED if everything or dropped == len(set(records)) else DOCUMENTS_FAILED


async def _drop(place: Place, key: str, records: Sequence[str] | None) -> int:
    from penstock.ledger import ledger_from

    async with ledger_from(place) as ledger:
        return await ledger.drop_dead_letters(key, records)


def replay_letters(
    outputs: Sequence[Output], records: Sequence[str], *, ledger: Place | None, key: str | None
) -> int:
    """Replay letters into the outputs, and return the exit code: 1 if some fail or do not exist.

    Raises:
        UsageProblem: a ledger was named instead of the output.
        AdapterError: the adapter of the letters is unknown or cannot be used.
    """
    from penstock.ledger.history import read_dead_letters
    from penstock.pipeline import IngestionPipeline

    output = outputs[0]
    if ledger is None and isinstance(output, Path) and output.name.endswith(LEDGER_SUFFIX):
        raise UsageProblem(f"{output} is a ledger: name the output that the documents go into")
    place = ledger or default_ledger(output)
    name = key_of(place, key)
    letters = read_dead_letters(place, name, latest=1)
    if not letters:
        put(sys.stdout, f"penstock: nothing to replay: {clean(name)} has no dead letters")
        return DOCUMENTS_FAILED if records else ALL_COMPLETED
    pipeline = IngestionPipeline(_adapter(letters[0]), ledger=place, key=name)
    result = asyncio.run(pipeline.replay(outputs, keys=set(records) or None))
    put(
        sys.stdout,
        f"penstock: replayed {count(result.letters)}: {count(result.completed)} completed, "
        f"{count(result.failed)} failed again",
        *(f"  {_line(letter)}" for letter in result.failures),
    )
    if missing := len(set(records)) - result.letters if records else 0:
        put(sys.stderr, f"penstock: {count(missing)} of the records have no dead letter")
    return DOCUMENTS_FAILED if result.failed or missing else ALL_COMPLETED


def _adapter(letter: DeadLetter) -> Adapter:
    from penstock.adapters import AdapterError, find_adapter

    try:
        return find_adapter(letter.adapter).replay()
    except AdapterError as error:
        error.add_note(f"{HINT}or replay from Python: IngestionPipeline(adapter, ledger=...).replay(sink)")
        raise
