"""The methods of ``Flow`` are those that the operators' signatures give."""

from __future__ import annotations

import ast

import penstock.operators as op
from penstock import Flow

from .generate_methods import TARGET, generated


def test_methods_are_current():
    """``src/penstock/flow/methods.py`` is what ``nox -s methods`` writes now, apart from its layout."""
    assert ast.dump(ast.parse(TARGET.read_text("utf-8"))) == ast.dump(ast.parse(generated())), (
        "run: nox -s methods"
    )


def test_every_operator_is_a_method():
    """Each operator can be called on a flow, by its own name."""
    assert [name for name in op.__all__ if not callable(getattr(Flow, name, None))] == []
