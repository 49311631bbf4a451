"""One run that feeds several subscribers: what ``broadcast``, ``share`` and ``group_by`` stand on.

Whoever comes first starts the shared run; it belongs to none of its subscribers, so that none of them can
hurt it by being cancelled or closed. Each subscriber has a *place* there: a bounded queue. A task of the
shared run, the pump, asks upstream when somebody waits at a place and no place that may not overflow is
full; so the slowest subscriber holds all back, by as much as its place does not hold. When the last one
has left, the shared run is closed, by the one that leaves.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.errors import BufferOverflow
from penstock.operators.concurrency.overflow import Overflow, put_within
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from penstock.abc import StageStatistics
    from penstock.runtime.node import Node, Site, Vertex
    from penstock.runtime.upstream import Marks, States, Upstream


__all__ = ["Place", "PlaceStage", "SharedRun"]


def _nowhere(_: int) -> States:
    return {}


class Queue:
    """Chunks that several queues have in common: never changed, only read."""

    __slots__ = ("_chunks", "_gone", "_length")

    def __init__(self) -> None:
        self._chunks: deque[list[Any]] = deque()
        self._gone = 0  # items of the first chunk that were taken or dropped
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, items: list[Any]) -> None:
        """Append a chunk."""
        self._chunks.append(items)
        self._length += len(items)

    def drop(self, count: int) -> None:
        """Leave out the first ``count`` items."""
        self._length -= count
        self._gone += count
        while self._chunks and self._gone >= len(self._chunks[0]):
            self._gone -= len(self._chunks.popleft())

    def take(self, n: int) -> list[Any]:
        """Remove the first ``n`` items, or all there are, and return them in a list of their own."""
        chunks = self._chunks
        out: list[Any] = []
        while chunks and len(out) < n:
            start = self._gone
            part = chunks[0][start : start + n - len(out)]
            if start + len(part) < len(chunks[0]):
                self._gone += len(part)
            else:
                chunks.popleft()
                self._gone = 0
            if out:
                out += part
            else:
                out = part
        self._length -= len(out)
        return out


class Place:
    """What one subscriber of a shared run has coming: items, then the end or a failure."""

    def __init__(self, shared: SharedRun, capacity: int, overflow: Overflow = Overflow.WAIT) -> None:
        self.shared = shared
        self.held = Queue()
        self.wants = 0
        """How many items its reader waits for; 0 when it does not wait."""
        self.reader: PlaceStage | None = None
        self.left = False
        self.ended = False
        self.failure: Failure | None = None
        self.dropped = 0
        self.capacity = capacity
        self._overflow = overflow

    @property
    def present(self) -> bool:
        """Whether somebody reads here."""
        return self.reader is not None and not self.left

    def room(self) -> float:
        """Return how many items may come before this place holds all others back."""
        if self.left or self.ended:
            return math.inf
        return self.capacity - (len(self.held) if self._overflow is Overflow.WAIT else 0)

    def give(self, items: list[Any]) -> None:
        """Put items into the queue, or what fits; nobody changes the list afterwards."""
        if self.left or self.ended:
            return
        try:
            self.dropped += put_within(self.held, items, self.capacity, self._overflow)
        except BufferOverflow as error:
            annotate(error, self.shared.where)
            self.end(Failure(error))
        self.wants = 0
        self._wake()

    def end(self, failure: Failure | None = None) -> None:
        """Let the end, or a failure, follow what is held."""
        if not self.ended:
            self.ended, self.failure, self.wants = True, failure, 0
            self._wake()

    def leave(self) -> None:
        """Give up what is held: nobody reads here any more."""
        self.left, self.wants, self.held = True, 0, Queue()

    def _wake(self) -> None:
        if self.reader is not None:
            self.reader.ready.open()


class SharedRun:
    """A run of ``root`` of its own, and the places that it feeds; ``where`` describes who made it.

    Nothing of it runs before the first ``ask``. Subclasses say by ``distribute`` who gets what.
    """

    def __init__(self, root: Node, where: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.where = where
        self.places: list[Place] = []
        self.ended = False
        self.closing: asyncio.Task[None] | None = None
        self._running: Running[Any] = Running(root)
        self._more = Gate(self._running.run, for_task=True)
        self._asking = False
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether it came to its end or was closed, so that nobody can join any more."""
        return self.ended or self.closing is not None

    def ask(self) -> None:
        """Let the pump go on, if somebody waits and nobody holds it back."""
        if self.over:
            return
        if self._task is None:
            if self.wanted() > 0:
                self._task = self._running.run.spawn(self._pump(self._withdrawn), f"pump of {self.where}")
        else:
            self._more.open()

    def withdraw(self) -> None:
        """Take back what is being asked for, if nobody waits for it any more."""
        if self._asking and self._task is not None and not any(place.wants for place in self.places):
            self._task.cancel()  # requests are cancel-safe: the next pump goes on where this one was
            self._withdrawn, self._task = self._task, None
            self._asking = False

    def drain(self) -> bool:
        """Take no new input, if all subscribers want that; say whether they do."""
        if all(place.reader is not None and place.reader.run.draining for place in self._present()):
            self._running.take_no_more()
            return True
        return False

    async def leave(self, place: Place) -> None:
        """Go on without the reader of a place; the last one closes the run."""
        self.dismiss(place)
        if self.deserted():
            await self.close()

    def dismiss(self, place: Place) -> None:
        """Let nobody wait for a place any more."""
        place.leave()
        if place in self.places:
            self.places.remove(place)
        self.withdraw()
        self.ask()

    def deserted(self) -> bool:
        """Whether nobody is left."""
        return not self._present()

    def _present(self) -> list[Place]:
        return [place for place in self.places if place.present]

    async def close(self, failure: Failure | None = None) -> None:
        """Stop the pump and close upstream; who is still there gets ``failure``."""
        if self.closing is None:
            self.closing = asyncio.get_running_loop().create_task(self._close(), name="penstock shared close")
            # if the caller is cancelled meanwhile, nobody else would look at the outcome
            self.closing.add_done_callback(lambda task: task.cancelled() or task.exception())
            if failure is not None:
                self.finish(failure)
        elif self.closing.done():
            return
        await asyncio.shield(self.closing)

    async def _close(self) -> None:
        try:
            for task in (self._withdrawn, self._task):
                await stop(task)
        finally:
            await self._running.aclose()

    def figures(self, vertex: Vertex, places: Mapping[int, int]) -> Iterator[StageStatistics]:
        """Yield what the shared stages have done so far, as those that end with ``vertex``."""
        return self._running.figures(vertex, places)

    def wanted(self) -> int:
        """Return how many items to ask upstream for: what the keenest waits for, as far as all have room."""
        want = max((place.wants for place in self.places), default=0)
        return int(min(want, *(place.room() for place in self.places))) if want else 0

    def patience(self) -> float | None:
        """Return when to look again although nobody calls; raise if it is of no use to wait any more."""
        return None

    def distribute(self, items: list[Any]) -> None:
        """Give items to whom they belong: here, all of them to everybody."""
        for place in self.places:
            place.give(items)

    def finish(self, failure: Failure | None) -> None:
        """Let the end, or a failure, reach every place."""
        self.ended = True
        for place in self.places:
            place.end(failure)

    async def _pump(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        run = self._running.run
        try:
            while not self.ended:
                while (n := self.wanted()) <= 0:
                    await self._more.wait(self.patience())
                self._asking = True
                items = await self._running.request(n)
                self._asking = False
                if not items:
                    return self.finish(None)
                self.distribute(items)
                if run.strained():
                    await run.breathe()
        except Exception as error:  # noqa: BLE001  it crosses to the tasks that request
            if not run.over(error):
                self.finish(Failure(error))


class PlaceStage(Stage[Any]):
    """Reads at a place of a shared run, which it takes with its first request and gives up when closed."""

    def __init__(
        self,
        site: Site,
        enter: Callable[[PlaceStage], Place],
        decline: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(site)
        self.ready = Gate(self.run)
        self._enter = enter
        self._decline = decline
        self._place: Place | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield nothing: what stands above is closed by the last of all who read there."""
        return iter(())

    def marks(self) -> Marks:
        """Return positions that say nothing: the node is not resumable."""
        return _nowhere

    @property
    def buffered(self) -> int:
        """The items held for this subscriber."""
        return len(self._place.held) if self._place is not None else 0

    async def _request(self, n: int) -> list[Any]:
        place = self._place
        if place is None:  # it joins before anything else: what comes from now on is for it
            if self.run.draining:
                return []
            place = self._enter(self)
            place.reader = self
            self._place = place
        if self.run.strained():
            await self.run.breathe()
        if not await self._until_ready(place, n):
            return []
        items = place.held.take(n)
        if items:
            place.shared.ask()
        elif place.failure is not None:
            place.failure.throw()
        return items

    async def _until_ready(self, place: Place, n: int) -> bool:
        """Wait for items or the end; false if this subscriber is drained while others go on."""
        shared = place.shared
        try:
            while not place.held and not place.ended:
                if self.run.draining and not shared.drain():
                    shared.dismiss(place)
                    return False
                place.wants = n
                shared.ask()
                await self.ready.wait()
        finally:
            if place.wants:
                place.wants = 0
                shared.withdraw()
        return True

    def figures(self, places: Mapping[int, int]) -> Iterator[StageStatistics]:
        """Yield what the shared stages have done so far, then what this one has."""
        above = self.site.vertex.inputs
        if self._place is not None and above:
            yield from self._place.shared.figures(above[0], places)
        yield self.measured(places)

    def measured(self, places: Mapping[int, int]) -> StageStatistics:
        """Return what it has done so far: all its time it waits for the shared stages."""
        if self._place is not None:
            self.dropped = self._place.dropped
        figures = super().measured(places)
        return replace(figures, upstream=figures.waiting)

    async def _stop(self) -> None:
        if self._place is not None:
            await self._place.shared.leave(self._place)
        elif self._decline is not None:
            self._decline()
