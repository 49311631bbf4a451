"""``from_queue``: the items of an ``asyncio.Queue``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import GraphError, SubscriptionClosed
from penstock.runtime.node import assembled_at, node
from penstock.runtime.run import CLOSED, Gate
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.run import Run
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["NO_SENTINEL", "FromQueue", "from_queue"]

T = TypeVar("T")

NO_SENTINEL: Any = object()

_SHUT_DOWN: Any = getattr(asyncio, "QueueShutDown", asyncio.QueueEmpty)  # new in Python 3.13


def from_queue(queue: asyncio.Queue[T], *, sentinel: object = NO_SENTINEL) -> Flow[T]:
    """Make a flow of what is put into a queue, until ``sentinel`` comes or the queue is shut down.

    Nothing is taken but under demand, so a queue with a ``maxsize`` slows its producers down to the
    consumer's pace. An item is taken in the very step that hands it on, and then belongs to whoever asked.
    So nothing is lost when a request is cancelled, or a run drained or closed: what was not delivered is
    still in the queue. (What a ``buffer`` or the like behind this flow holds is not.) Two
    subscriptions share the items.

    ``task_done`` is called for each list of items when the next one is asked for, so that ``queue.join()``
    waits until all are consumed; do not call it elsewhere. There is no position.

    Args:
        queue: Where to take from; also a ``PriorityQueue`` or ``LifoQueue``.
        sentinel: The item that ends the flow; compared by identity, or by equality with one of its own type.
            Without one, the flow ends when the queue is shut down (Python 3.13), or not at all.
    """
    if not isinstance(queue, asyncio.Queue):
        msg = (
            f"from_queue takes an asyncio.Queue, not {type(queue).__module__}.{type(queue).__name__}, "
            f"at {assembled_at()}"
        )
        raise GraphError(msg)
    return flow_of(FromQueue(queue=queue, sentinel=sentinel))


@node
class FromQueue(SourceNode):
    """Items taken from an ``asyncio.Queue``, each in the very step that hands it on."""

    operator = "from_queue"
    stateful = False
    remedy = "what was taken from a queue is gone. Put what must be resumed into a file, a database or a log."

    queue: asyncio.Queue[Any]
    sentinel: Any = NO_SENTINEL

    @property
    def obstacle(self) -> Node:
        """This node itself: it has no position."""
        return self

    @property
    def once(self) -> Node:
        """This node: what was taken is not there for a second run."""
        return self

    def start(self, site: Site) -> Stage[Any]:
        """Start; nothing is taken before the first request."""
        return _QueueStage(site, self)


class _QueueStage(Stage[Any]):
    def __init__(self, site: Site, node: FromQueue) -> None:
        super().__init__(site)
        self._node = node
        self._queue = node.queue
        self._getting = _Getting(self.run)
        self._owed = 0  # items delivered that the queue was not told of
        self._ended = False

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Any]:
        self._tell_done(self._owed)
        self._owed = 0
        if self.run.strained():
            await self.run.breathe()
        out: list[Any] = []
        while not out and not self._ended and not self.run.draining:
            try:
                if self._queue.empty():
                    await self._getting.get(self._queue, lambda item: self._take(item, out))
                while len(out) < n and not self._ended:
                    self._take(self._queue.get_nowait(), out)
            except asyncio.QueueEmpty:
                continue
            except _SHUT_DOWN:
                self._ended = True
        self._owed = len(out)
        return out

    def _take(self, item: Any, out: list[Any]) -> None:
        sentinel = self._node.sentinel
        if item is sentinel or (type(item) is type(sentinel) and item == sentinel):
            self._ended = True
            self._tell_done(1)
        else:
            out.append(item)

    def _tell_done(self, count: int) -> None:
        for _ in range(count):
            try:
                self._queue.task_done()
            except ValueError as error:
                error.add_note(
                    f"penstock: {self._node.describe()} calls task_done() itself, for each list when "
                    "the next one is asked for: leave it out elsewhere"
                )
                raise


class _Getting(Gate):
    """Waits for an item of a queue; closing and draining end the wait, and then the item is left there.

    ``Queue.get`` takes an item only in the step in which it returns, so it may be cancelled at any moment
    and loses nothing; a task of its own would hold the item for a turn of the loop.
    """

    __slots__ = ("_task", "_woken")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._task: asyncio.Task[Any] | None = None
        self._woken = False

    async def get(self, queue: asyncio.Queue[Any], take: Callable[[Any], None]) -> None:
        """Give ``take`` the next item, or return without one if the run is to end."""
        run, task = self._run, asyncio.current_task()
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
        if run.closed:
            raise SubscriptionClosed(CLOSED)

    def open(self) -> None:
        """End the wait, at once: an item that has arrived meanwhile stays in the queue."""
        if self._task is not None and not self._woken:
            self._woken = True
            self._task.cancel()
