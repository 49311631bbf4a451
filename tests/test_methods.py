"""The generated methods of ``Flow`` and ``Flow.sync`` and the generated page are current."""

from __future__ import annotations

import ast

import pytest

import penstock.operators as op
from penstock import Flow

from . import generate_methods, generate_operator_pages, generate_sync


@pytest.mark.parametrize("generator", [generate_methods, generate_sync], ids=["methods", "sync"])
def test_generated_files_are_current(generator):
    """The files are what ``nox -s methods`` writes now, apart from their layout."""
    now = ast.parse(generator.TARGET.read_text("utf-8"))
    assert ast.dump(now) == ast.dump(ast.parse(generator.generated())), "run: nox -s methods"


def test_the_page_of_operators_is_current():
    """``docs/operators.md`` is what ``nox -s methods`` writes now: signatures, diagrams and results."""
    written = generate_operator_pages.TARGET.read_text("utf-8")
    assert written == generate_operator_pages.generated(), "run: nox -s methods"


def test_every_operator_is_a_method():
    """Each operator can be called on a flow, by its own name."""
    assert [name for name in op.__all__ if not callable(getattr(Flow, name, None))] == []
