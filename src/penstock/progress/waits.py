"""Which stage a run waits for, from its statistics."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.statistics import Statistics

_EVERY = 1.0
"""Seconds from one look at the statistics to the next."""

_WORDS = {"from_pages": "the source", "parse": "parsing", "documents": "parsing and steps"}
"""The stages of an ingestion, as people call them. Stages of other flows keep their names."""

_OUTPUT = "the output"


class Waits:
    """Compares two looks at the statistics of a run: what took most of the time in between?

    Args:
        statistics: Returns the figures of the stages. It may fail while the run changes; then the last answer
            stays.
        clock: Returns seconds.
    """

    def __init__(self, statistics: Callable[[], Statistics], clock: Callable[[], float]) -> None:
        self._statistics = statistics
        self._clock = clock
        self._looked = float("-inf")
        self._before: list[float] = []
        self._answer: str | None = None

    def look(self) -> str | None:
        """Return the stage that took most of the last second or more, in words; ``None`` if none did."""
        now = self._clock()
        if now - self._looked >= _EVERY:
            self._looked = now
            with suppress(Exception):  # the run may change while another thread reads
                self._compare(self._statistics())
        return self._answer

    def _compare(self, seen: Statistics) -> None:
        stages = seen.stages
        if not stages:
            return
        spent = [*(stage.busy for stage in stages), stages[-1].idle]
        before = self._before if len(spent) == len(self._before) else [0.0] * len(spent)
        grown = [now - then for now, then in zip(spent, before, strict=True)]
        if min(grown) < 0:  # another run has begun
            grown = spent
        self._before = spent
        longest = max(grown)
        if longest > 0:
            name = [*(stage.name for stage in stages), _OUTPUT][grown.index(longest)]
            self._answer = _WORDS.get(name, name)
