"""The page about the command line and the command line say the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from penstock.cli import commands, exits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")
EVERY = [
    getattr(commands, name)
    for name in ("pubmed", "demo", "status", "doctor", "dead_list", "dead_show", "dead_replay", "dead_drop")
]
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("title", "command"),
    [
        ("penstock ingest pubmed", commands.pubmed),
        ("penstock demo", commands.demo),
        ("penstock status", commands.status),
        ("penstock doctor", commands.doctor),
    ],
)
def test_every_option_is_on_the_page(title: str, command: object) -> None:
    """Each option of a command is written of in its section (--debug once, for all)."""
    for name, parameter in inspect.signature(command).parameters.items():  # type: ignore[arg-type]
        if parameter.kind is parameter.KEYWORD_ONLY and name not in {"debug", "progress"}:
            assert f"--{name.replace('_', '-')}" in SECTIONS[title], name


def test_no_option_on_the_page_is_made_up() -> None:
    """Whatever is written like an option is one of some command."""
    named = set(re.findall(r"`--([a-z-]+)", PAGE))
    parameters = {
        name.replace("_", "-") for command in EVERY for name in inspect.signature(command).parameters
    }
    assert named <= parameters | {"no-progress"}


def test_every_exit_code_is_on_the_page() -> None:
    """The table of codes is that of the code."""
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)}
    assert rows == {getattr(exits, name) for name in exits.__all__}
