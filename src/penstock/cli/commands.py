"""The list of commands. cyclopts imports the function of a command only when that command is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

import penstock
from penstock.cli import helps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from inspect import BoundArguments

STDIN = "stdin:"
"""What stands for the input ``-`` while the words are parsed."""

app = App(
    name="penstock",
    help=helps.PENSTOCK,
    help_format="plaintext",
    version=lambda: f"penstock {penstock.__version__}",
)
ingest = App(name="ingest", help=helps.INGEST, help_format="plaintext")
app.command(ingest)
app.command("penstock.cli.run:run", name="run", help=helps.RUN)
app.command("penstock.cli.serve:serve", name="serve", help=helps.SERVE)
app.command("penstock.cli.init:init", name="init", help=helps.INIT)
app.command("penstock.cli.demo:demo", name="demo", help=helps.DEMO)
app.command("penstock.cli.status:show_status", name="status", help=helps.STATUS)
app.command("penstock.cli.events:show_events", name="events", help=helps.EVENTS)
app.command("penstock.cli.graph:show_graph", name="graph", help=helps.GRAPH)
app.command("penstock.cli.adapters:list_adapters", name="adapters", help=helps.ADAPTERS)
app.command("penstock.cli.schema:show_schema", name="schema", help=helps.SCHEMA)
app.command("penstock.cli.doctor:examine", name="doctor", help=helps.DOCTOR)
app.command("penstock.cli.completion:print_completion", name="completion", help=helps.COMPLETION)
app.command("penstock.cli.dead:app", name="dead", help=helps.DEAD)


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
