"""The sources ``interval`` and ``timer``, flows of ticks of the clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.runtime.arguments import seconds_for, text_for
from penstock.runtime.node import Site, node
from penstock.runtime.run import Gate
from penstock.runtime.stream import flow_of
from penstock.sources.source import IndexedStage, SourceNode, SourceStage

if TYPE_CHECKING:
    from penstock.flow import Flow


def interval(seconds: float, *, name: str | None = None) -> Flow[int]:
    """Create an endless flow of 0, 1, 2, … with one item every ``seconds`` from the first request on.

    A slow consumer gets all items that are due at once; apply ``sample`` to get only the newest one. The
    position is the next number. In a resumed run it comes ``seconds`` after the first request.
    """
    text_for("interval", "name", name, optional=True)
    return flow_of(Interval(seconds=seconds_for("interval", "seconds", seconds), name=name))


def timer(seconds: float, *, name: str | None = None) -> Flow[int]:
    """Create a flow of one item, 0, which comes ``seconds`` after the first request."""
    text_for("timer", "name", name, optional=True)
    return flow_of(Timer(seconds=seconds_for("timer", "seconds", seconds, zero=True), name=name))


@node
class Interval(SourceNode):
    """Yields 0, 1, 2, …, one every ``seconds``."""

    operator = "interval"

    seconds: float

    def start(self, site: Site) -> SourceStage:
        return _IntervalStage(site, self.seconds)


@node
class Timer(Interval):
    """Yields 0 after ``seconds``."""

    operator = "timer"

    def start(self, site: Site) -> SourceStage:
        return _IntervalStage(site, self.seconds, end=1)


class _IntervalStage(IndexedStage):
    def __init__(self, site: Site, seconds: float, end: float = float("inf")) -> None:
        super().__init__(site)
        self._seconds = seconds
        self._end = end
        self._first = self._index
        self._began: float | None = None
        self._gate = Gate(self.run)

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
            if now >= deadline:  # the seconds that passed may be rounded down at the deadline
                ticks = max(next_one, int((now - self._began) / self._seconds) if self._seconds else 1)
                self._index = int(min(self._index + n, self._first + ticks, self._end))
                return list(range(self._before, self._index))
            await self._gate.wait(deadline)
        return []
