"""The operator ``through``, which passes a flow through an async generator function of the user."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import SubscriptionClosed
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.fifo import Fifo
from penstock.runtime.node import Node, Site, node
from penstock.runtime.pump import closing
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, runs, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")
U = TypeVar("U")


def through(
    function: Callable[[AsyncIterator[T]], AsyncIterator[U]], *, holds: int | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of ``function(items)``, an async generator that reads the items of the flow.

    The generator runs in one task of its own, so timeouts and cancel scopes inside it work. It goes on only
    while there is demand. When it reads and no item is there, as many items are requested from upstream as
    are requested from it. An error of upstream is raised where the generator reads. When the generator
    returns, the flow completes; items that it did not read are dropped.

    A flow downstream of ``through`` cannot be resumed, because nobody knows what the generator remembers. Use
    ``stateful`` where that matters.

    Args:
        function: ``async def function(items): async for item in items: … yield …``
        holds: How many items the generator holds at most. ``max_in_flight`` needs it; without it there is
            no bound.
    """
    function_for("through", function, yields=True)
    if holds is not None:
        positive("through", "holds", holds, least=0)
    return attach(lambda node: Through(inputs=(node,), function=function, holds=holds))


@node
class Through(Node):
    """Yields the items of ``function(items)``."""

    operator = "through"
    remedy = (
        "nobody knows what its function remembers. Use stateful, or put the checkpoint or retry before it."
    )

    function: Callable[[AsyncIterator[Any]], AsyncIterator[Any]]
    holds: int | None = None

    def bound(self, n: int) -> float:
        return math.inf if self.holds is None else self.inputs[0].bound(n) + self.holds + n

    @property
    def obstacle(self) -> Node | None:
        return self


@runs(Through)
class _ThroughStage(Stage[Any]):
    """A task runs the function while a request waits; the function's reads are requests to upstream."""

    def __init__(self, site: Site, node: Through) -> None:
        super().__init__(site)
        self._node = node
        self._upstream = site.input(tracked=False)
        self._queue = Fifo()
        self._demand = 0
        self._ended = False
        self._failure: Failure | None = None
        self._ready = Gate(self.run, own=True)
        self._wanted = Gate(self.run, for_task=True, own=True)
        self._task: asyncio.Task[None] | None = None

    @property
    def buffered(self) -> int:
        return len(self._queue)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream

    def marks(self) -> Marks:
        return self._upstream.marks()

    async def _request(self, n: int) -> list[Any]:
        if self.run.strained():
            await self.run.breathe()
        try:
            while not self._queue:
                if self._failure is not None:
                    self._failure.throw()
                if self._ended:
                    return []
                self._demand = n
                if self._task is None:
                    self._task = self.run.spawn(self._run(), "through")
                else:
                    self._wanted.open()
                await self._ready.wait()
        finally:
            self._demand = 0  # the request has ended or was cancelled
        return self._queue.take(n)

    async def _items(self) -> AsyncGenerator[Any, None]:
        """Yield the items of upstream to the function."""
        while items := await self._read():
            for item in items:
                yield item

    async def _read(self) -> list[Any]:
        try:
            return await self._upstream.request(max(1, self._demand))
        except SubscriptionClosed as error:
            if self.run.over(error):
                await self.run.until_cancelled()
            raise

    async def _run(self) -> None:
        try:
            await self._pull()
        except BaseException as error:
            if self.stopped_by(error):
                raise
            if self.run.over(error):
                return
            if self._closed:
                raise  # aclose raises it
            self._failure = Failure(raised_by_user(error, self._node.describe()))
        finally:
            self._ended = True
            self._ready.open()
        if not self.run.draining:
            self.run.release(self._upstream)

    async def _pull(self) -> None:
        async with aclosing(self._items()) as items, closing(self._outputs(items)) as outputs:
            async for item in outputs:
                self._queue.put((item,))
                self._ready.open()
                if self.run.strained():
                    await self.run.breathe()
                while len(self._queue) >= self._demand:
                    await self._wanted.wait()

    def _outputs(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        outputs: Any = self._node.function(items)
        if isinstance(outputs, AsyncIterator):
            return outputs
        msg = f"the function of through must return an async iterator; it returned {type(outputs).__name__}"
        raise TypeError(msg)

    async def _stop(self) -> None:
        self._ended = True
        task, self._task = self._task, None  # a cancelled task keeps its frames alive
        await stop(self.run, task)
