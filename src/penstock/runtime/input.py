"""One input of a stage that has several: a task, and the chunk that it requested last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure
from penstock.runtime.run import Gate
from penstock.runtime.stage import stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.runtime.inputs import JoinStage
    from penstock.runtime.upstream import Marks, Upstream

    Place = tuple[Marks, int]


class Input:
    """One input of a stage: a task that requests one chunk each time the stage wants one.

    ``items`` is the last chunk; ``at`` of its ``size`` items were taken; ``page`` are its marks. What happens
    is told to the stage, so that it need not look at every input.
    """

    instant = False  # to close it, a task must be stopped

    __slots__ = (
        "_busy", "_demand", "_stage", "_task", "_wanted", "_withdrawn",
        "drained", "ended", "failure", "index", "items", "moved", "page", "size", "stage", "taken",
    )  # fmt: skip

    def __init__(self, stage: Upstream[Any], join: JoinStage, index: int = 0) -> None:
        self.stage = stage
        self.index = index
        self.items: list[Any] = []
        self.size = 0
        self.taken = 0
        """``at``; whoever sets it must call ``note`` too."""
        self.page = stage.marks()
        self.moved = False
        """Whether it has told the stage that its place changed."""
        self.ended = False
        self.drained = False
        """Whether the run was being drained when it ended, which may be the only reason for the end."""
        self.failure: Failure | None = None
        self._stage = join
        self._busy = False
        self._demand = 0
        self._wanted: Gate | None = None  # for the task
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: list[asyncio.Task[None]] = []

    @property
    def at(self) -> int:
        """How many items of the chunk were taken."""
        return self.taken

    @at.setter
    def at(self, at: int) -> None:
        self.taken = at
        if not self.moved:
            self.note()

    @property
    def left(self) -> int:
        """How many items of the chunk were not taken yet."""
        return self.size - self.taken

    @property
    def place(self) -> Place:
        """The position before the next item: marks and an offset."""
        return self.page, self.taken

    @property
    def over(self) -> bool:
        """Whether it completed (not failed, not drained) and no item is left."""
        return self.ended and self.taken >= self.size and self.failure is None and not self.drained

    @property
    def failed(self) -> bool:
        """Whether it failed and no item is left before the failure."""
        return self.failure is not None and self.taken >= self.size

    @property
    def idle(self) -> bool:
        """Whether it holds no item and requests none."""
        return not (self.ended or self._busy or self._demand or self.taken < self.size)

    def note(self) -> None:
        """Tell the stage that ``place`` changed."""
        if not self.moved:
            self.moved = True
            self._stage.changed.append(self)

    def take(self, n: int) -> list[Any]:
        """Remove and return up to ``n`` items of the chunk."""
        at, end = self.taken, min(self.taken + n, self.size)
        self.at = end
        if at or end < self.size:
            return self.items[at:end]
        items, self.items = self.items, []  # the whole chunk, without a copy
        return items

    def want(self, n: int) -> None:
        """Let the task request up to ``n`` items, unless some are left or requested."""
        if self.ended or self._busy or self.taken < self.size or self.want_now(n):
            return
        if self.stage.instant and self._stage.patient and self.stage.run.strained():
            self._stage.put_off = True  # the stage pauses now, and asks again
            return
        self._demand = n
        self._stage.asking(self)
        if self._task is None:
            self._task = self.stage.run.spawn(
                self._run(tuple(self._withdrawn)), f"input {self.stage.title()}"
            )
        elif self._wanted is not None:
            self._wanted.open()

    def want_now(self, n: int) -> bool:
        """Request up to ``n`` items without a task, unless some are left or requested; return whether it did.

        Only an ``instant`` stage is asked so, and only while the run is not strained. If it becomes so, the
        request is cancelled, and loses nothing: the task continues after a pause.
        """
        run = self.stage.run
        if not self.stage.instant or self.ended or self._busy or self._demand or self.taken < self.size:
            return False
        if run.strained() or (self._withdrawn and any(not task.done() for task in self._withdrawn)):
            return False
        if self.stage.exhausted:
            self._stage.idle.pop(self, None)
            self.end()
            return True
        request = self.stage.request(n)
        try:
            request.send(None)
        except StopIteration as answer:
            self._stage.idle.pop(self, None)
            self._came(answer.value, self.stage.marks())
            return True
        except Exception as error:  # noqa: BLE001  raised later, in the request of the stage
            self._stage.idle.pop(self, None)
            self._failed(error)
            return True
        request.close()
        return False

    def rest(self) -> bool:
        """Let the task request nothing, if it has not begun; return whether it has not."""
        rests, self._demand = self._demand > 0, 0
        return rests and not self.ended

    def withdraw(self) -> None:
        """Cancel the task's request, because the request of the stage was cancelled."""
        self._demand, self._busy = 0, False
        if self._task is not None and not self._task.done():
            self.stage.run.cancel(
                self._task
            )  # requests are cancel-safe: the next task goes on where this one was
            self._withdrawn = [*(task for task in self._withdrawn if not task.done()), self._task]
            self._task = None

    async def _run(self, before: Sequence[asyncio.Task[None]]) -> None:
        for task in before:  # all of them: the last one may have been cancelled while it waited here
            if not task.done():
                await asyncio.wait([task])
        stage = self.stage
        wanted = self._wanted = Gate(stage.run, for_task=True, own=True)
        try:
            while True:
                while not self._demand:
                    await wanted.wait()
                n, self._demand, self._busy = self._demand, 0, True
                items = await stage.request(n)
                self._came(items, stage.marks())
                if self.ended:
                    break
        except Exception as error:  # noqa: BLE001  raised later, in the request of the stage
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Hold an error, unless it says that the run was closed."""
        if not self.stage.run.over(error):
            self.failure = Failure(error)
        self._came([], self.stage.marks())

    def _came(self, items: list[Any], page: Marks) -> None:
        """Hold the next chunk; an empty one is the end."""
        self.items, self.size, self.taken, self.page = items, len(items), 0, page
        self._busy = False
        if not items:
            self.drained = self.failure is None and self.stage.run.draining
            self.ended = True
        self._stage.told(self)

    def end(self) -> None:
        """End without a request, because the stage is known to be exhausted."""
        self._came([], _moved(self.page, self.taken))

    def forget(self) -> None:
        """Drop the failure, and the stage, which is closed: it holds this input, so both would stay alive."""
        if self.failure is not None:
            self.failure.forget()
        self.moved = True  # so that nothing is told any more
        del self._stage

    async def stop(self) -> None:
        """End the tasks."""
        tasks, self._task, self._withdrawn = (*self._withdrawn, self._task), None, []
        for task in tasks:
            await stop(self.stage.run, task)

    async def aclose(self) -> None:
        """End the tasks, then close the input, even if that fails."""
        try:
            await self.stop()
        finally:
            await self.stage.aclose()

    def release(self) -> None:
        """Close the input in a task of its own, because its items are not needed any more."""
        self.ended = True
        self.items, self.size, self.taken, self.page = [], 0, 0, _moved(self.page, self.taken)
        self._stage.forget(self)
        self.close()

    def close(self) -> None:
        """Do the same to an input that is over."""
        run, stage = self.stage.run, self.stage
        if self._task is not None:
            run.cancel(self._task)  # at once, so that it cannot move the position any more
        if self._task is not None or self._withdrawn:
            run.release(self)
        elif not (stage.instant and stage.exhausted):  # such a stage holds nothing any more
            run.release(stage)


def _moved(page: Marks, at: int) -> Marks:
    return lambda i: page(at + i)
