"""A set of ids in constant memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.documents.revised_ids import RevisedIds


@given(st.lists(st.text()), st.lists(st.text()))
def test_it_knows_its_members(members: list[str], others: list[str]) -> None:
    """It contains all members and no others of a few; without members it is false."""
    revised = RevisedIds()
    assert not revised
    assert not any(one in revised for one in others)
    revised.update(members)
    assert bool(revised) == bool(members)
    assert all(one in revised for one in members)
    assert not any(one in revised for one in others if one not in members)


def test_lone_surrogates_are_ids_too() -> None:
    """A source may use any string as an id."""
    revised = RevisedIds()
    revised.add("\ud800")
    assert "\ud800" in revised
    assert "\ud801" not in revised


def test_with_many_members_it_is_seldom_wrong() -> None:
    """With 100,000 members, none of 20,000 other ids is reported as a member."""
    revised = RevisedIds()
    revised.update(f"PMID:{n}.1" for n in range(100_000))
    assert not any(f"PMID:{n}.1" in revised for n in range(100_000, 120_000))
