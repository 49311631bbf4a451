"""Stages that hold items or start their inputs one after the other: ``buffer``, ``concat``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.held import Held
from penstock.core.node import Node
from penstock.core.notes import Failure
from penstock.core.run import Gate
from penstock.core.stage import Stage, behind, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States

__all__ = ["Buffer", "BufferStage", "Concat", "Feeder", "StartWith"]


class Feeder:
    """A task that keeps asking one upstream, and the items it got that nobody has taken yet.

    It holds at most ``capacity`` items. ``ready`` is opened when there is something to look at: items,
    the end, or a failure. Whoever finds it empty may ask upstream in its place: where items are ready, no
    time goes into waking the task.
    """

    def __init__(self, stage: Stage[Any], capacity: int, ready: Callable[[], None]) -> None:
        self.stage = stage
        self.held = Held(stage.marks())
        self.ended = False
        self.failure: Failure | None = None
        self._capacity = capacity
        self._ready = ready
        self._room = Gate(stage.run, for_task=True)
        self._asking = False
        self._task: asyncio.Task[None] | None = None

    def feed(self) -> None:
        """Start, or go on if there is room."""
        if self._task is None:
            self._task = self.stage.run.spawn(self._run(), f"feeder of {self.stage.title()}")
        elif self.room() > 0:
            self._room.open()

    def room(self) -> int:
        """Return how many items may be asked for now."""
        return self._capacity - len(self.held)

    def put(self, items: list[Any]) -> None:
        """Hold what came."""
        self.held.put(items, self.stage.marks())

    async def ask(self) -> bool:
        """Ask upstream for what there is room for, unless the task is doing that; say whether it was done."""
        if self._asking or self.ended:
            return False
        self._asking = True
        try:
            items = await self.stage.request(self.room())
            if items:
                self.put(items)
            else:
                self.ended = True
                self.held.end(self.stage.marks())
        except Exception as error:
            if self.stage.run.over(error):
                raise
            self.ended = True
            self.fail(error)
        finally:
            self._asking = False
        return True

    async def _run(self) -> None:
        run = self.stage.run
        try:
            while not self.ended:
                while self.room() <= 0 or self._asking:
                    await self._room.wait()
                await self.ask()
                self._ready()
                if run.strained():
                    await run.breathe()
        except Exception as error:
            if not run.over(error):
                raise
        finally:
            self._ready()

    def fail(self, error: Exception) -> None:
        """Keep an error until everything before it has been taken."""
        self.held.end(self.stage.marks())
        self.failure = Failure(error)

    async def stop(self) -> None:
        """End the task."""
        await stop(self._task)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buffer(Node):
    """Up to ``capacity`` items are fetched ahead of demand, by a task of their own."""

    operator = "buffer"

    capacity: int

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + n."""
        return self.inputs[0].bound(self.capacity) + n

    def start(self, site: Site) -> Stage[Any]:
        """Start the buffer; its task starts with the first request."""
        return BufferStage(site, self.capacity)


class BufferStage(Stage[Any]):
    """Hands out what a feeder holds."""

    def __init__(self, site: Site, capacity: int) -> None:
        super().__init__(site)
        self._ready = Gate(self.run)
        self._feeder = self._feed_from(site.input(), capacity)

    def _feed_from(self, upstream: Stage[Any], capacity: int) -> Feeder:
        return Feeder(upstream, capacity, self._ready.open)

    @property
    def buffered(self) -> int:
        """The items held."""
        return len(self._feeder.held)

    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield the one upstream."""
        yield self._feeder.stage

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        return self._feeder.held.marks()

    async def _request(self, n: int) -> list[Any]:
        feeder = self._feeder
        feeder.held.leave()
        if self.run.strained():
            await self.run.breathe()
        while not feeder.held and not feeder.ended:
            if not await feeder.ask():
                feeder.feed()
                await self._ready.wait()
        items = feeder.held.take(n)
        if items:
            feeder.feed()
        elif feeder.failure is not None:
            feeder.failure.throw()
        return items

    async def _stop(self) -> None:
        await self._feeder.stop()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concat(Node):
    """All items of the first input, then of the next; an input starts when the one before has ended."""

    operator = "concat"
    stateful = True

    @property
    def structure(self) -> str:
        """The number of inputs."""
        return f"({len(self.inputs)})"

    def bound(self, n: int) -> float:
        """Return the largest bound of an input."""
        return max((node.bound(n) for node in self.inputs), default=0)

    def start(self, site: Site) -> Stage[Any]:
        """Start with the first input, or the one a position names."""
        return _ConcatStage(site)


class StartWith(Concat):
    """The items of the first input, which brings them itself, then those of the second."""

    operator = "start_with"


class _ConcatStage(Stage[Any]):
    """Its state is the index of the current input."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._count = len(site.vertex.inputs)
        self._index: int = site.state or 0
        self._others: States = dict(site.states)
        self._current = site.input(self._index) if self._index < self._count else None
        self._done: tuple[Marks, ...] = ()  # of the inputs that have ended

    def upstreams(self) -> Iterator[Stage[Any]]:
        if self._current is not None:
            yield self._current

    def marks(self) -> Marks:
        key, index, done = self.site.vertex.id, self._index, self._done
        above = self._current.marks() if self._current is not None else None
        rest = {k: v for k, v in self._others.items() if k != key}
        return lambda i: {**rest, **behind(done), **(above(i) if above else {}), key: index}

    async def _request(self, n: int) -> list[Any]:
        while self._current is not None:
            items = await self._current.request(n)
            if items:
                return items
            self._done = (*self._done, self._current.marks())
            self.run.release(self._current)
            self._index += 1
            draining = self.run.draining
            self._current = (
                self.site.input(self._index) if self._index < self._count and not draining else None
            )
            if draining:
                self._index -= 1  # that input did not end by itself
        return []
