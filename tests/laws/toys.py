"""A small flow that uses nothing of Penstock's runtime and keeps every law.

The mutants break it in one place each. It is one pump with a function in it: ``step`` turns each item
of a ``TestSource`` into a list of outputs, so it is a map, a filter and a flat_map at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from penstock.abc import Commit, Statistics, Subscription
from penstock.errors import ConcurrentRequestError, NotResumable, PositionError, SubscriptionClosed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from penstock.abc import Ledger, Position
    from penstock.testing import TestSource

Mark = tuple[int, int]


class ToyFlow:
    """``step`` over the items of ``source``."""

    order = "exact"
    resumable = True
    exact = True

    def __init__(
        self, source: TestSource, step: Callable[[Any], list[Any]], run: type[ToyRun] | None = None
    ) -> None:
        caller = sys._getframe(1)
        self.origin = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        self.source = source
        self.step = step
        self.run = run or ToyRun

    def max_in_flight(self, n: int = 1) -> float:
        return n

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        return self.run(self, position)


class ToyRun(Subscription[Any]):
    """One run: a task pulls the source while demand is outstanding, ``request`` waits for its queue."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        self.flow = flow
        self.start = self.mark = self.unpack(position)
        self.queue: deque[tuple[Any, Mark]] = deque()
        self.demand = 0
        self.pending = self.ended = self.closed = self.draining = False
        self.error: Exception | None = None
        self.traceback: TracebackType | None = None
        self.task: asyncio.Task[None] | None = None
        self.closing: asyncio.Task[None] | None = None
        self.wanted = asyncio.Event()
        self.ready = asyncio.Event()

    def unpack(self, position: Position | None) -> Mark:
        if position is None:
            return (0, 0)
        if list(position["nodes"]) != ["toy"]:
            raise PositionError("not a position of a toy")
        index, expanded = position["nodes"]["toy"]
        return index, expanded

    # -- asking

    async def request(self, n: int) -> list[Any]:
        if n < 1:
            raise ValueError(n)
        if self.closed:
            raise SubscriptionClosed
        if self.pending:
            raise ConcurrentRequestError
        self.pending = True
        try:
            await self.wait_for_items(n)
        finally:
            self.pending = False
            self.demand = 0
        if self.closed:
            raise SubscriptionClosed
        if not self.queue and self.error is not None:
            self.throw(self.error)
        return self.take(n)

    async def wait_for_items(self, n: int) -> None:
        while not (self.queue or self.ended or self.draining or self.closed):
            self.demand = n
            self.ready.clear()
            self.wanted.set()
            if self.task is None:
                self.task = asyncio.create_task(self.guarded_pump())
            await self.ready.wait()

    def take(self, n: int) -> list[Any]:
        items = []
        while self.queue and len(items) < n:
            item, self.mark = self.queue.popleft()
            items.append(item)
        return items

    def throw(self, error: Exception) -> None:
        raise error.with_traceback(self.traceback)

    # -- pumping

    async def guarded_pump(self) -> None:
        try:
            await self.pump()
        except Exception as error:  # noqa: BLE001  as a pump must
            self.keep(error)
        self.ended = True
        self.ready.set()

    def keep(self, error: Exception) -> None:
        error.add_note(f"in step at {self.flow.origin}")
        self.error, self.traceback = error, error.__traceback__

    async def pump(self) -> None:
        index = 0
        loop = asyncio.get_running_loop()
        rested = loop.time()
        async with aclosing(self.flow.source.play()) as items:
            async for item in items:
                if index >= self.start[0]:
                    self.put(index, item)
                index += 1
                if loop.time() - rested > 0.005:
                    await self.rest()
                    rested = loop.time()
                await self.until_wanted()

    async def rest(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    def put(self, index: int, item: Any) -> None:
        try:
            outputs = self.flow.step(item)
        except StopIteration as error:
            raise RuntimeError("step let a StopIteration escape") from error
        for k, output in enumerate(outputs):
            if index > self.start[0] or k >= self.start[1]:
                self.queue.append((output, (index, k + 1) if k + 1 < len(outputs) else (index + 1, 0)))
        if self.queue:
            self.ready.set()

    async def until_wanted(self) -> None:
        while len(self.queue) >= self.demand:
            self.wanted.clear()
            await self.wanted.wait()

    # -- the rest of the promise

    @property
    def position(self) -> Position:
        if not self.flow.resumable:
            raise NotResumable("this toy")
        return {"v": 1, "nodes": {"toy": list(self.mark)}}

    def statistics(self) -> Statistics:
        return Statistics(())

    async def settle(self) -> None:
        return

    async def drain(self) -> None:
        self.draining = True
        self.ready.set()

    async def aclose(self) -> None:
        self.closed = True
        self.ready.set()
        if self.closing is None:
            self.closing = asyncio.create_task(self.finish())
            self.closing.add_done_callback(lambda task: task.exception())
        elif self.closing.done():
            return
        await asyncio.shield(self.closing)

    async def finish(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(f"closing failed too: {error!r}")


class ToyCheckpoint(ToyFlow):
    """Commits the positions of a toy as they are acknowledged."""

    def __init__(self, flow: ToyFlow, ledger: Ledger, run: type[ToyCheckpointRun] | None = None) -> None:
        if not flow.resumable:
            raise NotResumable("a toy")
        super().__init__(flow.source, flow.step)
        self.flow = flow
        self.ledger = ledger
        self.checkpoint = run or ToyCheckpointRun

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        return self.checkpoint(self, self.flow.subscribe(position))


class ToyCheckpointRun(Subscription[Any]):
    """Passes everything on; a commit runs in a task of its own."""

    def __init__(self, flow: ToyCheckpoint, inner: Subscription[Any]) -> None:
        self.flow = flow
        self.inner = inner
        self.epoch = 0
        self.unacknowledged = False
        self.committing: asyncio.Task[None] | None = None

    async def request(self, n: int) -> list[Any]:
        await self.settle()
        items = await self.inner.request(n)
        self.unacknowledged = bool(items)
        return items

    async def settle(self) -> None:
        if self.unacknowledged:
            self.unacknowledged = False
            self.epoch += 1
            commit = self.flow.ledger.commit("toy", Commit(self.epoch, self.inner.position))
            self.committing = asyncio.create_task(commit)
        if self.committing is not None:
            await asyncio.shield(self.committing)

    @property
    def position(self) -> Position:
        return self.inner.position

    def statistics(self) -> Statistics:
        return self.inner.statistics()

    async def drain(self) -> None:
        await self.inner.drain()

    async def aclose(self) -> None:
        if self.committing is not None:
            await asyncio.shield(self.committing)
        await self.inner.aclose()
