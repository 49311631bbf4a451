"""Every source and operator keeps every law."""

from __future__ import annotations

from typing import Any

import pytest

import penstock.operators as op
from penstock.testing import laws

from .catalogue import ENTRIES, Entry, checkpointed

STYLES = ["generator", "seekable"]


@pytest.mark.parametrize("law", laws.LAWS)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_keeps(law: str, entry: Entry) -> None:
    """The law holds with its own default schedules, cuts and failures."""
    if law in entry.skip:
        pytest.skip("does not apply; the catalogue says why")
    options: dict[str, Any] = {}
    if law == "settled_by_demand":
        options["attach"] = checkpointed
    if law == "errors_speak":
        options["operator"] = entry.operator
    laws.LAWS[law](entry.subject, **options)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.bound], ids=lambda entry: entry.name)
def test_bound_is_that_of_law_1(entry: Entry) -> None:
    """``max_in_flight`` follows the recurrence of the design."""
    flow = entry.subject.start().flow
    assert entry.bound is not None
    assert [flow.max_in_flight(n) for n in range(1, 9)] == [entry.bound(n) for n in range(1, 9)]


def test_the_catalogue_holds_every_operator() -> None:
    """No operator goes without its laws; those of events have tests of their own."""
    names = " ".join(entry.name for entry in ENTRIES)
    missing = [name for name in op.__all__ if name not in names]
    assert sorted(missing) == ["batch_progress", "where"]
