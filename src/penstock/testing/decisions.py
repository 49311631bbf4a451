"""The decisions of a seeded schedule: which task runs next, how late a timer is, how long a thread takes.

Each decision is a number below the number of options; 0 is always the choice of plain asyncio. So the
*deviations* from plain asyncio describe a whole schedule: ``{ordinal of the decision: number}``. A seed
draws decisions; deviations repeat them.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RARELY, _OFTEN = 0.1, 0.5
_NEW_PRIORITY = 0.1
_SELDOM = 0.03


class Decider:
    """Makes the decisions of a ``SeededLoop``; this one always decides as plain asyncio does."""

    def next_step(self, ready: Sequence[int]) -> int:
        """Choose an index of ``ready``: the tasks' numbers, in the order in which they became ready."""
        return self.amount(len(ready))

    def amount(self, options: int) -> int:  # noqa: ARG002  for deciders that choose
        """Choose one of ``options`` amounts of time; 0 is none."""
        return 0

    def seldom(self) -> int:
        """Choose whether a rare event happens (1) or not (0)."""
        return self.amount(2)


class Repeated(Decider):
    """Repeats deviations; all other decisions are those of plain asyncio."""

    def __init__(self, deviations: Mapping[int, int]) -> None:
        self._deviations = deviations
        self._made = 0

    def amount(self, options: int) -> int:
        """Return the recorded choice, or 0."""
        wanted = self._deviations.get(self._made, 0)
        self._made += 1
        return min(wanted, options - 1)


class Drawn(Decider):
    """Draws decisions from a seed, in one of three ways: it deviates rarely, often, or by priorities.

    A race that needs one step out of order shows soonest when all other steps keep their order. A race
    that needs a task to wait for long shows when each task has a priority that seldom changes.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  a schedule is no secret
        self._by_priority = seed % 3 == 0
        self._rate = _RARELY if seed % 3 == 1 else _OFTEN
        self._priorities: dict[int, float] = {}

    def next_step(self, ready: Sequence[int]) -> int:
        """Draw one of the ready steps."""
        return self._highest(ready) if self._by_priority else super().next_step(ready)

    def amount(self, options: int) -> int:
        """Draw an amount, mostly 0."""
        random = self._random.random
        return int(random() * options) if random() < self._rate else 0

    def seldom(self) -> int:
        """Draw 1 three times in a hundred."""
        return int(self._random.random() < _SELDOM)

    def _highest(self, ready: Sequence[int]) -> int:
        random, priorities = self._random.random, self._priorities
        for number in ready:
            if number not in priorities:
                priorities[number] = random()
        chosen = max(range(len(ready)), key=lambda at: priorities[ready[at]])
        if random() < _NEW_PRIORITY:  # or a task that polls would keep all others waiting
            priorities[ready[chosen]] = random()
        return chosen


def decider_of(seed: int) -> Decider:
    """Return the decider of ``seed``; seed 0 is plain asyncio."""
    return Drawn(seed) if seed else Decider()
