"""Mutants of laws 1 to 6: flows broken in how they answer requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .toys import ToyFlow, ToyRun

if TYPE_CHECKING:
    from penstock.abc import Position
    from penstock.testing import TestSource

# -- 1 demand ---------------------------------------------------------------------------------------


class ReturnsTooMany(ToyRun):
    """Delivers one item more than requested."""

    def take(self, n: int) -> list[Any]:
        return super().take(n + 1)

    async def until_wanted(self) -> None:
        while len(self.queue) > self.demand:
            self.wanted.clear()
            await self.wanted.wait()


class ReadsAhead(ToyRun):
    """Fetches five items more than requested."""

    async def until_wanted(self) -> None:
        while len(self.queue) >= self.demand + 5:
            self.wanted.clear()
            await self.wanted.wait()


class AcceptsZero(ToyRun):
    """Treats ``request(0)`` as ``request(1)``."""

    async def request(self, n: int) -> list[Any]:
        return await super().request(max(n, 1))


class KeepsItsList(ToyRun):
    """Returns the same list object for every request."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.held: list[Any] = []

    def take(self, n: int) -> list[Any]:
        self.held[:] = super().take(n)
        return self.held


# -- 2 promptness -----------------------------------------------------------------------------------


class FillsUp(ToyRun):
    """Waits until a request can be filled."""

    async def wait_for_items(self, n: int) -> None:
        await super().wait_for_items(n)
        while len(self.queue) < n and not (self.ended or self.closed or self.draining):
            self.demand = n
            self.ready.clear()
            self.wanted.set()
            await self.ready.wait()


class ReturnsLate(ToyRun):
    """Sleeps a little on every item."""

    async def until_wanted(self) -> None:
        await asyncio.sleep(0.25)
        await super().until_wanted()

    def put(self, index: int, item: Any) -> None:
        asyncio.get_running_loop().call_later(0.2, super().put, index, item)


class HoldsTheLastBack(ToyRun):
    """Keeps one item until the next one arrives."""

    async def wait_for_items(self, n: int) -> None:
        await super().wait_for_items(n)
        while len(self.queue) < 2 and not (self.ended or self.closed or self.draining):
            self.demand = 2
            self.ready.clear()
            self.wanted.set()
            await self.ready.wait()

    async def until_wanted(self) -> None:
        while len(self.queue) >= max(self.demand, 2):
            self.wanted.clear()
            await self.wanted.wait()


# -- 3 ending ---------------------------------------------------------------------------------------


class EmptyMeansWait(ToyRun):
    """Returns an empty list if no item arrives within a quarter of a second."""

    async def request(self, n: int) -> list[Any]:
        try:
            async with asyncio.timeout(0.25):
                return await super().request(n)
        except TimeoutError:
            return []


class NewErrorEachTime(ToyRun):
    """Raises a copy of the stored error."""

    def throw(self, error: Exception) -> None:
        raise type(error)(*error.args)


class NotesEachTime(ToyRun):
    """Annotates the error at every request."""

    def throw(self, error: Exception) -> None:
        error.add_note(f"in step at {self.flow.origin}")
        super().throw(error)


class TracebackGrows(ToyRun):
    """Raises the stored error without resetting its traceback."""

    def throw(self, error: Exception) -> None:
        raise error


class ForgetsTheError(ToyRun):
    """Raises once and looks completed afterwards."""

    def throw(self, error: Exception) -> None:
        self.error = None
        super().throw(error)


class RaisesAfterTheEnd(ToyRun):
    """Completes once and raises afterwards."""

    finished = False

    async def request(self, n: int) -> list[Any]:
        if self.finished:
            raise RuntimeError("already completed")
        items = await super().request(n)
        self.finished = not items
        return items


# -- 4 prefix ---------------------------------------------------------------------------------------


class ErrorOvertakes(ToyRun):
    """Raises a failure at once and loses the items before it."""

    def keep(self, error: Exception) -> None:
        super().keep(error)
        self.queue.clear()


class AllOrNothing(ToyRun):
    """Raises a failure instead of delivering the items of the same request."""

    def take(self, n: int) -> list[Any]:
        items = super().take(n)
        if self.error is not None and len(items) < n:
            self.throw(self.error)
        return items


# -- 5 chunk invariance -----------------------------------------------------------------------------


class DropsBeyondThree(ToyRun):
    """Loses an item whenever a list is longer than three."""

    def take(self, n: int) -> list[Any]:
        return super().take(n)[:1] if n > 1 else super().take(n)


class ReversesLists(ToyRun):
    """Reverses each list."""

    def take(self, n: int) -> list[Any]:
        return super().take(n)[::-1]


class StartsOverEachList(ToyFlow):
    """Numbers the items of each list from zero."""

    def __init__(self, source: TestSource, step: Any) -> None:
        super().__init__(source, step, NumbersPerList)


class NumbersPerList(ToyRun):
    """The run of the flow above."""

    def take(self, n: int) -> list[Any]:
        return [(k, item) for k, item in enumerate(super().take(n))]


# -- 6 serial ---------------------------------------------------------------------------------------


class QueuesUp(ToyRun):
    """Lets a second request wait for the first."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.lock = asyncio.Lock()

    async def request(self, n: int) -> list[Any]:
        async with self.lock:
            return await super().request(n)


class LetsIn(ToyRun):
    """Does not notice a second request."""

    async def request(self, n: int) -> list[Any]:
        self.pending = False
        return await super().request(n)


class RefusalHarms(ToyRun):
    """Refuses a second request, but loses items of the first one."""

    async def request(self, n: int) -> list[Any]:
        if self.pending and self.queue:
            self.queue.popleft()
        if self.pending:
            self.start = (self.start[0] + 1, 0)
        return await super().request(n)
