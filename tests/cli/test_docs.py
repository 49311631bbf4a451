"""docs/cli.md has every option and every exit code, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.cli import exits
from penstock.cli.commands import app, parse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")


COMMANDS = (
    *("ingest pubmed", "adapters", "demo", "status", "doctor", "run", "init", "schema", "serve"),
    *("events", "graph", "completion"),
    *("dead list", "dead show", "dead replay", "dead drop"),
)


def options_of(command: str) -> set[str]:
    """Return the options of a command, such as ``--to``, without their negative forms."""
    words = command.split()
    parse([*words, "--help"])  # adds the commands of adapters
    found = app
    for word in words:
        found = found[word]
    arguments = found.assemble_argument_collection()
    return {name for argument in arguments for name in argument.names if name.startswith("--")}


OPTIONS = {f"penstock {command}": options_of(command) for command in COMMANDS}
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", [title for title in OPTIONS if title in SECTIONS])
def test_every_option_is_on_the_page(title: str) -> None:
    """The section of a command names each of its options (--debug is named once for all)."""
    for option in OPTIONS[title] - {"--debug", "--progress", "--resume"}:
        assert option in SECTIONS[title]


def test_no_option_on_the_page_is_made_up() -> None:
    """Each option on the page is an option of a command."""
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert named <= set().union(*OPTIONS.values(), {"--no-progress", "--no-resume", "--help"})


def test_every_exit_code_is_on_the_page() -> None:
    """The table has the codes of `exits`."""
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)}
    assert rows == {getattr(exits, name) for name in exits.__all__}
