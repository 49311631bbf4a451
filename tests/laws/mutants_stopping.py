"""Mutants of laws 7, 8 and 9: flows broken in how they are cancelled, closed and started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.errors import SubscriptionClosed
from penstock.testing.script import Planted

from .toys import ToyFlow, ToyRun

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.abc import Position

# -- 7 cancel-safe ----------------------------------------------------------------------------------


class LosesOnCancel(ToyRun):
    """Takes items out of its queue before it waits one turn more."""

    async def request(self, n: int) -> list[Any]:
        items = await super().request(n)
        await asyncio.sleep(0)
        return items


class SwallowsCancel(ToyRun):
    """Turns a cancellation into a list of what is there."""

    async def request(self, n: int) -> list[Any]:
        try:
            return await super().request(n)
        except asyncio.CancelledError:
            return self.take(n) or await super().request(n)


class KeepsTheDemand(ToyRun):
    """Goes on fetching for a request that was cancelled."""

    async def wait_for_items(self, n: int) -> None:
        try:
            await super().wait_for_items(n)
        except asyncio.CancelledError:
            self.lost = n
            raise

    lost = 0

    async def until_wanted(self) -> None:
        while len(self.queue) >= max(self.demand, self.lost):
            self.wanted.clear()
            await self.wanted.wait()


class AwaitsTheGenerator(ToyRun):
    """Awaits the user's generator within the request, so that a cancellation kills it."""

    items: Any = None
    index = 0

    async def wait_for_items(self, n: int) -> None:
        if self.items is None:
            self.items = self.flow.source.play()
        while not (self.queue or self.ended):
            try:
                item = await anext(self.items)
            except StopAsyncIteration:
                self.ended = True
            except Exception as error:  # noqa: BLE001  as a pump must
                self.keep(error)
                self.ended = True
            else:
                self.put(self.index, item)
                self.index += 1

    async def finish(self) -> None:
        if self.items is not None:
            await self.items.aclose()


# -- 8 closing --------------------------------------------------------------------------------------


class ClosesOnce(ToyRun):
    """Fails when it is closed a second time."""

    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        await super().aclose()


class ForgetsThePending(ToyRun):
    """Does not wake a pending request."""

    async def aclose(self) -> None:
        self.closed = True
        await self.finish()


class LeavesItsTask(ToyRun):
    """Does not end its task."""

    async def finish(self) -> None:
        return


class DoesNotWait(ToyRun):
    """Cancels its task without waiting for it."""

    async def finish(self) -> None:
        if self.task is not None:
            self.task.cancel()


class CannotBeCancelled(ToyRun):
    """Gives up closing when the task that closes is cancelled."""

    async def aclose(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.ready.set()
        await asyncio.sleep(0)
        await self.finish()


class AnswersAfterClose(ToyRun):
    """Looks completed after it was closed."""

    async def request(self, n: int) -> list[Any]:
        try:
            return await super().request(n)
        except SubscriptionClosed:
            return []


class MasksErrors(ToyRun):
    """Lets an error of closing replace the error in flight."""

    async def finish(self) -> None:
        await super().finish()
        if self.task is not None and not self.task.cancelled():
            self.task.result()

    async def guarded_pump(self) -> None:
        try:
            await self.pump()
        except Exception as error:
            if self.closed:
                raise
            self.keep(error)
        self.ended = True
        self.ready.set()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()


class NobodyRetrieves(ToyRun):
    """Fails in a task whose exception nobody looks at."""

    async def finish(self) -> None:
        await super().finish()
        asyncio.create_task(self.fail()).add_done_callback(lambda task: None)
        await asyncio.sleep(0)

    async def fail(self) -> None:
        raise Planted("nobody looks at this")


class NoOneClosesTheSource(ToyRun):
    """Leaves the user's generator open."""

    async def pump(self) -> None:
        items = self.flow.source.play()
        self.flow.__dict__.setdefault("open", []).append(items)
        index = 0
        async for item in items:
            if index >= self.start[0]:
                self.put(index, item)
            index += 1
            await self.until_wanted()


# -- 9 cold -----------------------------------------------------------------------------------------


class StartsAtOnce(ToyRun):
    """Starts its source when it is subscribed."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.task = asyncio.create_task(self.guarded_pump())


class SharesItsQueue(ToyRun):
    """All runs of one flow drink from one queue."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        shared = flow.__dict__.setdefault("shared", self)
        self.queue = shared.queue


class OneShot(ToyRun):
    """The second subscription of a flow looks empty."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.ended = flow.__dict__.setdefault("first", self) is not self
