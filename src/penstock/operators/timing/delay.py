"""``delay``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.runtime.arguments import positive, seconds_for
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Delay", "delay"]


def delay(seconds: float, capacity: int = 256) -> Same:
    """Let each item pass ``seconds`` after it came, so that the time between items stays what it was.

    Up to ``capacity`` items wait; upstream is not asked for more than that. The end waits as long as an
    item does, an error only for the items before it. A run that is drained still gives each item in its
    time. Positions stand before the items that wait, which a resumed run reads, and delays, again.
    """
    seconds = seconds_for("delay", "seconds", seconds, zero=True)
    positive("delay", "capacity", capacity)
    return attach(lambda node: Delay(inputs=(node,), seconds=seconds, capacity=capacity))


@node
class Delay(Node):
    """Each item goes out ``seconds`` after it came; at most ``capacity`` of them wait at a time."""

    operator = "delay"

    seconds: float
    capacity: int

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + n."""
        return self.inputs[0].bound(self.capacity) + n

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its task starts with the first request."""
        return _DelayStage(site, self)


class _Ripening(Feeder):
    """Remembers of the items it holds, and of the end, when each may go out."""

    def __init__(self, stage: Upstream[Any], node: Delay, ready: Callable[[], None]) -> None:
        super().__init__(stage, node.capacity, ready)
        self._seconds = node.seconds
        self.due: deque[tuple[int, float]] = deque()  # how many items, and when
        self.end: float | None = None

    def put(self, items: list[Any]) -> None:
        super().put(items)
        self.due.append((len(items), asyncio.get_running_loop().time() + self._seconds))

    async def ask(self) -> bool:
        done = await super().ask()
        if self.ended and self.end is None:
            self.end = asyncio.get_running_loop().time() + self._seconds
        return done

    def take(self, n: int, now: float) -> list[Any]:
        """Return up to ``n`` of the items whose time has come."""
        ripe, late = 0, self.due
        while late and ripe < n and late[0][1] <= now:
            count, when = late.popleft()
            if ripe + count > n:
                late.appendleft((ripe + count - n, when))
                count = n - ripe
            ripe += count
        return self.held.take(ripe) if ripe else []


class _DelayStage(Stage[Any]):
    def __init__(self, site: Site, node: Delay) -> None:
        super().__init__(site)
        self._ready = Gate(self.run)
        self._feeder = _Ripening(site.input(), node, self._ready.open)

    @property
    def buffered(self) -> int:
        return len(self._feeder.held)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._feeder.stage

    def marks(self) -> Marks:
        return self._feeder.held.marks()

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
                    feeder.held.take(1)  # nothing: it moves the position to the end
                    return []
            feeder.feed()
            await self._ready.wait(deadline)
        feeder.feed()
        return items

    async def _stop(self) -> None:
        await self._feeder.stop()
