"""A violation says which promise was broken, what came instead, and how to see it again."""

from __future__ import annotations

from typing import Any

import pytest

import penstock.operators as op
from penstock.testing import LawViolation, Subject, TestSource, laws


def numbered(source: TestSource) -> Any:
    """Number the items with a counter that all runs share."""
    count = 0

    def number(item: int) -> tuple[int, int]:
        nonlocal count
        count += 1
        return count, item

    return source | op.map(number)


def test_the_message_has_the_promise_the_difference_and_the_parameters() -> None:
    """The first line is the promise and the first difference; one line per parameter follows."""
    with pytest.raises(LawViolation) as caught:
        laws.cold(Subject(numbered, (range(2),)), schedule=(2,))
    first, *others = str(caught.value).splitlines()
    assert first.startswith("law of cold: each subscription should start afresh; item ")
    assert "  schedule = (2,)" in others
    assert others[-1] == "  Reactive Streams 1.9, 1.10, 1.11"


def test_the_subject_is_kept_but_not_shown() -> None:
    """``replay`` has the subject, whose text is long; the message leaves it out."""

    def wrong(source: TestSource) -> Any:
        return source | op.map(lambda n: n + 1)

    with pytest.raises(LawViolation) as caught:
        laws.chunk_invariance(Subject(wrong, (range(3),), lambda items: items))
    assert set(caught.value.replay) == {"wanted", "came", "schedule", "subject"}
    assert "subject" not in str(caught.value)
