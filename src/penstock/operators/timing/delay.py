"""``delay``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.runtime.arguments import positive, seconds_for
from penstock.runtime.feeder import Feeder, FeederStage
from penstock.runtime.node import Node, node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Upstream


def delay(seconds: float, capacity: int = 256) -> Same:
    """Emit each item ``seconds`` after it came, so that the time between items stays the same.

    Up to ``capacity`` items wait; no more are requested from upstream. The end is delayed like an item; an
    error comes directly after the items before it. A run that is drained still emits each item at its time.
    Positions stand before the waiting items; a resumed run reads and delays them again.
    """
    seconds = seconds_for("delay", "seconds", seconds, zero=True)
    positive("delay", "capacity", capacity)
    return attach(lambda node: Delay(inputs=(node,), seconds=seconds, capacity=capacity))


class _DelayFeeder(Feeder):
    """A feeder that knows when the items it holds, and the end, are due."""

    def __init__(self, stage: Upstream[Any], node: Delay, ready: Callable[[], None]) -> None:
        super().__init__(stage, node.capacity, ready)
        self._seconds = node.seconds
        self.due: deque[tuple[int, float]] = deque()  # how many items, and when
        self.end: float | None = None

    def put(self, items: list[Any]) -> None:
        super().put(items)
        self.due.append((len(items), asyncio.get_running_loop().time() + self._seconds))

    async def ask(self, n: int = 0) -> bool:
        done = await super().ask(n)
        if self.ended and self.end is None:
            self.end = asyncio.get_running_loop().time() + self._seconds
        return done

    def take(self, n: int, now: float) -> list[Any]:
        """Return up to ``n`` items that are due."""
        total, due = 0, self.due
        while due and total < n and due[0][1] <= now:
            count, when = due.popleft()
            if total + count > n:
                due.appendleft((total + count - n, when))
                count = n - total
            total += count
        return self.held.take(total) if total else []


@node
class Delay(Node):
    """Each item is emitted ``seconds`` after it came; at most ``capacity`` items wait."""

    operator = "delay"

    seconds: float
    capacity: int

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(self.capacity) + n


@runs(Delay)
class _DelayStage(FeederStage[_DelayFeeder]):
    def __init__(self, site: Site, node: Delay) -> None:
        super().__init__(site)
        self._feeder = _DelayFeeder(site.input(), node, self._ready.open)

    async def _request(self, n: int) -> list[Any]:
        loop, feeder = asyncio.get_running_loop(), self._feeder
        feeder.held.leave()
        if self.run.strained():
            await self.run.breathe()
        while not (items := feeder.take(n, loop.time())):
            deadline = feeder.due[0][1] if feeder.due else feeder.end
            if feeder.ended and not feeder.held:
                if feeder.failure is not None:
                    feeder.failure.throw()
                if self.run.draining or deadline is None or deadline <= loop.time():
                    feeder.held.take(1)  # takes no item, but moves the position to the end
                    return []
            feeder.feed()
            await self._ready.wait(deadline)
        feeder.feed()
        return items
