"""The list of commands. cyclopts imports the function of a command only when that command is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

import penstock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from inspect import BoundArguments

STDIN = "stdin:"
"""What stands for the input ``-`` while the words are parsed."""

app = App(
    name="penstock",
    help="Move documents from any source to any sink:\nstreaming, resumable, in constant memory.",
    help_format="plaintext",
    version=lambda: f"penstock {penstock.__version__}",
)
ingest = App(
    name="ingest", help="Ingest documents from a source into a file or a database.", help_format="plaintext"
)
app.command(ingest)
app.command(
    "penstock.cli.adapters:list_adapters",
    name="adapters",
    help="List the adapters that penstock ingest can use.",
)
app.command(
    "penstock.cli.demo:demo",
    name="demo",
    help="Generate a sample file and ingest it.\n\n"
    "Kill it at any moment and repeat the command: the output ends up the same, byte for byte.",
)
app.command(
    "penstock.cli.run:run",
    name="run",
    help="Run the pipeline of a file.\n\n"
    "After an interruption, the same command continues at the last commit.",
)
app.command(
    "penstock.cli.serve:serve",
    name="serve",
    help="Serve pipelines over HTTP: start, watch and stop them, and stream their events.",
)
app.command(
    "penstock.cli.init:init",
    name="init",
    help="Write a commented pipeline file, and a sample that it reads. Nothing is overwritten.",
)
app.command(
    "penstock.cli.schema:show_schema",
    name="schema",
    help="Print the JSON Schema of pipeline files, with the settings of all adapters, for editors.",
)
app.command(
    "penstock.cli.status:show_status",
    name="status",
    help="Show the state of an ingestion: its runs, its counts, and what failed.\n\n"
    "It works while a run is going, and does not disturb it.",
)
app.command(
    "penstock.cli.doctor:examine",
    name="doctor",
    help="Check this machine: library versions, limits, and whether a folder keeps what is written to it.\n\n"
    "The exit code is 2 if runs would fail. A note is not a failure.",
)
app.command(
    "penstock.cli.dead:app",
    name="dead",
    help="List, show, replay or drop dead letters: documents that failed for good.",
)


def parse(words: Sequence[str]) -> tuple[Callable[..., object], BoundArguments]:
    """Return the command that ``words`` ask for, and its arguments.

    Raises:
        CycloptsError: the command or its arguments are wrong.
        AdapterError: the words name an adapter that is unknown or cannot be used.
    """
    words = _without_dashes(words)
    if words[:1] == ["ingest"]:  # only then: loading adapters takes time
        from penstock.cli.adapters import add_ingest_commands

        add_ingest_commands(ingest, words[1:])
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    return command, bound


def _without_dashes(words: Sequence[str]) -> list[str]:
    """Write each ``-`` in another way: cyclopts takes it for an option without a name."""
    changed: list[str] = []
    for word in words:
        if word == "-" and changed[-1:] in (["--to"], ["--ledger"]):
            changed[-1] += "=-"
        else:
            changed.append(STDIN if word == "-" else word)
    return changed
