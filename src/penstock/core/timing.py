"""Stages that look at the clock and hold nothing: how long upstream takes, and when items come.

All deadlines are read on the loop's clock: they are exact in virtual time, and a change of the machine's
time of day does not matter to them. Where upstream is given so many seconds, they are seconds in which it
was being asked: a consumer that takes its time uses up none of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.core.node import Node, Order
from penstock.core.notes import Failure, annotate
from penstock.core.passing import PassingStage
from penstock.core.stage import Stage, behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States

__all__ = ["Elapsed", "KeepAlive", "Patience", "Timeout", "TimeoutFallback", "Timestamp"]


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
