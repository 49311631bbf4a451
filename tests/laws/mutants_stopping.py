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
    """Takes items out of its queue, then waits one more turn."""

    async def request(self, n: int) -> list[Any]:
        items = await super().request(n)
        await asyncio.sleep(0)
        return items


class SwallowsCancel(ToyRun):
    """Returns the ready items instead of raising the cancellation."""

    async def request(self, n: int) -> list[Any]:
        try:
            return await super().request(n)
        except asyncio.CancelledError:
            return self.take(n) or await super().request(n)


class KeepsTheDemand(ToyRun):
    """Keeps fetching for a cancelled request."""

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
    """Awaits the user's generator inside the request, so that a cancellation ends it."""

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
    """Raises when it is closed a second time."""

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
    """Stops closing when the closing task is cancelled."""

    async def aclose(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.ready.set()
        await asyncio.sleep(0)
        await self.finish()


class AnswersAfterClose(ToyRun):
    """Reports completion after it was closed."""

    async def request(self, n: int) -> list[Any]:
        try:
            return await super().request(n)
        except SubscriptionClosed:
            return []


class MasksErrors(ToyRun):
    """Replaces the error in flight with an error of closing."""

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
    """Fails in a task whose exception is never retrieved."""

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
    """Starts its source at the subscription, before the first request."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.task = asyncio.create_task(self.guarded_pump())


class SharesItsQueue(ToyRun):
    """All runs of one flow share a queue."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        shared = flow.__dict__.setdefault("shared", self)
        self.queue = shared.queue


class OneShot(ToyRun):
    """The second subscription of a flow is empty."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.ended = flow.__dict__.setdefault("first", self) is not self
