"""The decisions of a seeded schedule: who goes next, how late a timer is, how long a thread takes.

Each decision is a number below the number of options, and 0 is always what asyncio itself would do. So
a schedule is the list of its *deviations* from plain asyncio: ``{ordinal of the decision: number}``.
Seeds draw the decisions, and a list of deviations repeats them.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Decider", "Drawn", "Repeated", "decider_of"]

_RARELY, _OFTEN = 0.1, 0.5
_NEW_PRIORITY = 0.1
_SELDOM = 0.03


class Decider(Protocol):
    """What a ``SeededLoop`` asks."""

    def next_step(self, ready: Sequence[int]) -> int:
        """Choose among the ready steps: the numbers of their tasks, in the order they became ready."""
        ...

    def amount(self, options: int) -> int:
        """Choose one of ``options`` amounts of time, 0 being none."""
        ...

    def seldom(self) -> int:
        """Choose whether something happens (1) that hardly ever does."""
        ...


class Repeated:
    """Repeats deviations; every other decision is that of plain asyncio."""

    def __init__(self, deviations: Mapping[int, int]) -> None:
        self._deviations = deviations
        self._made = 0

    def next_step(self, ready: Sequence[int]) -> int:
        """Return what is written down, or the first that became ready."""
        return self.amount(len(ready))

    def amount(self, options: int) -> int:
        """Return what is written down, or none."""
        wanted = self._deviations.get(self._made, 0)
        self._made += 1
        return min(wanted, options - 1)

    def seldom(self) -> int:
        """Return what is written down, or 0."""
        return self.amount(2)


class Drawn:
    """Draws decisions from a seed; every third seed deviates rarely, often, or by priorities.

    A race that needs one step out of turn shows soonest when all others stay in turn; one that needs a
    task to be left behind for long shows when each task has a priority that seldom changes.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  a schedule is no secret
        self._by_priority = seed % 3 == 0
        self._rate = _RARELY if seed % 3 == 1 else _OFTEN
        self._priorities: dict[int, float] = {}

    def next_step(self, ready: Sequence[int]) -> int:
        """Draw one of the ready steps."""
        if self._by_priority:
            return self._highest(ready)
        return self.amount(len(ready))

    def amount(self, options: int) -> int:
        """Draw an amount, none at all most of the time."""
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
        if random() < _NEW_PRIORITY:  # so that a task that waits by polling cannot keep all others out
            priorities[ready[chosen]] = random()
        return chosen


def decider_of(seed: int) -> Decider:
    """Return what decides for ``seed``; seed 0 is plain asyncio."""
    return Drawn(seed) if seed else Repeated({})
