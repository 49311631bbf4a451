"""Flows broken on purpose: each breaks the law it is filed under, and is the reference otherwise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.abc import Commit
from penstock.errors import SubscriptionClosed
from penstock.testing.script import Planted

from .toys import ToyCheckpoint, ToyCheckpointRun, ToyFlow, ToyRun

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.abc import Ledger, Position
    from penstock.testing import TestSource

# -- 1 demand ---------------------------------------------------------------------------------------


class ReturnsTooMany(ToyRun):
    """Delivers one more than was asked for, if it is there."""

    def take(self, n: int) -> list[Any]:
        return super().take(n + 1)

    async def until_wanted(self) -> None:
        while len(self.queue) > self.demand:
            self.wanted.clear()
            await self.wanted.wait()


class ReadsAhead(ToyRun):
    """Fetches five items more than are wanted."""

    async def until_wanted(self) -> None:
        while len(self.queue) >= self.demand + 5:
            self.wanted.clear()
            await self.wanted.wait()


class AcceptsZero(ToyRun):
    """Takes ``request(0)`` for ``request(1)``."""

    async def request(self, n: int) -> list[Any]:
        return await super().request(max(n, 1))


class KeepsItsList(ToyRun):
    """Hands out one list, again and again."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.held: list[Any] = []

    def take(self, n: int) -> list[Any]:
        self.held[:] = super().take(n)
        return self.held


# -- 2 promptness -----------------------------------------------------------------------------------


class FillsUp(ToyRun):
    """Waits until there are as many items as were asked for."""

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
    """Keeps one item until the next is there, whatever n is."""

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
    """Answers with the empty list when nothing came within a quarter of a second."""

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
    """A failure is raised at once, and what was produced before it is lost."""

    def keep(self, error: Exception) -> None:
        super().keep(error)
        self.queue.clear()


class AllOrNothing(ToyRun):
    """Holds a whole request together, so that a failure takes its items with it."""

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
    """Turns each list around."""

    def take(self, n: int) -> list[Any]:
        return super().take(n)[::-1]


class StartsOverEachList(ToyFlow):
    """Numbers the items of each list from zero."""

    def __init__(self, source: TestSource, step: Any) -> None:
        super().__init__(source, step, NumbersPerList)


class NumbersPerList(ToyRun):
    """The run of the above."""

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
    """Refuses a second request, and forgets the first one's items over it."""

    async def request(self, n: int) -> list[Any]:
        if self.pending and self.queue:
            self.queue.popleft()
        if self.pending:
            self.start = (self.start[0] + 1, 0)
        return await super().request(n)


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


# -- 10 position ------------------------------------------------------------------------------------


class OneTooFew(ToyRun):
    """The position stands before the last item delivered."""

    @property
    def position(self) -> Position:
        index, expanded = self.mark
        return {"v": 1, "nodes": {"toy": [max(index - 1, 0), expanded]}}


class CountsWhatItFetched(ToyRun):
    """The position stands behind what was fetched, not behind what was delivered."""

    @property
    def position(self) -> Position:
        mark = self.queue[-1][1] if self.queue else self.mark
        return {"v": 1, "nodes": {"toy": list(mark)}}


class ForgetsExpansions(ToyRun):
    """Counts whole inputs only."""

    @property
    def position(self) -> Position:
        return {"v": 1, "nodes": {"toy": [self.mark[0], 0]}}


class StandsBehindTheFailure(ToyRun):
    """After a failure the position skips the input that failed."""

    @property
    def position(self) -> Position:
        index, expanded = self.mark
        skipped = (index + 1, 0) if self.error is not None else (index, expanded)
        return {"v": 1, "nodes": {"toy": list(skipped)}}


class ChangesInPlace(ToyRun):
    """Gives out its own state."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.state = list(self.mark)

    @property
    def position(self) -> Position:
        self.state[:] = self.mark
        return {"v": 1, "nodes": {"toy": self.state}}


class TakesAnyPosition(ToyRun):
    """Starts from the beginning when it does not know a position."""

    def unpack(self, position: Position | None) -> tuple[int, int]:
        return super().unpack(position if position and "toy" in position["nodes"] else None)


class NotJson(ToyRun):
    """Gives a position that JSON changes."""

    @property
    def position(self) -> Position:
        return {"v": 1, "nodes": {"toy": self.mark}}


class SaysItCannot(ToyFlow):
    """Says that it cannot be resumed, and gives a position all the same."""

    resumable = False

    def __init__(self, source: TestSource, step: Any) -> None:
        super().__init__(source, step, GivesOneAnyway)


class GivesOneAnyway(ToyRun):
    """The run of the above."""

    @property
    def position(self) -> Position:
        return {"v": 1, "nodes": {"toy": list(self.mark)}}


# -- 11 fair ----------------------------------------------------------------------------------------


class NeverRests(ToyRun):
    """Runs through everything that is ready."""

    async def rest(self) -> None:
        return


# -- 12 settled by demand ---------------------------------------------------------------------------


class CommitsOnDelivery(ToyCheckpointRun):
    """Commits a list as soon as it is delivered."""

    async def request(self, n: int) -> list[Any]:
        items = await super().request(n)
        await self.settle()
        return items


class SettleDoesNothing(ToyCheckpointRun):
    """Commits by demand only."""

    async def request(self, n: int) -> list[Any]:
        await ToyCheckpointRun.settle(self)
        items = await self.inner.request(n)
        self.unacknowledged = bool(items)
        return items

    async def settle(self) -> None:
        return


class CommitsOnClose(ToyCheckpointRun):
    """Takes closing for an acknowledgement."""

    async def aclose(self) -> None:
        await self.settle()
        await super().aclose()


class CommitIsCancelled(ToyCheckpointRun):
    """Commits within the request, so that a cancellation takes the commit with it."""

    async def settle(self) -> None:
        if self.unacknowledged:
            self.epoch += 1
            await self.flow.ledger.commit("toy", Commit(self.epoch, self.inner.position))
            self.unacknowledged = False


class AcceptedAnyway(ToyCheckpoint):
    """Accepts a flow that cannot be resumed."""

    def __init__(self, flow: ToyFlow, ledger: Ledger) -> None:
        self.flow = flow


# -- 13 errors speak --------------------------------------------------------------------------------


class SaysNothing(ToyRun):
    """Adds no note."""

    def keep(self, error: Exception) -> None:
        self.error, self.traceback = error, error.__traceback__


class Wraps(ToyRun):
    """Puts an error of its own around the user's."""

    def keep(self, error: Exception) -> None:
        super().keep(RuntimeError(f"step failed: {error}"))


class LosesTheTraceback(ToyRun):
    """Raises the error as if it had happened in the request."""

    def keep(self, error: Exception) -> None:
        super().keep(error)
        self.traceback = None


class EndsSilently(ToyRun):
    """Takes a stray ``StopIteration`` for the end."""

    def put(self, index: int, item: Any) -> None:
        try:
            super().put(index, item)
        except RuntimeError:
            raise asyncio.CancelledError from None

    async def guarded_pump(self) -> None:
        try:
            await super().guarded_pump()
        except asyncio.CancelledError:
            if self.closed:
                raise
            self.ended = True
            self.ready.set()


MUTANTS: dict[str, list[type[Any]]] = {
    "demand": [ReturnsTooMany, ReadsAhead, AcceptsZero, KeepsItsList],
    "promptness": [FillsUp, ReturnsLate, HoldsTheLastBack],
    "ending": [
        EmptyMeansWait,
        NewErrorEachTime,
        NotesEachTime,
        TracebackGrows,
        ForgetsTheError,
        RaisesAfterTheEnd,
    ],
    "prefix": [ErrorOvertakes, AllOrNothing],
    "chunk_invariance": [DropsBeyondThree, ReversesLists, StartsOverEachList],
    "serial": [QueuesUp, LetsIn, RefusalHarms],
    "cancel_safe": [LosesOnCancel, SwallowsCancel, KeepsTheDemand, AwaitsTheGenerator],
    "closing": [
        ClosesOnce,
        ForgetsThePending,
        LeavesItsTask,
        CannotBeCancelled,
        AnswersAfterClose,
        MasksErrors,
        NobodyRetrieves,
        NoOneClosesTheSource,
    ],
    "cold": [StartsAtOnce, SharesItsQueue, OneShot],
    "position": [
        OneTooFew,
        CountsWhatItFetched,
        ForgetsExpansions,
        StandsBehindTheFailure,
        ChangesInPlace,
        TakesAnyPosition,
        NotJson,
        SaysItCannot,
    ],
    "fair": [NeverRests],
    "settled_by_demand": [
        CommitsOnDelivery,
        SettleDoesNothing,
        CommitsOnClose,
        CommitIsCancelled,
        AcceptedAnyway,
    ],
    "errors_speak": [SaysNothing, Wraps, LosesTheTraceback, EndsSilently],
}
