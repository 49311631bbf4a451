"""The exceptions of Penstock can be sent to other processes."""

from __future__ import annotations

import pickle

import pytest

from penstock import errors
from penstock.testing.exploring import RaceFound
from penstock.testing.laws import LawViolation

OTHERS = {
    "CircuitOpen": errors.CircuitOpen(3, 1.5),
    "UnwrapError": errors.UnwrapError({"code": 5}),
    "DocumentError": errors.DocumentError("no title", retryable=True),
    "MissingExtra": errors.MissingExtra("reading Parquet", "parquet"),
    "LawViolation": LawViolation("demand", "too many", n=3),
    "RaceFound": RaceFound(1, {2: 3}, "lost"),
}


@pytest.mark.parametrize("name", [*errors.__all__, "LawViolation", "RaceFound"])
def test_errors_can_be_pickled(name: str) -> None:
    """A copy has the same class, text, attributes and notes."""
    error = OTHERS.get(name) or getattr(errors, name)("what happened")
    error.add_note("penstock: in map")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)
    assert vars(copy) == vars(error)
