"""Explanations of errors of the system."""

from __future__ import annotations

import pytest

from penstock.system import reason_in


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (
            'Failed to commit: Could not write file "a.wal": No space left on device',
            "the disk is full; free some space",
        ),
        ('Could not write file "a.wal": File too large', "ulimit -f"),
        ("Cannot open file: Permission denied", "change its permissions"),
    ],
)
def test_a_reason_in_the_words_of_another_library(message: str, says: str) -> None:
    """An error of the system that another library quotes is recognized and explained."""
    assert says in str(reason_in(message))


def test_a_message_about_something_else_has_none() -> None:
    """A message without an error of the system has no reason."""
    assert reason_in("Conversion Error: no such date") is None
