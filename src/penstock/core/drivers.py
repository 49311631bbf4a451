"""Who asks: ``async for`` and the terminals, each choosing how much to request by slow start."""

from __future__ import annotations

from functools import reduce as fold
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core.run import STRETCH, Pace
from penstock.core.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from penstock.core.node import Node
    from penstock.core.run import Run

__all__ = ["LARGEST_REQUEST", "SlowStart", "consume", "first", "iterate", "reduce"]

T = TypeVar("T")
S = TypeVar("S")

LARGEST_REQUEST = 256
"""More would not make the cost of an ``await`` per item smaller, but 700 live objects wake the collector."""
QUICK = 0.001
SLOW = 0.004


class SlowStart:
    """How many items to ask for: 1 first, doubling while the *consumer* is quick, halving when it is slow.

    Only the time between two requests counts: waiting for upstream is no reason to ask for less.
    A fixed number can be asked for instead.
    """

    __slots__ = ("_fixed", "n")

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self.n = fixed or 1

    def took(self, seconds: float) -> None:
        """Learn from the time that the consumer needed for the last chunk."""
        if self._fixed is not None:
            return
        if seconds < QUICK:
            self.n = min(self.n * 2, LARGEST_REQUEST)
        elif seconds > SLOW and self.n > 1:
            self.n //= 2


async def iterate(root: Node, chunk: int | None = None) -> AsyncGenerator[Any, None]:
    """Yield the items of a graph; closes its subscription when it is left, also by ``break``."""
    demand = SlowStart(chunk)
    async with Running[Any](root) as subscription:
        request = subscription.request
        while items := await request(demand.n):
            began = perf_counter()
            for item in items:
                yield item
            demand.took(perf_counter() - began)


async def consume(root: Node, handle: Callable[[list[Any]], object], chunk: int | None = None) -> int:
    """Give all items to ``handle``, in slices that let the loop breathe; return how many there were."""
    demand, pace, total = SlowStart(chunk), Pace(), 0
    async with Running[Any](root) as subscription:
        run, request = subscription.run, subscription.request
        while items := await request(demand.n):
            began = perf_counter()
            total += len(items)
            if len(items) <= pace.size:
                handle(items)
                pace.took(perf_counter() - began)
            else:
                await _in_slices(items, handle, pace, run)
            now = perf_counter()
            demand.took(now - began)
            if now - run.stretch > STRETCH:
                await run.breathe()
    return total


async def _in_slices(items: list[Any], handle: Callable[[list[Any]], object], pace: Pace, run: Run) -> None:
    start = 0
    while start < len(items):
        began = perf_counter()
        handle(items[start : start + pace.size])
        start += pace.size
        pace.took(perf_counter() - began)
        if run.strained():
            await run.breathe()


async def reduce(root: Node, function: Callable[[S, Any], S], seed: S) -> S:
    """Fold all items from the left."""
    state = seed

    def handle(items: list[Any]) -> None:
        nonlocal state
        state = fold(function, items, state)

    await consume(root, handle)
    return state


async def first(root: Node) -> list[Any]:
    """Return the first item in a list, or an empty list."""
    async with Running[Any](root) as subscription:
        return await subscription.request(1)
