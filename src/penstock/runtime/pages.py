"""The marks of the chunks that an upstream returned, by the number of their first input."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.runtime.upstream import Marks

    Find = Callable[[int], tuple[Marks, int]]

_FEW = 64
"""So many chunks that no position needs are not worth a copy of the others."""


class Pages:
    """The chunks of numbered inputs, each with the number of its first input and its marks.

    The lists are never changed but at their end, so a function that ``find`` returns costs nothing before it
    is called, and stays valid.
    """

    __slots__ = ("_at", "_firsts", "_marks")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._marks: list[Marks] = []
        self._at = 0  # the first chunk that a position may need

    def add(self, first: int, marks: Marks) -> None:
        """Append a chunk whose first input has the number ``first``."""
        self._firsts.append(first)
        self._marks.append(marks)

    def forget(self, low: int) -> None:
        """Drop the chunks that end before input number ``low``."""
        firsts, at, last = self._firsts, self._at, len(self._firsts) - 1
        while at < last and firsts[at + 1] <= low:
            at += 1
        if at > _FEW and at * 2 > last:
            self._firsts, self._marks, at = firsts[at:], self._marks[at:], 0
        self._at = at

    def keep_ends(self) -> None:
        """Keep only the first and the last chunk."""
        if len(self._firsts) - self._at > 2:  # noqa: PLR2004  the two ends
            ends = self._at, -1
            self._firsts, self._marks = [self._firsts[k] for k in ends], [self._marks[k] for k in ends]
            self._at = 0

    def find(self) -> Find:
        """Return a function of an input's number: the marks of its chunk, and its offset there."""
        firsts, marks, at, stop = self._firsts, self._marks, self._at, len(self._firsts)

        def find(number: int) -> tuple[Marks, int]:
            k = bisect_right(firsts, number, at, stop) - 1
            return marks[k], number - firsts[k]

        return find
