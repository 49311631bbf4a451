"""One run that feeds several subscribers: the base of ``broadcast``, ``share``, ``group_by`` and the like.

The first subscriber starts the shared run. The run belongs to none of its subscribers: cancelling or closing
one does not disturb the others. Each subscriber has a bounded queue. A task of the shared run, the pump,
requests from upstream while a subscriber waits and every queue that may not overflow has room. So the
slowest subscriber holds the others back as soon as its queue is full. The last subscriber that leaves closes
the shared run.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.errors import BufferOverflow
from penstock.operators.concurrency.overflow import Overflow, put_within, strategy
from penstock.runtime.arguments import positive
from penstock.runtime.chunks import Chunks
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, runs, stop
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.abc import StageStatistics
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.node import Site
    from penstock.runtime.order import Order
    from penstock.runtime.places import Places
    from penstock.runtime.upstream import Marks, States, Upstream

CAPACITY = 256
"""How many items a subscriber may lag behind by default: the largest request of a driver."""


def overflow_of(operator: str, capacity: int, overflow: OverflowName) -> Overflow:
    """Check the options that all operators with a shared run have; return the overflow strategy."""
    positive(operator, "capacity", capacity)
    return strategy(operator, overflow)


def _no_position(_: int) -> States:
    return {}


class _Items(Chunks):
    """Chunks without positions. Several queues may hold the same chunk: it is never changed."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_no_position)

    def put(self, items: list[Any], marks: Marks = _no_position) -> None:
        super().put(items, marks)


class SubscriberQueue:
    """The items that a shared run holds for one subscriber; then the end or a failure."""

    def __init__(self, shared: SharedRun, capacity: int, overflow: Overflow = Overflow.WAIT) -> None:
        self.shared = shared
        self.held = _Items()
        self.demand = 0
        """How many items the subscriber waits for; 0 while it does not wait."""
        self.reader: SubscriberStage | None = None
        self.closed = False
        self.ended = False
        self.failure: Failure | None = None
        self.dropped = 0
        self.capacity = capacity
        self._overflow = overflow

    def room(self) -> float:
        """Return how many items may arrive before this queue holds the others back."""
        if self.closed or self.ended:
            return math.inf
        return self.capacity - (len(self.held) if self._overflow is Overflow.WAIT else 0)

    def put(self, items: list[Any]) -> None:
        """Add items, as far as the overflow strategy keeps them. The list must not change afterwards."""
        if self.closed or self.ended:
            return
        try:
            self.dropped += put_within(self.held, items, self.capacity, self._overflow)
        except BufferOverflow as error:
            annotate(error, self.shared.where)
            self.end(Failure(error))
        self.demand = 0
        self._wake()

    def end(self, failure: Failure | None = None) -> None:
        """Add the end, or a failure, behind the items."""
        if not self.ended:
            self.ended, self.failure, self.demand = True, failure, 0
            self._wake()

    def close(self) -> None:
        """Drop the items: the subscriber has left."""
        self.closed, self.demand, self.held = True, 0, _Items()

    def _wake(self) -> None:
        if self.reader is not None:
            self.reader.ready.open()


class SharedRun:
    """A separate run of ``root`` and the queues that it feeds; ``where`` describes the operator.

    It does not start before the first ``ask``. Subclasses override ``distribute`` to choose the queues.
    """

    def __init__(self, root: Node, where: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.where = where
        self.queues: list[SubscriberQueue] = []
        self.ended = False
        self.closing: asyncio.Task[None] | None = None
        self._running: Running[Any] = Running(root)
        self._running.run.on_failure = self.finish
        self._more = Gate(self._running.run, for_task=True)
        self._asking = False
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended or was closed."""
        return self.ended or self.closing is not None

    def ask(self) -> None:
        """Let the pump check for demand; start it if there is some."""
        if self.over:
            return
        if self._task is None:
            if self.wanted() > 0:
                self._task = self._running.run.spawn(self._pump(self._withdrawn), f"pump of {self.where}")
        else:
            self._more.open()

    def withdraw(self) -> None:
        """Cancel the request to upstream if no subscriber waits any more."""
        if self._asking and self._task is not None and not any(queue.demand for queue in self.queues):
            self._running.run.cancel(
                self._task
            )  # requests are cancel-safe: the next pump continues where this one stopped
            self._withdrawn, self._task = self._task, None
            self._asking = False

    def drain(self) -> bool:
        """Drain upstream if all subscribers are being drained; return whether they are."""
        if all(reader.run.draining for reader in self._readers()):
            self._running.take_no_more()
            return True
        return False

    async def leave(self, queue: SubscriberQueue) -> None:
        """Remove the queue of a subscriber that leaves; the last one closes the run."""
        self.remove(queue)
        if self.unused():
            await self.close()

    def remove(self, queue: SubscriberQueue) -> None:
        """Close a queue and continue without it."""
        queue.close()
        if queue in self.queues:
            self.queues.remove(queue)
        self.withdraw()
        self.ask()

    def unused(self) -> bool:
        """Return whether no subscriber is left."""
        return not self._readers()

    def _readers(self) -> list[SubscriberStage]:
        return [queue.reader for queue in self.queues if queue.reader is not None and not queue.closed]

    async def close(self, failure: Failure | None = None) -> None:
        """Stop the pump and close upstream; the remaining subscribers receive ``failure``."""
        if self.closing is None:
            self.closing = asyncio.get_running_loop().create_task(self._close(), name="penstock shared close")
            # retrieve the outcome even if the caller is cancelled meanwhile
            self.closing.add_done_callback(lambda task: task.cancelled() or task.exception())
            if failure is not None:
                self.finish(failure)
        elif self.closing.done():
            return
        await asyncio.shield(self.closing)

    async def _close(self) -> None:
        try:
            for task in (self._withdrawn, self._task):
                await stop(self._running.run, task)
        finally:
            await self._running.aclose()

    def observed(self, places: Places) -> Iterable[Upstream[Any]]:
        """Return the last of the shared stages, for statistics, unless another subscriber returned it."""
        return self._running.observed(places)

    def wanted(self) -> int:
        """Return how many items to request: the largest demand, as far as every queue has room."""
        demand = max((queue.demand for queue in self.queues), default=0)
        return int(min(demand, *(queue.room() for queue in self.queues))) if demand else 0

    def deadline(self) -> float | None:
        """Return when the pump must check again without being asked; raise if waiting is pointless."""
        return None

    def distribute(self, items: list[Any]) -> None:
        """Put items into the queues: here, all items into every queue."""
        for queue in self.queues:
            queue.put(items)

    def finish(self, failure: Failure | None) -> None:
        """Put the end, or a failure, into every queue."""
        self.ended = True
        for queue in self.queues:
            queue.end(failure)

    async def _pump(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        run = self._running.run
        try:
            while not self.ended:
                while (n := self.wanted()) <= 0:
                    await self._more.wait(self.deadline())
                self._asking = True
                items = await self._running.request(n)
                self._asking = False
                if not items:
                    return self.finish(None)
                self.distribute(items)
                if run.strained():
                    await run.breathe()
        except Exception as error:  # noqa: BLE001  the requests of the subscribers raise it
            if not run.over(error):
                annotate(error, self.where)
                self.finish(Failure(error))


@node
class SubscriberNode(Node):
    """A node whose stage reads from a shared run: its position would say nothing about other subscribers."""

    shared = True

    @property
    def obstacle(self) -> Node:
        return self

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:
        """Return the queue for a subscriber, which makes its first request now."""
        raise NotImplementedError

    def decline(self) -> None:
        """Handle a subscriber that was closed before its first request."""


@node
class SharedNode(SubscriberNode):
    """An operator with a shared run, which holds at most ``capacity`` items for each subscriber."""

    capacity: int
    overflow: Overflow

    @property
    def parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = Node.parameters.__get__(self)
        return {name: value for name, value in found.items() if name != "runs"}

    @property
    def order(self) -> Order:
        return self.own_order.loosest(self.overflow.order, *(node.order for node in self.inputs))

    @property
    def skippable(self) -> bool:
        return False  # an error above fails the shared run, for all subscribers

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(self.capacity) + n


@runs(SubscriberNode)
class SubscriberStage(Stage[Any]):
    """Reads a queue of a shared run: enters with its first request, leaves when it is closed."""

    def __init__(self, site: Site, node: SubscriberNode) -> None:
        super().__init__(site)
        self.ready = Gate(self.run)
        self._node = node
        self._queue: SubscriberQueue | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())  # the shared run closes what stands above

    def marks(self) -> Marks:
        return _no_position

    @property
    def buffered(self) -> int:
        return len(self._queue.held) if self._queue is not None else 0

    async def _request(self, n: int) -> list[Any]:
        queue = self._queue
        if queue is None:  # enter before any await: items that arrive from now on are for this subscriber
            if self.run.draining:
                return []
            queue = self._node.enter(self)
            queue.reader = self
            self._queue = queue
        if self.run.strained():
            await self.run.breathe()
        if not await self._until_ready(queue, n):
            return []
        items = queue.held.take(n)
        if items:
            queue.shared.ask()
        elif queue.failure is not None:
            queue.failure.throw()
        return items

    async def _until_ready(self, queue: SubscriberQueue, n: int) -> bool:
        """Wait for items or the end; return false if this subscriber is drained and others are not."""
        shared = queue.shared
        try:
            while not queue.held and not queue.ended:
                if self.run.draining and not shared.drain():
                    shared.remove(queue)
                    return False
                queue.demand = n
                shared.ask()
                await self.ready.wait()
        finally:
            if queue.demand:
                queue.demand = 0
                shared.withdraw()
        return True

    def observed(self, places: Places) -> Iterable[Upstream[Any]]:
        return () if self._queue is None else self._queue.shared.observed(places)

    def measured(self, places: Places) -> StageStatistics:
        if self._queue is not None:
            self.dropped = self._queue.dropped
        figures = super().measured(places)
        return replace(figures, upstream=figures.waiting)  # it waits only for the shared stages

    async def _stop(self) -> None:
        if self._queue is not None:
            await self._queue.shared.leave(self._queue)
        else:
            self._node.decline()
