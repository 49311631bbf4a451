"""How long the tests run: a choice of cases every day, every combination in ``nox -s laws``."""

from __future__ import annotations

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
