"""The source ``from_queue``, a flow of the items of an ``asyncio.Queue``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.runtime.arguments import refuse
from penstock.runtime.node import Node, Site, node
from penstock.runtime.run import Gate, Pace, Run
from penstock.runtime.stream import flow_of
from penstock.sources.source import SourceNode, SourceStage

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")

NO_SENTINEL: Any = object()

_SHUT_DOWN: Any = getattr(asyncio, "QueueShutDown", asyncio.QueueEmpty)  # new in Python 3.13


def from_queue(queue: asyncio.Queue[T], *, sentinel: object = NO_SENTINEL) -> Flow[T]:
    """Create a flow of the items of a queue, until ``sentinel`` arrives or the queue is shut down.

    Items are taken only under demand, so a queue with a ``maxsize`` slows its producers down to the
    consumer's pace. An item is taken in the same step in which it is delivered. So no item is lost when a
    request is cancelled, or a run drained or closed: an item that was not delivered is still in the queue.
    (This does not hold for items in a ``buffer`` or the like downstream.) Two subscriptions share the items.

    ``task_done`` is called for the items of a request when the next request begins, so ``queue.join()``
    waits until all items are consumed. Do not call ``task_done`` elsewhere. The flow has no position.

    Args:
        queue: The queue; a ``PriorityQueue`` or ``LifoQueue`` also works.
        sentinel: The item that ends the flow, compared by identity, or by equality if the types are the
            same. Without one, the flow ends when the queue is shut down (Python 3.13), or never.
    """
    if not isinstance(queue, asyncio.Queue):
        advice = f"{type(queue).__module__}.{type(queue).__name__} is another class."
        refuse("from_queue", "an asyncio.Queue", queue, advice=advice)
    return flow_of(FromQueue(queue=queue, sentinel=sentinel))


@node
class FromQueue(SourceNode):
    """Takes items from an ``asyncio.Queue``; see ``from_queue`` for the fields."""

    operator = "from_queue"
    stateful = False
    remedy = (
        "an item taken from a queue is gone. Put items that must be resumable into a file, database or log."
    )

    queue: asyncio.Queue[Any]
    sentinel: Any = NO_SENTINEL

    @property
    def obstacle(self) -> Node:
        return self

    @property
    def single_use(self) -> Node:
        return self  # a second run would not get the items of the first

    def start(self, site: Site) -> SourceStage:
        return _QueueStage(site, self)


class _QueueStage(SourceStage):
    def __init__(self, site: Site, node: FromQueue) -> None:
        super().__init__(site)
        self._node = node
        self._queue = node.queue
        self._getter = _Getter(self.run)
        self._not_done = 0  # items delivered for which task_done was not called yet
        self._ended = False
        self._pace = Pace(64)

    async def _request(self, n: int) -> list[Any]:
        self._task_done(self._not_done)
        self._not_done = 0
        if self.run.strained():
            await self.run.breathe()
        out: list[Any] = []
        n, began = min(n, self._pace.size), 0.0
        while not out and not self._ended and not self.run.draining:
            try:
                if self._queue.empty():
                    await self._getter.get(self._queue, lambda item: self._take(item, out))
                began = self.run.clock.monotonic()
                while len(out) < n and not self._ended:
                    self._take(self._queue.get_nowait(), out)
            except asyncio.QueueEmpty:
                continue
            except _SHUT_DOWN:
                self._ended = True
        if out:
            self._pace.took(self.run.clock.monotonic() - began)
        self._not_done = len(out)
        return out

    def _take(self, item: Any, out: list[Any]) -> None:
        sentinel = self._node.sentinel
        if item is sentinel or (type(item) is type(sentinel) and item == sentinel):
            self._ended = True
            self._task_done(1)
        else:
            out.append(item)

    def _task_done(self, count: int) -> None:
        for _ in range(count):
            try:
                self._queue.task_done()
            except ValueError as error:
                error.add_note(
                    f"penstock: {self._node.describe()} calls task_done() itself, for the items of a "
                    "request when the next request begins: do not call it elsewhere"
                )
                raise


class _Getter(Gate):
    """Waits for an item of a queue. Closing or draining the run ends the wait and leaves the item there.

    ``Queue.get`` removes an item in the step in which it returns, so it can be cancelled at any time without
    losing one. A separate task would hold the item for one turn of the loop.
    """

    __slots__ = ("_task", "_woken")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._task: asyncio.Task[Any] | None = None
        self._woken = False

    async def get(self, queue: asyncio.Queue[Any], take: Callable[[Any], None]) -> None:
        """Call ``take`` with the next item, or return without a call if the run is closed or drained."""
        run, task = self.run, asyncio.current_task()
        if task is None:
            msg = "request() was called outside of a task"
            raise RuntimeError(msg)
        self._task, self._woken = task, False
        cancelling = task.cancelling()
        run.gates[self] = None
        try:
            take(await queue.get())
        except asyncio.CancelledError:
            if not self._woken or task.uncancel() > cancelling:
                raise
        finally:
            run.gates.pop(self, None)
            self._task = None
            run.stretch = run.clock.monotonic()
        run.check()

    def open(self) -> None:
        """End the wait now. An item that has arrived in the meantime stays in the queue."""
        if self._task is not None and not self._woken:
            self._woken = True
            self._task.cancel()
