"""The generated methods of ``Flow`` and ``Flow.sync`` and the generated page are current."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import pytest

import penstock.operators as op
from penstock import Flow
from penstock.flow.terminals import Terminals

from . import (
    generate_methods,
    generate_operator_pages,
    generate_other_names,
    generate_reference,
    generate_sync,
)


@pytest.mark.parametrize("generator", [generate_methods, generate_sync], ids=["methods", "sync"])
def test_generated_files_are_current(generator):
    """The files are what ``nox -s methods`` writes now, apart from their layout."""
    now = ast.parse(generator.TARGET.read_text("utf-8"))
    assert ast.dump(now) == ast.dump(ast.parse(generator.generated())), "run: nox -s methods"


def test_the_foreign_names_are_current():
    """The answers to names of other libraries are those of the page that lists them."""
    written = generate_other_names.TARGET.read_text("utf-8")
    assert written == generate_other_names.written(), "run: nox -s methods"


def test_the_page_of_operators_is_current():
    """``docs/operators.md`` is what ``nox -s methods`` writes now: signatures, diagrams and results."""
    written = generate_operator_pages.TARGET.read_text("utf-8")
    assert written == generate_operator_pages.generated(), "run: nox -s methods"


def test_the_reference_is_current():
    """The pages of the reference have an entry for each name in the ``__all__`` of each package."""
    written = {path.stem: path.read_text("utf-8") for path in generate_reference.TARGET.glob("*.md")}
    assert written.pop("index")
    assert written == generate_reference.generated(), "run: nox -s methods"


def test_every_public_name_is_in_the_reference():
    """What users import has an entry, or a link to one: no package is forgotten."""
    written = "".join(path.read_text("utf-8") for path in generate_reference.TARGET.glob("*.md"))
    there = set(re.findall(r"(?:heading: |^`)(penstock[\w.]*)", written, re.MULTILINE))
    parts = [
        "",
        ".operators",
        ".runtime",
        ".flow",
        ".abc",
        ".errors",
        ".document",
        ".events",
        ".pipeline",
        ".adapters",
    ]
    parts += [".ledger", ".sinks", ".testing", ".testing.laws", ".testing.faults"]
    modules = [importlib.import_module(f"penstock{part}") for part in parts]
    public = {
        f"{m.__name__}.{name}"
        for m in modules
        for name in m.__all__
        if not inspect.ismodule(getattr(m, name))
    }
    assert sorted(public - there) == []
    for terminal in (one for one in vars(Terminals).values() if inspect.iscoroutinefunction(one)):
        assert {*inspect.signature(terminal).parameters} - {"self"} <= {*inspect.get_annotations(terminal)}, (
            terminal
        )


def test_every_operator_is_a_method():
    """Each operator can be called on a flow, by its own name."""
    assert [name for name in op.__all__ if not callable(getattr(Flow, name, None))] == []
