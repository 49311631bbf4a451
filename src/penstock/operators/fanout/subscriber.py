"""The subscribers of shared runs: their nodes, their options, and the stage that reads a queue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from penstock.operators.concurrency.overflow import Overflow, strategy
from penstock.operators.fanout.shared_run import no_position
from penstock.operators.fanout.stuck import patience_of
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, runs
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.abc import StageStatistics
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.operators.fanout.shared_run import SharedRun, SubscriberQueue
    from penstock.runtime.node import Site
    from penstock.runtime.order import Order
    from penstock.runtime.places import Places
    from penstock.runtime.run import Run
    from penstock.runtime.upstream import Marks, Upstream

CAPACITY = 256
"""How many items a subscriber may lag behind by default: the largest request of a driver."""


class Limits(TypedDict):
    """The options that all operators with a shared run have."""

    capacity: int
    overflow: Overflow
    patience: float | None


def limits(operator: str, capacity: int, overflow: OverflowName, patience: float | None) -> Limits:
    """Check these options and return them."""
    positive(operator, "capacity", capacity)
    return Limits(
        capacity=capacity, overflow=strategy(operator, overflow), patience=patience_of(operator, patience)
    )


@node
class SubscriberNode(Node):
    """A node whose stage reads from a shared run: its position would say nothing about other subscribers."""

    shared = True
    remedy = (
        "no subscriber knows where the others are. Put retry or a checkpoint before the operator that shares "
        "the run."
    )

    @property
    def obstacle(self) -> Node:
        return self

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:
        """Return the queue for a subscriber, which makes its first request now."""
        raise NotImplementedError


async def decline_above(node: SharedNode) -> None:
    """Tell the shared nodes above that a run was closed before its first request."""
    await Running[Any](node.inputs[0]).aclose()


@node
class SharedNode(SubscriberNode):
    """An operator with a shared run, which holds at most ``capacity`` items for each subscriber."""

    capacity: int
    overflow: Overflow
    patience: float | None = None

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
    """Reads a queue of a shared run: enters with the first request of its run, leaves when it is closed."""

    def __init__(self, site: Site, node: SubscriberNode) -> None:
        super().__init__(site)
        self.ready = _ItemsArrive(self.run)
        self.task: asyncio.Task[Any] | None = None
        """The task of the last request."""
        self.queue: SubscriberQueue | None = None
        self._node = node
        self._refused: Failure | None = None
        self.run.expect(self)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())  # the shared run closes what stands above

    def marks(self) -> Marks:
        return no_position

    @property
    def buffered(self) -> int:
        return len(self.queue.held) if self.queue is not None else 0

    def enter(self) -> None:
        """Enter the shared run, without awaiting: items that arrive from now on are for this subscriber."""
        if self.queue is None:
            try:
                queue = self._node.enter(self)
            except Exception as error:  # noqa: BLE001  the first request raises it
                self._refused = Failure(error)
                return
            queue.reader, queue.owner = self, self.run
            self.queue = self.ready.queue = queue
        _begin(self.queue.shared, self.run)

    async def _request(self, n: int) -> list[Any]:
        if self.queue is None and not self.run.draining:
            self.enter()
        queue = self.queue
        if queue is None:
            if self._refused is not None:
                self._refused.throw()
            return []
        self.task = asyncio.current_task()
        if self.run.strained():
            await self.run.breathe()
        if not await self._until_ready(queue, n):
            return []
        items = queue.take(n)
        if items:
            queue.shared.ask()
        elif queue.failure is not None:
            queue.failure.throw()
        return items

    async def _until_ready(self, queue: SubscriberQueue, n: int) -> bool:
        """Wait for items or the end; return false if this subscriber is drained and others are not."""
        shared = queue.shared
        try:
            while (blocked := queue.blocked()) or not (queue.held or queue.ended):
                if self.run.draining and not shared.drain():
                    shared.remove(queue)
                    return False
                if not blocked:
                    queue.demand = n
                    shared.ask()
                await self.ready.wait(queue.until())
        finally:
            if queue.demand:
                queue.demand = 0
                shared.withdraw()
        return True

    def observed(self, places: Places) -> Iterable[Upstream[Any]]:
        return () if self.queue is None else self.queue.shared.observed(places)

    def measured(self, places: Places) -> StageStatistics:
        if self.queue is not None:
            self.dropped = self.queue.dropped
        figures = super().measured(places)
        return replace(figures, upstream=figures.waiting)  # it waits only for the shared stages

    async def _stop(self) -> None:
        self.task = None
        if self.queue is not None:
            await self.queue.shared.leave(self.queue)
        elif self._refused is None and self.run.begun and self._is_built():
            await self._node.decline()  # it was built at run time, and closed before its first request

    def _is_built(self) -> bool:
        """Return whether it is in a flow built at run time; the graph of the run is declined as a whole."""
        return self.run.root is None or self.site.vertex.run is not self.run.root.run


_beginning: list[tuple[SharedRun, Run]] = []
"""The shared runs that begin at this moment, each with the run of its subscriber."""


def _begin(shared: SharedRun, reader: Run) -> None:
    """Begin a shared run, then those above it, one after the other: there may be thousands."""
    _beginning.append((shared, reader))
    if len(_beginning) > 1:
        return
    try:
        for one, _ in _beginning:  # they grow meanwhile
            one.begin()
        for one, run in reversed(_beginning):
            for future in one.run.entering:
                run.enters(future)
    finally:
        _beginning.clear()


class _ItemsArrive(Gate):
    """Where a subscriber waits for the shared run."""

    __slots__ = ("queue",)

    def __init__(self, run: Run) -> None:
        super().__init__(run, own=True)
        self.queue: SubscriberQueue | None = None

    def still(self, others: frozenset[object]) -> bool:
        queue = self.queue
        if queue is None or not super().still(others):
            return False
        if queue.blocked():
            return queue.blocker_stands_still(others)
        return queue.shared.stands_still(others)
