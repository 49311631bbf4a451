"""Stages that let items pass later than they could: so many in a time, or a while after they came.

All deadlines are read on the loop's clock, as those of ``timing`` are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from math import ulp
from typing import TYPE_CHECKING, Any

from penstock.core.boundaries import Feeder
from penstock.core.node import Node
from penstock.core.passing import PassingStage
from penstock.core.run import Gate
from penstock.core.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks

__all__ = ["Delay", "Throttle"]


# -- throttle ----------------------------------------------------------------------------------------


SLACK = 1e-6
"""The part of an item that may be missing to a whole one: sums of times are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Throttle(Node):
    """Upstream is asked for no more than a token bucket holds: ``rate`` tokens flow into it per second."""

    operator = "throttle"

    rate: float
    burst: int

    def start(self, site: Site) -> Stage[Any]:
        """Start with a full bucket."""
        return _ThrottleStage(site, self)


class _ThrottleStage(PassingStage):
    def __init__(self, site: Site, node: Throttle) -> None:
        super().__init__(site)
        self._rate = node.rate
        self._burst = node.burst
        self._tokens = float(node.burst)
        self._filled: float | None = None  # when tokens were last added
        self._gate = Gate(self.run)
        self._count = 0  # items of the last chunk
        self._waiting = False

    def marks(self) -> Marks:
        above, count = self.upstream.marks(), self._count
        return (lambda i: above(count + i)) if self._waiting else above

    async def _request(self, n: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        self._waiting = True  # that is: upstream still thinks that its last chunk is being read
        while (allowed := self._fill(now := loop.time())) < 1:
            seconds = max((1 - self._tokens) / self._rate, ulp(now))  # less would be no time at all
            await self._gate.wait(now + seconds)
        self._waiting, self._count = False, 0
        items = await self.upstream.request(min(n, allowed))
        self._fill(loop.time())
        self._tokens -= len(items)
        self._count = len(items)
        return items

    def _fill(self, now: float) -> int:
        """Add the tokens that have flowed in; return how many whole ones there are."""
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return int(self._tokens + SLACK)


# -- delay -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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

    def __init__(self, stage: Stage[Any], node: Delay, ready: Callable[[], None]) -> None:
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

    def upstreams(self) -> Iterator[Stage[Any]]:
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
