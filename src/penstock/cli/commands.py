"""The commands and their options. cyclopts builds the command line from the signatures and docstrings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

import penstock
from penstock.cli.demo import FOLDER, RECORDS
from penstock.cli.options import AtLeastOne, Flag, Outputs, Switch  # noqa: TC001  cyclopts reads the signatures
from penstock.cli.outputs import output_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import BoundArguments

__all__ = ["app", "parse"]


def version_line() -> str:
    """Return ``penstock 1.2.3``."""
    return f"penstock {penstock.__version__}"


app = App(
    name="penstock",
    help="Move documents from any source to any sink:\nstreaming, resumable, in constant memory.",
    help_format="plaintext",
    version=version_line,
)
dead_app = App(
    name="dead",
    help="List, show, replay or drop dead letters: documents that failed for good.",
    help_format="plaintext",
)
app.command(dead_app)
ingest_app = App(
    name="ingest", help="Ingest documents from a source into a file or a database.", help_format="plaintext"
)
app.command(ingest_app)


def parse(words: Sequence[str]) -> tuple[Callable[..., object], BoundArguments]:
    """Return the command that ``words`` ask for, and its arguments.

    Raises:
        CycloptsError: the words are not a command line of ours.
        AdapterError: the words name an adapter that is unknown or cannot be used.
    """
    if words[:1] == ["ingest"]:  # only then: loading adapters takes time
        from penstock.cli.adapters import add_ingest_commands

        add_ingest_commands(ingest_app, words[1:])
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    return command, bound


@app.command
def adapters(*, json: Flag = False, debug: Flag = False) -> int:
    """List the adapters that penstock ingest can use.

    Args:
        json: Print one JSON object a line, with the JSON Schema of the settings.
        debug: Show tracebacks.
    """
    del debug  # cli/main.py reads it, for every command
    from penstock.cli.adapters import list_adapters

    return list_adapters(as_json=json)


@app.command
def demo(
    *,
    records: AtLeastOne = RECORDS,
    folder: Path = Path(FOLDER),
    restart: Flag = False,
    progress: Switch = True,
    debug: Flag = False,
) -> int:
    """Generate a sample file and ingest it.

    Kill it at any moment and repeat the command: the output ends up the same, byte for byte.

    Args:
        records: The number of records to generate.
        folder: Where to put the sample, the output and the ledger.
        restart: Start from the beginning.
        progress: Show progress on stderr.
        debug: Show tracebacks.
    """
    from penstock.cli.demo import run_demo

    return run_demo(folder, records=records, restart=restart, progress=progress, debug=debug)


@app.command
def status(ledger_or_output: str, /, *, failures: AtLeastOne = 10, debug: Flag = False) -> int:
    """Show the state of an ingestion: its runs, its counts, and what failed.

    It works while a run is going, and does not disturb it.

    Args:
        ledger_or_output: A ledger, or an output that has its ledger beside it.
        failures: Show this many of the latest failed documents.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.status import show_status

    return show_status(ledger_or_output, failures=failures)


@app.command
def doctor(folder: Path = Path(), /, *, debug: Flag = False) -> int:
    """Check this machine: library versions, limits, and whether a folder keeps what is written to it.

    The exit code is 2 if runs would fail. A note is not a failure.

    Args:
        folder: Where outputs and ledgers will go. The check writes there and removes what it wrote.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.doctor import examine

    return examine(folder)


@dead_app.command(name="list", usage="Usage: penstock dead list LEDGER_OR_OUTPUT [OPTIONS]\n")
def dead_list(
    ledger_or_output: str,
    /,
    *,
    key: str | None = None,
    latest: AtLeastOne = 100,
    json: Flag = False,
    debug: Flag = False,
) -> int:
    """List dead letters: the record, the document, the error.

    It works while a run is going, and does not disturb it.

    Args:
        ledger_or_output: A ledger, or an output that has its ledger beside it.
        key: The ingestion, if the ledger has several.
        latest: Show this many of the latest letters, oldest first.
        json: Print one JSON object a line.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import list_letters

    return list_letters(ledger_or_output, key=key, latest=latest, as_json=json)


@dead_app.command(name="show", usage="Usage: penstock dead show LEDGER_OR_OUTPUT RECORD [OPTIONS]\n")
def dead_show(
    ledger_or_output: str,
    record: str,
    /,
    *,
    key: str | None = None,
    raw: Flag = False,
    debug: Flag = False,
) -> int:
    """Show one dead letter: its error, its traceback, its bytes.

    Args:
        ledger_or_output: A ledger, or an output that has its ledger beside it.
        record: The record, named as in the list (file#number).
        key: The ingestion, if the ledger has several.
        raw: Write only the unchanged bytes of the record to stdout.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import show_letter

    return show_letter(ledger_or_output, record, key=key, raw=raw)


@dead_app.command(name="replay", usage="Usage: penstock dead replay OUTPUT [RECORDS...] [OPTIONS]\n")
def dead_replay(
    output: str,
    /,
    *records: str,
    to: Outputs | None = None,
    ledger: str | None = None,
    key: str | None = None,
    debug: Flag = False,
) -> int:
    """Parse dead letters again, with the parser of today. Nothing is fetched.

    A document that succeeds goes into the output, and its letter is removed. A letter that fails again stays.

    Args:
        output: The output that the documents are missing from.
        records: Replay only these records. The default is all.
        to: More outputs of the same ingestion.
        ledger: The ledger with the letters. The default is the one beside the output.
        key: The ingestion, if the ledger has several.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import replay_letters

    outputs = [output_of(word) for word in (output, *(to or ()))]
    return replay_letters(outputs, records, ledger=place_of(ledger) if ledger else None, key=key)


@dead_app.command(
    name="drop", usage="Usage: penstock dead drop LEDGER_OR_OUTPUT (RECORDS... | --all) [OPTIONS]\n"
)
def dead_drop(
    ledger_or_output: str,
    /,
    *records: str,
    all: Flag = False,  # noqa: A002  the name of the option
    key: str | None = None,
    debug: Flag = False,
) -> int:
    """Remove dead letters for good, with their bytes.

    Args:
        ledger_or_output: A ledger, or an output that has its ledger beside it.
        records: The records, named as in the list.
        all: Remove all letters.
        key: The ingestion, if the ledger has several.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import drop_letters

    return drop_letters(ledger_or_output, records, key=key, everything=all)
