"""Every source and operator keeps every law."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.testing import laws

from ..length import LONG  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES
from .entry import Entry, checkpointed

OF_EVENTS = {"batch_progress", "where"}
"""Operators that only a flow of an adapter's events takes; tests/documents hold them to a model."""

EVERYDAY = {"cancel_safe": ("turns", 0, 4), "closing": ("turns", 0, 7), "settled_by_demand": ("stops", 1, 3)}
"""What the laws that cost most try every day: the argument that names moments, the first, and then each k-th."""


@pytest.mark.parametrize("law", laws.LAWS)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_keeps(law: str, entry: Entry) -> None:
    """The law holds with its own default schedules, cuts and failures.

    Every day three laws disturb a run only at its first moment and at each fourth, seventh or third moment
    after it; neighbouring entries begin with different ones. ``nox -s laws`` tries every moment.
    """
    if law in entry.skip:
        pytest.skip("does not apply; the catalogue says why")
    options: dict[str, Any] = {}
    if law == "settled_by_demand":
        options["attach"] = checkpointed
    if law == "errors_speak":
        options["operator"] = entry.noted
    if law == "fair":
        options["items"] = 160  # more than may pass between two turns of the loop
    if law in EVERYDAY and not LONG:
        name, first, step = EVERYDAY[law]
        options[name] = [first, *range(first + 1 + ENTRIES.index(entry) % step, 10_000, step)]
    laws.LAWS[law](entry.subject, **options)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.bound], ids=lambda entry: entry.name)
def test_bound_is_that_of_law_1(entry: Entry) -> None:
    """``max_in_flight`` follows the recurrence of the design."""
    flow = entry.subject.start().flow
    assert entry.bound is not None
    assert [flow.max_in_flight(n) for n in range(1, 9)] == [entry.bound(n) for n in range(1, 9)]


def test_every_operator_and_source_has_an_entry() -> None:
    """The entries name the public operators and sources, and nothing else."""
    sources = {name for name in ps.__all__ if inspect.isfunction(getattr(ps, name))}
    named = {name for entry in ENTRIES for name in entry.operators}
    public = {*op.__all__, *sources} - OF_EVENTS
    assert sorted(public - named) == [], "add an Entry for each to tests/laws/entries_<family>.py"
    assert sorted(named - public) == [], "penstock or penstock.operators does not export these"


def test_every_entry_has_a_name_of_its_own() -> None:
    """An id of a test names one entry."""
    names = Counter(entry.name for entry in ENTRIES)
    assert [name for name, count in names.items() if count > 1] == []
