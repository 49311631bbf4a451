"""Mutants of laws 10 to 13: flows broken in positions, fairness, commits and errors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.abc import Commit

from .toys import ToyCheckpoint, ToyCheckpointRun, ToyFlow, ToyRun

if TYPE_CHECKING:
    from penstock.abc import Ledger, Position
    from penstock.testing import TestSource

# -- 10 position ------------------------------------------------------------------------------------


class OneTooFew(ToyRun):
    """The position stands before the last item delivered."""

    @property
    def position(self) -> Position:
        index, expanded = self.mark
        return {"v": 1, "nodes": {"toy": [max(index - 1, 0), expanded]}}


class CountsWhatItFetched(ToyRun):
    """The position stands behind the fetched items instead of the delivered ones."""

    @property
    def position(self) -> Position:
        mark = self.queue[-1][1] if self.queue else self.mark
        return {"v": 1, "nodes": {"toy": list(mark)}}


class ForgetsExpansions(ToyRun):
    """Counts inputs, but not their expansions."""

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
    """Returns its own mutable state as the position."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        super().__init__(flow, position)
        self.state = list(self.mark)

    @property
    def position(self) -> Position:
        self.state[:] = self.mark
        return {"v": 1, "nodes": {"toy": self.state}}


class TakesAnyPosition(ToyRun):
    """Accepts an unknown position and starts from the beginning."""

    def unpack(self, position: Position | None) -> tuple[int, int]:
        return super().unpack(position if position and "toy" in position["nodes"] else None)


class NotJson(ToyRun):
    """Returns a position that a round trip through JSON changes."""

    @property
    def position(self) -> Position:
        return {"v": 1, "nodes": {"toy": self.mark}}


class SaysItCannot(ToyFlow):
    """Is declared not resumable, but returns a position."""

    resumable = False

    def __init__(self, source: TestSource, step: Any) -> None:
        super().__init__(source, step, GivesOneAnyway)


class GivesOneAnyway(ToyRun):
    """The run of the flow above."""

    @property
    def position(self) -> Position:
        return {"v": 1, "nodes": {"toy": list(self.mark)}}


# -- 11 fair ----------------------------------------------------------------------------------------


class NeverRests(ToyRun):
    """Never lets other tasks run."""

    async def rest(self) -> None:
        return


class TakesTheWholePage(ToyFlow):
    """Works on all items of a page without a pause."""

    def subscribe(self, position: Position | None = None) -> Any:
        return WholePages(self, position)


class WholePages:
    """The run of the flow above: a run of the source that does ``step`` for each list."""

    def __init__(self, flow: ToyFlow, position: Position | None) -> None:
        self.step = flow.step
        self.inner = flow.source.subscribe(position)
        self.aclose = self.inner.aclose

    async def request(self, n: int) -> list[Any]:
        return [output for item in await self.inner.request(n) for output in self.step(item)]


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
    """Treats closing as an acknowledgement."""

    async def aclose(self) -> None:
        await self.settle()
        await super().aclose()


class CommitIsCancelled(ToyCheckpointRun):
    """Commits inside the request, so that a cancellation cancels the commit."""

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
    """Wraps the user's error in an error of its own."""

    def keep(self, error: Exception) -> None:
        super().keep(RuntimeError(f"step failed: {error}"))


class LosesTheTraceback(ToyRun):
    """Loses the traceback of the user's function."""

    def keep(self, error: Exception) -> None:
        super().keep(error)
        self.traceback = None


class EndsSilently(ToyRun):
    """Treats a stray ``StopIteration`` as the end."""

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
