"""The running side of a node: what every stage promises to the one below it."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.abc import StageStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from penstock.runtime.graph import Site, Vertex


__all__ = ["Marks", "Stage", "States", "behind", "stop"]

T = TypeVar("T")

States = dict[str, Any]
"""The states of all stateful nodes at and above a stage, by id."""

Marks = Callable[[int], States]
"""``marks(i)``: the position behind the first ``i`` items of the last chunk."""


class Stage(ABC, Generic[T]):
    """One running node. Only its downstream calls it, one call at a time.

    ``request`` may await nothing but gates, turns of the loop, and its upstream's ``request``; what it
    has taken from upstream is stored in the stage before anything else is awaited.
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
        """Return 1 to ``n`` items; the empty list is the end. Counts, then asks ``_request``.

        An ``n`` beyond what lists and ``islice`` can count is as good as the most they can: a stage that asks
        for more than it was asked for need not think of it.
        """
        n = min(n, sys.maxsize)
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

    async def lazily(self, n: int) -> Iterable[T]:
        """Do what ``request`` does, for a driver that reads all of it before it asks for more.

        The items may be made as they are read, so that nobody holds them together. What is true may yet
        turn out to be without items; only what is false is the end.
        """
        return await self.request(n)

    @abstractmethod
    def marks(self) -> Marks:
        """Return positions inside the chunk last returned; the answer stays valid for ever.

        Before the first request it knows ``marks(0)``. As soon as a request waits for anything,
        ``marks(0)`` stands behind what was delivered before, because it may be cancelled there. After a
        failure, ``marks`` of the number of items last delivered stands before the input that failed. A
        stage that was not built *tracked* knows only the position behind its whole last chunk.
        """

    @abstractmethod
    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield the running stages this one pulls from."""

    @property
    def buffered(self) -> int:
        """How many items it holds for later requests; for statistics."""
        return 0

    async def settle(self, count: int) -> None:
        """Take note that ``count`` items of the last chunk are acknowledged.

        Only what may stand behind a checkpoint passes this on, so everything else ends it here.
        """

    async def aclose(self) -> None:
        """Stop own work, then close every upstream, once, even when some of that fails."""
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

    def figures(self, places: Mapping[int, int]) -> Iterator[StageStatistics]:
        """Yield what the stages above have done so far, then what this one has."""
        for stage in self.upstreams():
            yield from stage.figures(places)
        yield self.measured(places)

    def waited(self, now: float) -> float:
        """Return the seconds spent in requests, the one under way included."""
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

    def title(self) -> str:
        """Name this stage in statistics."""
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
