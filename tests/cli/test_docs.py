"""docs/cli.md has every option and every exit code, and no others."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from penstock.adapters.pubmed.entry import PubMedSettings
from penstock.cli import commands, exits
from penstock.cli.options import RunOptions

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")


def options_of(command: str) -> tuple[str, ...]:
    """Return the names of the keyword-only parameters of a command."""
    function = getattr(commands, command.replace(" ", "_"))
    parameters = inspect.signature(function).parameters.values()
    return tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


COMMANDS = ("adapters", "demo", "status", "doctor", "dead list", "dead show", "dead replay", "dead drop")
OPTIONS = {f"penstock {command}": options_of(command) for command in COMMANDS} | {
    "penstock ingest pubmed": (
        *("to", "ledger"),
        *(field.name for field in fields(RunOptions)),
        *PubMedSettings.model_fields,
    )
}
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", [title for title in OPTIONS if title in SECTIONS])
def test_every_option_is_on_the_page(title: str) -> None:
    """The section of a command names each of its options (--debug is named once for all)."""
    for name in OPTIONS[title]:
        if name not in {"debug", "progress"}:
            assert f"--{name.replace('_', '-')}" in SECTIONS[title], name


def test_no_option_on_the_page_is_made_up() -> None:
    """Each option on the page is an option of a command."""
    named = set(re.findall(r"`--([a-z-]+)", PAGE))
    assert named <= {name.replace("_", "-") for names in OPTIONS.values() for name in names} | {"no-progress"}


def test_every_exit_code_is_on_the_page() -> None:
    """The table has the codes of `exits`."""
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)}
    assert rows == {getattr(exits, name) for name in exits.__all__}
