"""How long the tests run: a choice of cases every day, every combination in ``nox -s laws``."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

Case = TypeVar("Case")

LONG = settings.get_current_profile_name() == "laws"
"""Whether this is the long run: the Hypothesis profile ``laws`` says so."""


def cases(everyday: Iterable[Case], product: Iterable[Case]) -> Iterable[Case]:
    """Return the cases of a test: a choice every day, every combination in the long run.

    The choice must meet each path of the code at least once.
    """
    return product if LONG else everyday


def sampled(product: Iterable[Case], every: int, first: int = 0) -> Iterable[Case]:
    """Return each ``every``-th case, beginning with number ``first % every``; in the long run all of them.

    Tests that share a kind of check give different ``first``, so that together they try most cases every day.
    """
    return product if LONG else islice(product, first % every, None, every)
