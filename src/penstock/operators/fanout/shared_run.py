"""One run that feeds several subscribers: the base of ``broadcast``, ``share``, ``group_by`` and the like.

The first subscriber starts the shared run. The run belongs to none of its subscribers: cancelling or closing
one does not disturb the others. Each subscriber has a bounded queue. A task of the shared run, the pump,
requests from upstream while a subscriber waits and every queue that may not overflow has room. So the
slowest subscriber holds the others back as soon as its queue is full; ``Watch`` finds out if it is never read
again. The last subscriber that leaves closes the shared run.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from penstock.errors import BranchStuck, BufferOverflow
from penstock.operators.concurrency.overflow import Overflow, put_within
from penstock.operators.fanout.stuck import NOBODY_JOINS, Watch
from penstock.runtime.chunks import Chunks
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.run import Gate, Pace
from penstock.runtime.stage import stop
from penstock.runtime.subscription import Running
from penstock.runtime.tasks import start_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.operators.fanout.subscriber import SharedNode, SubscriberStage
    from penstock.runtime.places import Places
    from penstock.runtime.run import Run
    from penstock.runtime.upstream import Marks, States, Upstream


def no_position(_: int) -> States:
    """Return no states: these are the marks of what has no position."""
    return {}


class _Items(Chunks):
    """Chunks without positions. Several queues may hold the same chunk: it is never changed."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(no_position)

    def put(self, items: list[Any], marks: Marks = no_position) -> None:
        super().put(items, marks)


class Tally:
    """How often some numbers occur, to find the least and the most of them without looking at each."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, number: int) -> None:
        """Count a number once more."""
        self._counts[number] = self._counts.get(number, 0) + 1

    def remove(self, number: int) -> None:
        """Count a number once less."""
        count = self._counts.pop(number) - 1
        if count:
            self._counts[number] = count

    def most(self) -> int:
        """Return the largest number, or 0 if there is none."""
        return max(self._counts) if self._counts else 0

    def least(self) -> float:
        """Return the smallest number, or infinity if there is none."""
        return min(self._counts) if self._counts else math.inf


class SubscriberQueue:
    """The items that a shared run holds for one subscriber; then the end or a failure."""

    error: ClassVar[type[BranchStuck]] = BranchStuck
    remedy: ClassVar[str] = (
        "Read all of them at the same time, make capacity= larger than the number of items by which one "
        "may be ahead, lose items with overflow=, or close those that you do not need."
    )

    def __init__(self, shared: SharedRun, capacity: int, overflow: Overflow = Overflow.WAIT) -> None:
        self.shared = shared
        self.held = _Items()
        self._demand = 0
        self._counted: int | None = None  # its room, as the shared run has counted it
        self.reader: SubscriberStage | None = None
        self.owner: Run | None = None
        """The run that reads this queue, or will read it."""
        self.closed = False
        self.ended = False
        self.failure: Failure | None = None
        self.dropped = 0
        self.capacity = capacity
        self._overflow = overflow

    def describe(self) -> str:
        """Return what an error calls it."""
        return "one subscriber"

    @property
    def demand(self) -> int:
        """How many items the subscriber waits for; 0 while it does not wait."""
        return self._demand

    @demand.setter
    def demand(self, n: int) -> None:
        demands = self.shared.demands
        if self._demand:
            demands.remove(self._demand)
        if n:
            demands.add(n)
        self._demand = n

    def count(self, *, member: bool = True) -> None:
        """Tell the shared run how much room there is, if this is one of its queues (``member``)."""
        rooms, room = self.shared.rooms, self.room() if member else math.inf
        if self._counted is not None:
            rooms.remove(self._counted)
        self._counted = None if room == math.inf else int(room)
        if self._counted is not None:
            rooms.add(self._counted)

    def take(self, n: int) -> list[Any]:
        """Remove and return up to ``n`` items."""
        items = self.held.take(n)
        if self._counted is not None:
            self.count()
        return items

    def blocked(self) -> bool:
        """Return whether its reader must wait for another reader, whatever is in it."""
        return False

    def until(self) -> float | None:
        """Return when to look again whether it is blocked, or ``None``."""
        return None

    def blocker_stands_still(self, others: frozenset[object]) -> bool:  # noqa: ARG002
        """Return whether the reader that this one waits for never moves, if no run in ``others`` does."""
        return False

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
        if self._counted is not None:
            self.count()
        self.demand = 0
        self._wake()

    def end(self, failure: Failure | None = None) -> None:
        """Add the end, or a failure, behind the items."""
        if not self.ended:
            self.ended, self.failure, self.demand = True, failure, 0
            self.count()
            self._wake()

    def close(self) -> None:
        """Drop the items: the subscriber has left."""
        self.closed, self.demand, self.held, self.reader = True, 0, _Items(), None
        self.count()

    def _wake(self) -> None:
        if self.reader is not None:
            self.reader.ready.open()


class SharedRun:
    """A separate run of what stands above ``node``, and the queues that it feeds.

    It does not start before the first ``ask``. Subclasses override ``distribute`` to choose the queues.
    """

    open: ClassVar[bool] = False
    """Whether further subscribers may join, besides those that ``queues`` are for."""

    def __init__(self, node: SharedNode) -> None:
        self.loop = asyncio.get_running_loop()
        self.where = node.describe()
        self.queues: dict[SubscriberQueue, None] = {}  # there may be thousands, and they leave in any order
        self.demands = Tally()
        """What the subscribers that wait have asked for."""
        self.rooms = Tally()
        """How much room the queues have, those that may not overflow."""
        self._drained = False
        self.pace = Pace(8)  # of ``distribute``, for subclasses that look at each item
        self.ended = False
        self.closing: asyncio.Task[None] | None = None
        self._running: Running[Any] = Running(node.inputs[0])
        self.run = self._running.run
        self.run.on_failure = self.finish
        self._watch = Watch(node.patience)
        self._more = _Demand(self)
        self._asking = False
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended or was closed."""
        return self.ended or self.closing is not None

    def begin(self) -> None:
        """Let the hot inputs above enter, because a subscriber has entered; see ``Run.begin``."""
        self.run.begin()

    def ask(self) -> None:
        """Let the pump check for demand; start it if there is some."""
        if self.over:
            return
        if self._task is None:
            if self.demands.most():
                self._task = self.run.spawn(self._pump(self._withdrawn), f"pump of {self.where}")
                self.run.drivers = 0  # the pump, which requests, is a task of the run
        else:
            self._more.open()

    def withdraw(self) -> None:
        """Cancel the request to upstream if no subscriber waits any more."""
        if self._asking and self._task is not None and not self.demands.most():
            self.run.cancel(
                self._task
            )  # requests are cancel-safe: the next pump continues where this one stopped
            self._withdrawn, self._task = self._task, None
            self._asking, self.run.drivers = False, 1

    def drain(self) -> bool:
        """Drain upstream if all subscribers are being drained; return whether they are."""
        if not self._drained and all(reader.run.draining for reader in self._readers()):
            self._drained = True
            self._running.take_no_more()
        return self._drained

    async def leave(self, queue: SubscriberQueue) -> None:
        """Remove the queue of a subscriber that leaves; the last one closes the run."""
        self.remove(queue)
        if self.unused():
            await self.close()

    def remove(self, queue: SubscriberQueue) -> None:
        """Close a queue and continue without it."""
        queue.close()
        self.discard(queue)
        self.withdraw()
        self.ask()

    def add(self, queue: SubscriberQueue) -> None:
        """Feed a queue from now on."""
        self.queues[queue] = None
        queue.count()

    def discard(self, queue: SubscriberQueue) -> None:
        """Feed a queue no more, if it was fed."""
        if queue in self.queues:
            del self.queues[queue]
            queue.count(member=False)

    def unused(self) -> bool:
        """Return whether no subscriber is left."""
        return next(self._readers(), None) is None

    def _readers(self) -> Iterator[SubscriberStage]:
        return (queue.reader for queue in self.queues if queue.reader is not None and not queue.closed)

    def complete(self) -> bool:
        """Return whether the queues have received all items, though upstream was not asked for its end."""
        return not self._asking and self._running.exhausted

    async def close(self, failure: Failure | None = None) -> None:
        """Stop the pump and close upstream; the remaining subscribers receive ``failure``."""
        if self.closing is None:
            self.closing = start_task(self._close(), "penstock shared close")
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
                await stop(self.run, task)
        finally:
            await self._running.aclose()

    def observed(self, places: Places) -> Iterable[Upstream[Any]]:
        """Return the last of the shared stages, for statistics, unless another subscriber returned it."""
        return self._running.observed(places)

    def wanted(self) -> int:
        """Return how many items to request: the largest demand, as far as every queue has room."""
        demand = self.demands.most()
        return int(min(demand, self.rooms.least())) if demand else 0

    def waiting(self) -> list[SubscriberQueue]:
        """Return the queues whose subscribers wait for items."""
        return [queue for queue in self.queues if queue.demand] if self.demands.most() else []

    def full(self) -> list[SubscriberQueue]:
        """Return the queues that hold the others back."""
        return [queue for queue in self.queues if queue.room() <= 0] if self.rooms.least() <= 0 else []

    def stands_still(self, others: frozenset[object]) -> bool:
        """Return whether a subscriber that waits gets nothing, if none of the runs in ``others`` moves."""
        if self._asking or self.run in others:
            return self.run.stands_still(others)
        return self.blocked(others | {self.run})

    def blocked(self, others: frozenset[object]) -> bool:
        """Return whether a full queue is not read any more, if none of the runs in ``others`` moves."""
        return any(queue.owner is not None and queue.owner.stands_still(others) for queue in self.full())

    def idle(self, others: frozenset[object]) -> bool:
        """Return whether no subscriber asks for more, if none of the runs in ``others`` moves."""
        owners = [queue.owner for queue in self.queues]
        if NOBODY_JOINS not in others and (self.open or None in owners):
            return False
        return all(owner is None or owner.stands_still(others) for owner in owners)

    def distribute(self, items: list[Any]) -> None:
        """Put items into the queues: here, all items into every queue."""
        for queue in tuple(self.queues):
            queue.put(items)

    def finish(self, failure: Failure | None) -> None:
        """Put the end, or a failure, into every queue."""
        self.ended = True
        for queue in tuple(self.queues):
            queue.end(failure)

    async def _pump(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        run = self.run
        try:
            while not self.ended:
                while (n := self.wanted()) <= 0:
                    await self._more.wait(self._watch.deadline(self))
                self._asking = True
                items = await self._running.request(n)
                self._asking = False
                if not items:
                    return self.finish(None)
                began = run.clock.monotonic()
                self.distribute(items)
                self.pace.took(run.clock.monotonic() - began)
                if run.strained():
                    await run.breathe()
        except Exception as error:  # noqa: BLE001  the requests of the subscribers raise it
            if not run.over(error):
                annotate(error, self.where)
                self.finish(Failure(error))


class _Demand(Gate):
    """Where the pump of a shared run waits for demand, and for room."""

    __slots__ = ("_shared",)

    def __init__(self, shared: SharedRun) -> None:
        super().__init__(shared.run, for_task=True, own=True)
        self._shared = ref(shared)

    def still(self, others: frozenset[object]) -> bool:
        shared = self._shared()
        if shared is None or not super().still(others) or shared.wanted() > 0:
            return False
        return shared.blocked(others) if shared.demands.most() else shared.idle(others)
