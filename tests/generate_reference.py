"""Writes ``docs/reference/*.md``: an entry for every public name, which mkdocstrings fills from the code.

A package says what is public with ``__all__``. Run ``nox -s methods`` when it has changed. ``tests/test_methods.py`` fails
if a page is not current. A name that several packages export has its entry in the first of them, and a line in the
others.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference"

PAGES: dict[str, tuple[str, str, list[str]]] = {
    "ingestion": (
        "Ingestion",
        "[Ingestion](../ingestion.md) and [Events](../events.md) explain these.",
        ["penstock.document", "penstock.events", "penstock.pipeline", "penstock.adapters", "penstock.adapters.http", "penstock.ledger",
         "penstock.ledger.history", "penstock.sinks", "penstock.pipeline_file",
         "penstock.telemetry", "penstock.http"],
    ),
    "promises": ("Promises", "What sources, sinks, ledgers and subscriptions keep.", ["penstock.abc", "penstock.errors"]),
    "flows": (
        "Flows",
        "[Operators](../operators.md) has the sources and terminals with examples.",
        ["penstock", "penstock.flow", "penstock.flow.terminals.Terminals", "penstock.flow.sync.SyncFlow",
         "penstock.flow.picture.GraphNode", "penstock.flow.picture.Edge", "penstock.operators.fanout.publish.Connection"],
    ),
    "operators": (
        "Operators",
        "[Operators](../operators.md) has them with examples, ordered by what you want to do. Each is a method of `Flow` too.",
        ["penstock.operators"],
    ),
    "runtime": (
        "Operators of your own",
        "[Write an operator](../write_an_operator.md) shows how these fit together.",
        ["penstock.runtime", "penstock.fusion.loop_element.LoopElement"],
    ),
    "testing": (
        "Testing",
        "[Testing](../testing.md) shows how to use these.",
        ["penstock.testing", "penstock.testing.laws", "penstock.testing.faults", "penstock.testing.marble",
         "penstock.testing.plugin", "penstock.testing.sink_laws", "penstock.testing.ledger_laws"],
    ),
}  # fmt: skip


def generated() -> dict[str, str]:
    """Return the text that each page must have now, by its name."""
    told: dict[str, tuple[str, str]] = {}
    return {name: _page(name, title, intro, parts, told) for name, (title, intro, parts) in PAGES.items()}


def _page(page: str, title: str, intro: str, parts: list[str], told: dict[str, tuple[str, str]]) -> str:
    text = [f"# {title}", intro]
    for part in parts:
        public = _names(part)
        if public is None:
            text.append(f"::: {part}")
            continue
        text.append(f"::: {part}\n    options:\n      members: false")
        text += [
            _entry(page, f"{part}.{name}", getattr(importlib.import_module(part), name), told)
            for name in public
        ]
    return "\n\n".join(text) + "\n"


def _names(part: str) -> list[str] | None:
    """Return what a package exports; ``None`` for a class, or for a module that exports nothing by name."""
    try:
        module = importlib.import_module(part)
    except ModuleNotFoundError:
        return None
    public = getattr(module, "__all__", None)
    return (
        None if public is None else [name for name in public if not inspect.ismodule(getattr(module, name))]
    )


def _entry(page: str, path: str, value: Any, told: dict[str, tuple[str, str]]) -> str:
    """Return the entry of one name: at the place of its definition, because a module may have the same name."""
    home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    ours = (inspect.isclass(value) or inspect.isfunction(value)) and str(home).startswith("penstock")
    defined = f"{home}.{name}" if ours else path
    if defined in told:
        other, heading = told[defined]
        return f"`{path}`: see [{heading}]({other}.md#{defined})"
    told[defined] = page, path
    return f"::: {defined}\n    options:\n      heading: {path}\n      heading_level: 3"


if __name__ == "__main__":
    for page, text in generated().items():
        (TARGET / f"{page}.md").write_text(text, "utf-8")
    sys.stdout.write(f"wrote {len(PAGES)} pages of the reference\n")
