"""``interval`` and ``timer``: items made by the clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.runtime.arguments import seconds_for
from penstock.runtime.node import node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Interval", "Timer", "interval", "timer"]


def interval(seconds: float, *, name: str | None = None) -> Flow[int]:
    """Make 0, 1, 2, ..., one every ``seconds``, counted from the first request, without an end.

    A consumer that was away finds all those that are due, at once: put ``sample`` behind it to have only the
    last. The position is the next number, which in a resumed run comes ``seconds`` after its first request.
    """
    return flow_of(Interval(seconds=seconds_for("interval", "seconds", seconds), name=name))


def timer(seconds: float, *, name: str | None = None) -> Flow[int]:
    """Make one item, 0, ``seconds`` after the first request."""
    return flow_of(Timer(seconds=seconds_for("timer", "seconds", seconds, zero=True), name=name))


@node
class Interval(SourceNode):
    """0, 1, 2, ..., one every ``seconds``; the position is the next of them."""

    operator = "interval"

    seconds: float

    def start(self, site: Site) -> Stage[Any]:
        """Start; time is counted from the first request."""
        return _IntervalStage(site, self.seconds)


@node
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

    def upstreams(self) -> Iterator[Upstream[Any]]:
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
