"""``penstock dead``: lists, shows, replays and drops dead letters."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from penstock.cli.exits import ALL_COMPLETED, DOCUMENTS_FAILED
from penstock.cli.failures import HINT
from penstock.cli.job import UsageProblem, program
from penstock.cli.options import (
    AtLeastOne,
    Debug,
    Flag,
    Json,
    Key,
    LedgerOrOutput,
    Outputs,
    Selection,
    Sets,
)
from penstock.cli.outputs import sink_of
from penstock.cli.status import LETTER_FIELDS, find_ledger, is_pipeline_file, local_time
from penstock.cli.text import clean, count, plural, put, shell_command, shorten, size
from penstock.errors import AdapterError, LedgerError
from penstock.pipeline_file import is_import_path
from penstock.pipeline_file.places import (
    LEDGER_SUFFIX,
    STDOUT,
    default_ledger,
    output_of,
    place_of,
    shown_place,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import DeadLetter, Sink
    from penstock.adapters import Adapter
    from penstock.pipeline import IngestionPipeline
    from penstock.pipeline_file.places import Place

app = App(name="dead", help_format="plaintext")
_LINE = 160


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
    what = "several ingestions" if wanted is None else f"no ingestion {wanted!r}"
    raise UsageProblem(f"{shown_place(ledger)} has {what}; name one of these with --key: {', '.join(known)}")


@app.command(name="list", usage="Usage: penstock dead list LEDGER_OR_OUTPUT [OPTIONS]\n")
def list_letters(
    ledger_or_output: LedgerOrOutput,
    /,
    *,
    key: Key = None,
    latest: AtLeastOne = 100,
    as_json: Json = False,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """List the documents that failed: the record, the id of the document, and the error.

    You can call it while a run is going.

    Example: penstock dead list articles.jsonl

    Args:
        latest: Show only the latest ones, this many. The oldest of them comes first.
    """
    from penstock.ledger.history import read_dead_letters

    ledger = find_ledger(ledger_or_output)
    name = key_of(ledger, key)
    letters = read_dead_letters(ledger, name, latest=latest)
    if as_json:
        for letter in letters:
            facts = {name: getattr(letter, name) for name in LETTER_FIELDS}
            put(sys.stdout, json.dumps(facts | {"bytes": len(letter.raw)}))
    elif letters:
        put(sys.stdout, *(_line(letter) for letter in letters))
    else:
        put(sys.stdout, f"{clean(name)}: no dead letters")
    return ALL_COMPLETED


def _line(letter: DeadLetter) -> str:
    doc_id = f" {letter.doc_id}" if letter.doc_id else ""
    return shorten(clean(f"{letter.key}{doc_id}: {letter.error_type}: {letter.error}"), _LINE)


@app.command(name="show", usage="Usage: penstock dead show LEDGER_OR_OUTPUT RECORD [OPTIONS]\n")
def show_letter(
    ledger_or_output: LedgerOrOutput,
    record: str,
    /,
    *,
    key: Key = None,
    raw: Flag = False,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Show everything about one document that failed: its error, the traceback, and the bytes of its record.

    Example: penstock dead show articles.jsonl 'pubmed24n0001.xml.gz#17'

    Args:
        record: The name of the record, as penstock dead list prints it: file#number.
        raw: Print only the bytes of the record, unchanged.

    Raises:
        LedgerError: the record has no letter.
    """
    from penstock.ledger.history import read_dead_letters

    ledger = find_ledger(ledger_or_output)
    found = read_dead_letters(ledger, key_of(ledger, key), latest=1, record=record)
    if not found:
        place = shown_place(ledger)
        command = shell_command([*program(), "dead", "list", place, *(["--key", key] if key else [])])
        raise LedgerError(f"{place} has no dead letter of {record!r}; to list them: {command}")
    (letter,) = found
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


@app.command(name="drop", usage="Usage: penstock dead drop LEDGER_OR_OUTPUT (RECORDS... | --all) [OPTIONS]\n")
def drop_letters(
    ledger_or_output: LedgerOrOutput,
    /,
    *records: str,
    everything: Annotated[Flag, Parameter(name="--all")] = False,
    key: Key = None,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Forget documents that failed. Their errors and their bytes are removed from the ledger for good.

    Example: penstock dead drop articles.jsonl 'pubmed24n0001.xml.gz#17'

    Args:
        records: The names of the records, as penstock dead list prints them.
        everything: Forget all of them.

    Raises:
        UsageProblem: neither records nor ``--all`` were given, or both.
    """
    if bool(records) == everything:
        raise UsageProblem("name the records whose letters to drop, or give --all")
    ledger = find_ledger(ledger_or_output)
    dropped = asyncio.run(_drop(ledger, key_of(ledger, key), None if everything else records))
    put(sys.stdout, f"penstock: dropped {plural(dropped, 'dead letter')}")
    if everything or dropped == len(set(records)):
        return ALL_COMPLETED
    put(sys.stderr, _missing(len(set(records)) - dropped, len(set(records))))
    return DOCUMENTS_FAILED


def _missing(number: int, named: int) -> str:
    """Return the message about records that were named and have no dead letter."""
    if number == named:
        return f"penstock: no dead letter of the {plural(named, 'record')} that you named"
    return f"penstock: no dead letter of {count(number)} of the {plural(named, 'record')} that you named"


async def _drop(place: Place, key: str, records: Sequence[str] | None) -> int:
    from penstock.ledger import ledger_from

    async with ledger_from(place) as ledger:
        return await ledger.drop_dead_letters(key, records)


@app.command(name="replay", usage="Usage: penstock dead replay OUTPUT [RECORDS...] [OPTIONS]\n")
def replay_letters(
    output: str,
    /,
    *records: str,
    to: Outputs | None = None,
    ledger: str | None = None,
    key: Key = None,
    sets: Sets = None,
    selection: Selection = Selection(),  # noqa: B008  it is frozen
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Try documents again that failed, for example after an update of the parser. Nothing is fetched.

    A document that succeeds now goes into the output. One that fails again stays in the list.

    Example: penstock dead replay articles.jsonl

    Args:
        output: The output that lacks the documents. Or what penstock run takes: then its steps run too.
        records: Try only these records. The default is all.
        to: More outputs of the same ingestion.
        ledger: The ledger that has the failed documents. The default is the one beside the output.

    Raises:
        UsageProblem: a ledger was named instead of the output.
        AdapterError: the adapter of the letters is unknown or cannot be used.
    """
    from penstock.ledger.history import read_dead_letters
    from penstock.pipeline import IngestionPipeline

    if is_pipeline_file(output):
        return _replay_file(output, records, tuple(sets or ()))
    if is_import_path(output):
        return _replay_object(output, records, tuple(to or ()))
    if ledger is None and output.endswith(LEDGER_SUFFIX):
        raise UsageProblem(f"{output} is a ledger: name the output that the documents go into")
    outputs = [output_of(word) for word in (output, *(to or ()))]
    place = place_of(ledger) if ledger else default_ledger(outputs[0])
    name = key_of(place, key)
    letters = read_dead_letters(place, name, latest=1)
    if not letters:
        return _nothing(name, records)
    pipeline = IngestionPipeline(_adapter(letters[0]), ledger=place, key=name, where=selection.where)
    return _replay(pipeline, sink_of(outputs, selection), records, to_stdout=STDOUT in outputs)


def _replay_file(name: str, records: Sequence[str], sets: Sequence[str]) -> int:
    """Replay letters of the pipeline of a file: with its steps, into its outputs."""
    from penstock.ledger.history import read_dead_letters
    from penstock.pipeline_file import load

    file = load(name, overrides=sets)
    if file.ledger is None:
        raise UsageProblem(f"the pipeline of {name} keeps no ledger, so it has no dead letters")
    key = key_of(file.ledger, file.model.key or file.adapter.name)
    if not read_dead_letters(file.ledger, key, latest=1):
        return _nothing(key, records)
    pipeline, sink = file.build()
    return _replay(pipeline, sink, records, to_stdout=STDOUT in file.outputs)


def _replay_object(name: str, records: Sequence[str], to: Sequence[str]) -> int:
    """Replay letters of a pipeline in Python: with its steps, into its outputs."""
    from penstock.cli.object_job import ObjectJob
    from penstock.cli.run import FileOptions
    from penstock.ledger.history import read_dead_letters
    from penstock.pipeline_file import pipeline_object

    job = ObjectJob.of(pipeline_object(name), to, FileOptions())
    if job.ledger is None:
        raise UsageProblem(f"{name} keeps no ledger in a file or a database, so it has no dead letters")
    key = key_of(job.ledger, job.options.key)
    if not read_dead_letters(job.ledger, key, latest=1):
        return _nothing(key, records)
    return _replay(job.pipeline(()), job.sink(), records, to_stdout=STDOUT in job.outputs)


def _nothing(key: str, records: Sequence[str]) -> int:
    put(sys.stdout, f"penstock: nothing to replay: {clean(key)} has no dead letters")
    return DOCUMENTS_FAILED if records else ALL_COMPLETED


def _replay(pipeline: IngestionPipeline, sink: Sink, records: Sequence[str], *, to_stdout: bool) -> int:
    """Replay, print how many completed, and return the exit code."""
    result = asyncio.run(pipeline.replay(sink, keys=set(records) or None))
    put(
        sys.stderr if to_stdout else sys.stdout,
        f"penstock: replayed {count(result.letters)}: {count(result.completed)} completed, "
        f"{count(result.failed)} failed again",
        *(f"  {_line(letter)}" for letter in result.failures),
    )
    if missing := len(set(records)) - result.letters if records else 0:
        put(sys.stderr, _missing(missing, len(set(records))))
    return DOCUMENTS_FAILED if result.failed or missing else ALL_COMPLETED


def _adapter(letter: DeadLetter) -> Adapter:
    from penstock.adapters import find_adapter

    try:
        return find_adapter(letter.adapter).replay()
    except AdapterError as error:
        error.add_note(f"{HINT}or replay from Python: IngestionPipeline(adapter, ledger=...).replay(sink)")
        raise
