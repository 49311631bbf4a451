"""Inputs of one upstream by number: which of them are settled, and where the first unsettled one stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.runtime.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from penstock.runtime.upstream import Marks, States


_FEW = 64
"""So many numbers that no position needs are not worth a copy of the others."""


class NumberedInputs:
    """Numbers inputs from 0, in upstream's order; keeps the low watermark and what is settled beyond it.

    The watermark ``low`` is the first input that is not settled. A position is upstream's position at the
    watermark, and the inputs settled beyond it, counted from there. A resumed run knows of settled inputs
    that it has not fetched yet; the watermark waits for them.

    Args:
        start: Upstream's marks before the first input.
        settled: The inputs that are settled already.
    """

    __slots__ = ("_end", "_log", "_pages", "_settled", "_settled_before", "fetched", "low")

    def __init__(self, start: Marks, settled: Iterable[int] = ()) -> None:
        self.low = 0
        self.fetched = 0
        """How many inputs were taken from upstream."""
        self._settled = set(settled)
        self._settled_before = frozenset(self._settled)
        self._log = list(self._settled)  # what was ever added to ``_settled``; it only grows, or is replaced
        self._pages = Pages()
        self._end: tuple[Marks, int] = (start, 0)  # behind all inputs that were fetched

    @property
    def span(self) -> int:
        """How many inputs were fetched from the watermark on."""
        return self.fetched - self.low

    def fetch(self, count: int, marks: Marks) -> Sequence[int]:
        """Number a page of ``count`` inputs that upstream returned; return the numbers of the unsettled ones.

        With a ``count`` of 0 this takes the marks of an upstream that has ended, or was started again.
        """
        first = self.fetched
        self.fetched += count
        self._end = (marks, count)
        if count:
            self._pages.add(first, marks)
        if not self._settled_before:
            return range(first, self.fetched)
        self.settle(())
        return [number for number in range(first, self.fetched) if number not in self._settled_before]

    def settle(self, numbers: Collection[int]) -> None:
        """Settle inputs, in any order."""
        low, settled = self.low, self._settled
        if numbers and not settled and max(numbers) - low + 1 == len(numbers):  # no gap, in any order
            self.low = low + len(numbers)
        else:
            settled.update(numbers)
            self._log.extend(numbers)
            self.low = _watermark(low, settled, self.fetched)
            if len(self._log) > 2 * len(settled) + _FEW:
                self._log = list(settled)
        self._pages.forget(self.low)

    def settle_next(self, count: int) -> None:
        """Settle the next ``count`` inputs from the watermark on; none beyond it may be settled."""
        self.low += count
        self._pages.forget(self.low)

    def place(self) -> tuple[Marks, int]:
        """Return the marks of the watermark's page, and its offset there."""
        return self._end if self.low >= self.fetched else self._pages.find()(self.low)

    def beyond(self) -> list[int]:
        """Return the inputs settled beyond the watermark, counted from there."""
        return sorted(number - self.low for number in self._settled)

    def marks(self) -> Callable[[Collection[int]], tuple[States, list[int]]]:
        """Return a function for positions: ``at(numbers)`` as if these inputs were settled too.

        It returns upstream's states at the watermark, and the inputs beyond, and stays valid. It costs
        nothing before it is called.
        """
        low, log, length, find = self.low, self._log, len(self._log), self._pages.find()
        end, fetched = self._end, self.fetched

        def at(numbers: Collection[int]) -> tuple[States, list[int]]:
            beyond = {number for number in log[:length] if number >= low}
            beyond.update(numbers)
            mark = _watermark(low, beyond, fetched)
            marks, offset = end if mark >= fetched else find(mark)
            return marks(offset), sorted(number - mark for number in beyond)

        return at


def _watermark(low: int, settled: set[int], fetched: int) -> int:
    """Take out of ``settled`` what follows ``low`` without a gap; return where that ends."""
    while low in settled and low < fetched:
        settled.discard(low)
        low += 1
    return low
