"""How ``async for`` iterates over a graph, and how many items a consumer requests at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.fusion.compiled_terminals import Drive
from penstock.fusion.loops import Emit
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from penstock.runtime.node import Node

LARGEST_REQUEST = 256
"""A larger request does not lower the cost per item, but 700 live objects start the garbage collector."""

QUICK = 0.001

SLOW = 0.004


class SlowStart:
    """How many items to request: from 1, doubling while the *consumer* is quick, halving when it is slow.

    Time spent waiting for upstream does not count: it is no reason to request less.
    """

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 1

    def took(self, seconds: float) -> None:
        """Adapt to the time that the consumer needed for the last chunk."""
        if seconds < QUICK:
            self.n = min(self.n * 2, LARGEST_REQUEST)
        elif seconds > SLOW and self.n > 1:
            self.n //= 2


def iterate(root: Node, chunk: int | None = None) -> AsyncGenerator[Any, None]:
    """Return the items of a graph as an async generator; ``chunk`` items per request if it is given.

    Closing the generator closes the run.
    """
    return Drive(root, Emit.ITERATE).iterate() if chunk is None else _chunked(root, chunk)


async def _chunked(root: Node, chunk: int) -> AsyncGenerator[Any, None]:
    async with Running[Any](root) as subscription:
        while items := await subscription.request(chunk):
            for item in items:
                yield item
