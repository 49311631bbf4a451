"""The reference flow keeps every law."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import laws
from penstock.testing.script import Sleep, Wait

from ..length import cases  # noqa: TID252  tests are no installed package
from .functions import spread
from .models import flat
from .toys import ToyCheckpoint, ToyFlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.testing import TestSource


WAITS = (Wait(1), Sleep(1), None)


def double(x: int) -> list[int]:
    return [x * 2]


def odd(x: int) -> list[int]:
    return [x] if x % 2 else []


@pytest.mark.parametrize("law", laws.LAWS)
@pytest.mark.parametrize(
    ("step", "pace"),
    cases(
        [(double, ()), (odd, WAITS), (spread, WAITS)], itertools.product([double, odd, spread], [(), WAITS])
    ),
)
def test_reference_keeps(law: str, step: Callable[[Any], list[Any]], pace: tuple[Any, ...]) -> None:
    """A correct flow passes each law's check, with and without a model."""

    def factory(source: TestSource) -> ToyFlow:
        return ToyFlow(source, step)

    for known in (None, flat(step)):
        others = [name for name in laws.LAWS if name != law]
        laws.check(
            factory, range(7), model=known, skip=others, attach=ToyCheckpoint, pace=pace, instant=not pace
        )
