"""The base class of running nodes."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.abc import StageStatistics
from penstock.runtime.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from penstock.runtime.node import Site, Vertex
    from penstock.runtime.upstream import Marks, States


__all__ = ["Stage", "behind", "stop"]

T = TypeVar("T")


class Stage(Upstream[T]):
    """The base of every running node: counts requests and closes what is above.

    Subclasses write ``_request``, ``marks`` and ``upstreams``, and ``_stop`` if they own anything.
    """

    def __init__(self, site: Site) -> None:
        self.run = site.run
        self.site = site
        self.requests = 0
        self.requested = 0
        self.delivered = 0
        self.dropped = 0
        self.waiting = 0.0
        self.since: float | None = None
        self._asked: float | None = None  # when the request that is under way began
        self._closed = False

    async def request(self, n: int) -> list[T]:
        """Count the request, then call ``_request``."""
        n = min(
            n, sys.maxsize
        )  # the most that lists and islice can count; no stage needs to check its own sums
        self.requests += 1
        self.requested += n
        began = self._asked = self.run.clock.monotonic()
        if self.since is None:
            self.since = began
        try:
            items = await self._request(n)
        finally:
            self.waiting += self.run.clock.monotonic() - began
            self._asked = None
        self.delivered += len(items)
        return items

    @abstractmethod
    async def _request(self, n: int) -> list[T]: ...

    @abstractmethod
    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the running nodes this one pulls from."""

    @property
    def buffered(self) -> int:
        """How many items it holds for later requests; for statistics."""
        return 0

    async def settle(self, count: int) -> None:
        """Do nothing: only what may stand behind a checkpoint passes this on."""

    async def aclose(self) -> None:
        """Call ``_stop``, then close every upstream."""
        if self._closed:
            return
        self._closed = True
        errors: list[BaseException] = []
        for close in (self._stop, *(stage.aclose for stage in self.upstreams())):
            try:
                await close()
            except Exception as error:  # noqa: BLE001  everything is closed first, then the first error is raised
                errors.append(error)
        if errors:
            raise errors[0] if len(errors) == 1 else ExceptionGroup("errors while closing", errors)  # type: ignore[type-var]

    async def _stop(self) -> None:
        """End this stage's own tasks, generators and files."""

    def figures(self, places: Mapping[int, int]) -> Iterator[StageStatistics]:  # noqa: D102
        for stage in self.upstreams():
            yield from stage.figures(places)
        yield self.measured(places)

    def waited(self, now: float) -> float:  # noqa: D102
        return self.waiting + (now - self._asked if self._asked is not None else 0.0)

    def measured(self, places: Mapping[int, int]) -> StageStatistics:
        """Return what it has done so far; ``places`` are the keys of vertices by identity."""
        now = self.run.clock.monotonic()
        waiting = self.waited(now)
        upstream = min(waiting, sum(stage.waited(now) for stage in self.upstreams()))
        idle = 0.0 if self.since is None else max(0.0, now - self.since - waiting)
        keys = tuple(places[id(vertex)] for vertex in self.vertices() if id(vertex) in places)
        operators = " | ".join(vertex.node.describe() for vertex in self.vertices())
        return StageStatistics(
            self.title(), self.requested, self.delivered, self.requests, waiting,
            self.dropped, self.buffered, upstream, idle, keys, operators,
        )  # fmt: skip

    def vertices(self) -> Sequence[Vertex]:
        """Return the vertices that run here."""
        return (self.site.vertex,)

    def title(self) -> str:  # noqa: D102
        return self.site.vertex.node.operator


def behind(ended: Iterable[Marks]) -> States:
    """Return where inputs stand that have ended, given their last marks.

    Keep these, and call this only when a position is asked for: it fails where they cannot give one.
    """
    states: States = {}
    for marks in ended:
        states.update(marks(0))
    return states


async def stop(task: asyncio.Task[Any] | None) -> None:
    """Cancel ``task``, wait for its end, and raise what it raised instead of being cancelled."""
    if task is None:
        return
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
