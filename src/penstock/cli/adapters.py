"""The commands that come from the registry: ``penstock ingest NAME`` and ``penstock adapters``."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from penstock.adapters.registry import AdapterEntry, find_adapter, find_adapters
from penstock.cli.commands import STDIN
from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.job import Job, UsageProblem
from penstock.cli.options import Debug, Flag, Json, Outputs, RunOptions
from penstock.cli.text import clean, put
from penstock.errors import AdapterError
from penstock.pipeline_file.places import ledger_beside, output_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cyclopts import App

_HELP = (
    "After an interruption, the same command continues at the last commit. After a completed run it reads "
    "only new files. With --refresh it also reads files that have changed."
)
_HELP_OF_QUERIES = (
    "After an interruption, the same command continues at the last commit. After a completed run, --refresh "
    "asks again, and takes documents that are new or have changed."
)
_TO = (
    "Where to write: a file (.jsonl, .csv, .tsv, .parquet; lines also .gz or .zst), the URL of a table "
    "(sqlite:///out.db?table=articles, duckdb:///..., postgresql://...), or - for JSON Lines on stdout. "
    "Missing folders are made. Repeat it for more outputs."
)
_LEDGER = (
    "Where to keep the state: a file, or postgresql://... The default is a file beside the output, "
    "and none for stdout."
)

_PRINT = "Print the pipeline file that equals these options, and stop: penstock run FILE then does the same."


def add_ingest_commands(ingest: App, words: Sequence[str]) -> None:
    """Add the command of the adapter that ``words`` begin with, or of every adapter if they name none.

    Raises:
        AdapterError: the adapter that the words name is unknown or cannot be used.
    """
    if words and not words[0].startswith("-"):
        _add(ingest, find_adapter(words[0]))
        return
    entries, problems = find_adapters()
    for entry in entries:
        try:
            _add(ingest, entry)
        except AdapterError as error:
            problems.append(error)
    _warn(problems)


def _add(ingest: App, entry: AdapterEntry[Any]) -> None:
    if entry.name in ingest:  # an earlier command line of this process
        return
    inputs = "" if entry.inputs is None else "FILES... "
    try:
        ingest.command(
            _ingest_command(entry),
            name=entry.name,
            help=f"{entry.description}\n\n{_HELP_OF_QUERIES if entry.inputs is None else _HELP}",
            usage=f"Usage: penstock ingest {entry.name} {inputs}--to OUT.jsonl [OPTIONS]\n",
        )
    except Exception as error:  # the settings model of another package: it must not stop other adapters
        raise AdapterError(
            f"the settings of the adapter {entry.name!r} of {entry.origin} cannot become options: {error}"
        ) from error


def _ingest_command(entry: AdapterEntry[Any]) -> Callable[..., int]:
    """Return the command ``penstock ingest NAME``; cyclopts reads the options from its signature."""

    def command(
        *files: str,
        to: Annotated[Outputs | None, Parameter(help=_TO)] = None,
        ledger: Annotated[str | None, Parameter(help=_LEDGER)] = None,
        print_pipeline: Annotated[Flag, Parameter(help=_PRINT)] = False,
        settings: Any,
        options: RunOptions = RunOptions(),  # noqa: B008  it is frozen
    ) -> int:
        from penstock.cli.as_file import as_file
        from penstock.cli.ingest import ingest

        if not files and entry.inputs is not None:
            raise UsageProblem(
                f"no files to read: name them, as in penstock ingest {entry.name} FILES --to OUT.jsonl"
            )
        if not to or "" in to:
            raise UsageProblem("no output: name one, as in --to OUT.jsonl (--help shows the options)")
        files = tuple("-" if name == STDIN else name for name in files)
        outputs = [output_of(word) for word in to]
        place = place_of(ledger) if ledger else ledger_beside(outputs)
        job = Job(entry, files, settings, options, outputs[0], place, also=tuple(outputs[1:]))
        if print_pipeline:
            job.check()
            put(sys.stdout, as_file(job).rstrip("\n"))
            return ALL_COMPLETED
        return ingest(job)

    _use_settings(command, entry)
    return command


def _use_settings(command: Any, entry: AdapterEntry[Any]) -> None:
    """Give ``command`` the inputs and the settings of an adapter as parameters."""
    fields = entry.settings.model_fields
    options = {field.name for field in dataclasses.fields(RunOptions)}
    if taken := sorted(fields.keys() & (options | inspect.signature(command).parameters.keys())):
        raise ValueError(f"penstock ingest has options of the same name: {', '.join(taken)}")
    command.__annotations__["files"] = Annotated[
        str, Parameter(help=entry.inputs or "", show=entry.inputs is not None)
    ]
    command.__annotations__["settings"] = Annotated[
        entry.settings, Parameter(name="*", group=f"Options of {entry.name}")
    ]
    if not any(field.is_required() for field in fields.values()):  # then cyclopts wants a default
        command.__kwdefaults__["settings"] = entry.settings()


def list_adapters(*, as_json: Json = False, debug: Debug = False) -> int:  # noqa: ARG001  main reads debug
    """Print every adapter that can be used, and a warning for each entry point that cannot."""
    entries, problems = find_adapters()
    if as_json:
        facts = [
            {
                "name": entry.name,
                "description": entry.description,
                "inputs": entry.inputs,
                "proof": entry.proof,
                "licence": entry.licence,
                "limits": entry.limits,
                "homepage": entry.homepage,
                "origin": entry.origin,
                "settings": entry.settings.model_json_schema(),
            }
            for entry in entries
        ]
        put(sys.stdout, *map(json.dumps, facts))
    else:
        for entry in entries:
            put(sys.stdout, clean(f"{entry.name}: {entry.description}"), *_facts(entry))
        put(sys.stdout, "", "penstock ingest NAME --help shows the options of an adapter")
    _warn(problems)
    return ALL_COMPLETED


_PROOFS = {
    "captured": "its parser was run over real records",
    "documented": "its parser was written from the documentation; no real record was seen",
}


def _facts(entry: AdapterEntry[Any]) -> list[str]:
    facts = {
        "inputs": entry.inputs or "none: it asks a source",
        "proof": _PROOFS.get(entry.proof or "", ""),
        "licence": entry.licence,
        "limits": entry.limits,
        "see": entry.homepage,
        "from": entry.origin,
    }
    return [f"  {name:<9}{clean(value)}" for name, value in facts.items() if value]


def _warn(problems: Iterable[AdapterError]) -> None:
    put(sys.stderr, *(f"penstock: warning: {clean(str(problem))}" for problem in problems))
