"""The state of the event stage, as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.documents.counts import Counts
from penstock.documents.state import EventStageState
from penstock.errors import PositionError

NUMBERS = st.integers(0, 1 << 40)
STATES = st.builds(
    EventStageState,
    state=st.sampled_from(["new", "running", "completed", "incomplete", "failed"]),
    counts=st.builds(Counts, *[NUMBERS] * 7),
    open=st.dictionaries(NUMBERS, NUMBERS, max_size=4),
    acked=st.lists(NUMBERS, max_size=4),
    progress_due=st.booleans(),
    final_progress=st.booleans(),
    limited=st.booleans(),
    from_beginning=st.booleans(),
    first_run=st.none() | NUMBERS,
    promised=st.none() | NUMBERS,
)


@given(STATES)
def test_a_state_survives_json(state: EventStageState) -> None:
    """Every field comes back from text, and later changes do not reach what was written."""
    written = state.to_json()
    text = json.dumps(written)
    assert EventStageState.from_json(json.loads(text)) == state
    state.open[0] = state.counts.failed = 1 << 41
    state.acked.append(0)
    assert json.dumps(written) == text


def test_a_state_of_an_older_version_is_read() -> None:
    """The names in JSON are those of the first version; missing fields have their defaults."""
    counts = {
        "completed": 3,
        "failed": 1,
        "skipped": 0,
        "deleted": 1,
        "retried": 2,
        "changed": 0,
        "unchanged": 0,
    }
    old = {"since": 2, "state": "running", "counts": counts, "open": {"0": 1}, "owed": True, "acked": [2]}
    state = EventStageState.from_json(old)
    assert (state.first_run, state.open, state.acked, state.progress_due) == (2, {0: 1}, [2], True)
    assert (state.counts.settled, state.from_beginning, state.promised) == (4, True, None)
    assert set(state.to_json()) == {*old, "tail", "limited", "whole", "promised"}


def test_a_state_that_cannot_be_read_is_refused() -> None:
    """The error names the field."""
    with pytest.raises(PositionError, match=r"counts\.completed"):
        EventStageState.from_json({"counts": {"completed": "many"}})


def test_a_position_without_an_event_stage_has_a_new_state() -> None:
    """So has no position at all."""
    assert (
        EventStageState.in_position(None) == EventStageState.in_position({"nodes": {}}) == EventStageState()
    )
