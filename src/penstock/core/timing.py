"""Stages that look at the clock and hold nothing, or hold items for a while; and sources of ticks.

All deadlines are read on the loop's clock: they are exact in virtual time, and a change of the machine's
time of day does not matter to them. Where upstream is given so many seconds, they are seconds in which it
was being asked: a consumer that takes its time uses up none of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from math import ulp
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.core.boundaries import Feeder
from penstock.core.node import Node, Order
from penstock.core.notes import Failure, annotate
from penstock.core.run import Gate
from penstock.core.sources import SourceNode
from penstock.core.stage import Stage, behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States

__all__ = [
    "Delay",
    "Elapsed",
    "Interval",
    "KeepAlive",
    "Patience",
    "Throttle",
    "Timeout",
    "TimeoutFallback",
    "Timer",
    "Timestamp",
]


class Patience:
    """How many seconds upstream has left to answer; they pass only while it is being asked.

    What runs out of patience cancels the request in which it asks: by law 7 that loses nothing and
    withdraws the demand, so that no task is needed between two stages.
    """

    __slots__ = ("left",)

    def __init__(self, seconds: float | None) -> None:
        self.left = seconds
        """``None`` is for ever."""

    async def ask(self, stage: Stage[Any], n: int) -> list[Any] | None:
        """Return what ``stage`` answers, or ``None`` if the seconds are over before it does."""
        if self.left is None:
            return await stage.request(n)
        loop, failure, items = asyncio.get_running_loop(), None, None
        began = loop.time()
        try:
            async with asyncio.timeout_at(began + max(self.left, 0.0)):
                try:
                    items = await stage.request(n)
                except Exception as error:  # noqa: BLE001  raised below: it may be a TimeoutError of its own
                    failure = Failure(error)
        except TimeoutError:
            return None
        finally:
            self.left -= loop.time() - began
        if failure is not None:
            failure.throw()
        return items


class PassingStage(Stage[Any]):
    """What stages share that pass on one upstream's items, chunk by chunk."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.upstream = site.input(tracked=site.tracked)

    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield the one upstream."""
        yield self.upstream

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        return self.upstream.marks()


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


# -- timeout -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeout(Node):
    """An error, if upstream is asked for longer than ``first`` or ``each`` seconds and gives nothing."""

    operator = "timeout"

    first: float | None
    each: float | None

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _TimeoutStage(site, self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeoutFallback(Timeout):
    """Instead of the error, the items of the second input."""

    stateful = True
    own_order = Order.TIMED

    @property
    def structure(self) -> str:
        """Part of the shape: the other form has no state."""
        return "(fallback)"

    @property
    def repeatable(self) -> bool:
        """False: which input gives the next item is a matter of time."""
        return False

    def bound(self, n: int) -> float:
        """Return the larger bound of the two."""
        return max(node.bound(n) for node in self.inputs)


class _TimeoutStage(Stage[Any]):
    """Its state, if it has one, is whether it has gone over to the second input."""

    def __init__(self, site: Site, node: Timeout) -> None:
        super().__init__(site)
        self._node = node
        self._over = bool(site.state)
        self._current = site.input(1 if self._over else 0, tracked=site.tracked)
        self._patience = Patience(None if self._over else node.first)
        self._limit = node.first
        self._others: States = dict(site.states) if node.stateful else {}
        self._left: tuple[Marks, ...] = ()  # of the first input, when it took too long
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Stage[Any]]:
        yield self._current

    def marks(self) -> Marks:
        above = self._current.marks()
        if not self._node.stateful:
            return above
        key, others, left, over = self.site.vertex.id, self._others, self._left, self._over
        return lambda i: {**others, **behind(left), **above(i), key: over}

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        items = await self._patience.ask(self._current, n)
        if items is not None:
            if not self._over:
                self._patience.left = self._limit = self._node.each
            return items
        if not self._node.stateful:
            self._fail()
        if self.run.draining:
            return []
        self._left = (self._current.marks(),)
        self.run.release(self._current)
        self._current = self.site.input(1, tracked=self.site.tracked)
        self._over, self._patience = True, Patience(None)
        return await self._current.request(n)

    def _fail(self) -> NoReturn:
        error = TimeoutError(f"{self._current.title()} gave no item within {self._limit:g} s")
        annotate(error, self._node.describe())
        self._failure = Failure(error)
        self._failure.throw()


# -- keep_alive --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeepAlive(Node):
    """``item`` whenever upstream was asked for ``seconds`` and had nothing."""

    operator = "keep_alive"
    own_order = Order.TIMED

    seconds: float
    item: Any

    @property
    def repeatable(self) -> bool:
        """False: a resumed run does not begin with an inserted item, though it may have been cut there."""
        return False

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _KeepAliveStage(site, self)


class _KeepAliveStage(PassingStage):
    def __init__(self, site: Site, node: KeepAlive) -> None:
        super().__init__(site)
        self._node = node
        self._patience = Patience(node.seconds)
        self._inserted = False

    def marks(self) -> Marks:
        above = self.upstream.marks()
        return (lambda _: above(0)) if self._inserted else above

    async def _request(self, n: int) -> list[Any]:
        self._inserted = False
        items = await self._patience.ask(self.upstream, n)
        self._patience.left = self._node.seconds
        if items is None:
            self._inserted = True
            return [self._node.item]
        return items


# -- timestamp, elapsed ------------------------------------------------------------------------------


class Timestamp(Node):
    """``(Unix time, item)``."""

    operator = "timestamp"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _TimestampStage(site)


class _TimestampStage(PassingStage):
    async def _request(self, n: int) -> list[Any]:
        items = await self.upstream.request(n)
        now = self.run.clock.time()
        return [(now, item) for item in items]


class Elapsed(Node):
    """``(seconds since the item before, item)``."""

    operator = "elapsed"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _ElapsedStage(site)


class _ElapsedStage(PassingStage):
    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._before: float | None = None

    async def _request(self, n: int) -> list[Any]:
        clock = self.run.clock.monotonic
        before = self._before
        if before is None:
            before = self._before = clock()
        items = await self.upstream.request(n)
        if not items:
            return []
        self._before = now = clock()
        return [(now - before, items[0]), *((0.0, item) for item in items[1:])]


# -- interval, timer ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interval(SourceNode):
    """0, 1, 2, ..., one every ``seconds``; the position is the next of them."""

    operator = "interval"

    seconds: float

    def start(self, site: Site) -> Stage[Any]:
        """Start; time is counted from the first request."""
        return _IntervalStage(site, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timer(Interval):
    """0 after ``seconds``."""

    operator = "timer"

    def start(self, site: Site) -> Stage[Any]:
        """Start; time is counted from the first request."""
        return _IntervalStage(site, self.seconds, end=1)


class _IntervalStage(Stage[Any]):
    def __init__(self, site: Site, seconds: float, end: float = float("inf")) -> None:
        super().__init__(site)
        self._seconds = seconds
        self._end = end
        self._first: int = site.state or 0
        self._index = self._before = self._first
        self._began: float | None = None
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Stage[Any]]:
        return iter(())

    def marks(self) -> Marks:
        key, before = self.site.vertex.id, self._before
        return lambda i: {key: before + i}

    async def _request(self, n: int) -> list[Any]:
        self._before = self._index
        if self.run.strained():
            await self.run.breathe()
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        while self._index < self._end and not self.run.draining:
            now, next_one = loop.time(), self._index + 1 - self._first
            deadline = self._began + next_one * self._seconds
            if now >= deadline:  # and not the seconds passed, which may be rounded to less at the deadline
                ticks = max(next_one, int((now - self._began) / self._seconds) if self._seconds else 1)
                self._index = int(min(self._index + n, self._first + ticks, self._end))
                return list(range(self._before, self._index))
            await self._gate.wait(deadline)
        return []
