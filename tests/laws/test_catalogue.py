"""Every source and operator keeps every law."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import penstock as ps
import penstock.operators as op
from penstock.testing import laws

from .catalogue import ENTRIES
from .everyday import keep, laws_of

if TYPE_CHECKING:
    from .entry import Entry

OF_EVENTS = {"batch_progress", "where"}
"""Operators that only a flow of an adapter's events takes; tests/documents hold them to a model."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_keeps(entry: Entry) -> None:
    """The laws hold with their own default schedules, cuts and failures.

    ``everyday.py`` says which laws an entry is held to every day, and at which moments.
    """
    broken: list[Exception] = []
    for law in laws_of(entry):
        try:
            keep(law, entry)
        except laws.LawViolation as violation:
            broken.append(violation)
    if broken:
        raise ExceptionGroup(f"{entry.name} breaks laws", broken)


def test_every_operator_is_held_to_every_law_every_day() -> None:
    """For each operator and each law, an entry that the law applies to is held to it, if there is one."""
    for law in laws.LAWS:
        held = {name for entry in ENTRIES if law in laws_of(entry) for name in entry.operators}
        assert held == {name for entry in ENTRIES if law not in entry.skip for name in entry.operators}


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
