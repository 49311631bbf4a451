"""Stages with several inputs: a task for each input, and a loop that waits for any of them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream

    Place = tuple[Marks, int]


class Input:
    """One input of a stage: a task that requests one chunk at a time, as many items as ``want`` says.

    ``items`` is the last chunk. ``at`` of its ``size`` items were taken; ``page`` are its marks. The task
    requests the next chunk when no item is ``left``.
    """

    __slots__ = (
        "_demand", "_ready", "_task", "_wanted", "_withdrawn",
        "at", "drained", "ended", "failure", "items", "page", "size", "stage",
    )  # fmt: skip

    def __init__(self, stage: Upstream[Any], ready: Callable[[], None]) -> None:
        self.stage = stage
        self.items: list[Any] = []
        self.size = 0
        self.at = 0
        self.page = stage.marks()
        self.ended = False
        self.drained = False
        """Whether the run was being drained when it ended, which may be the only reason for the end."""
        self.failure: Failure | None = None
        self._demand = 0
        self._ready = ready
        self._wanted = Gate(stage.run, for_task=True, own=True)
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: list[asyncio.Task[None]] = []

    @property
    def left(self) -> int:
        """How many items of the chunk were not taken yet."""
        return self.size - self.at

    @property
    def place(self) -> Place:
        """The position before the next item: marks and an offset."""
        return self.page, self.at

    @property
    def over(self) -> bool:
        """Whether it completed (not failed, not drained) and no item is left."""
        return self.ended and self.at >= self.size and self.failure is None and not self.drained

    @property
    def failed(self) -> bool:
        """Whether it failed and no item is left before the failure."""
        return self.failure is not None and self.at >= self.size

    def take(self, n: int) -> list[Any]:
        """Remove and return up to ``n`` items of the chunk."""
        at, end = self.at, min(self.at + n, self.size)
        self.at = end
        if at or end < self.size:
            return self.items[at:end]
        items, self.items = self.items, []  # the whole chunk, without a copy
        return items

    def want(self, n: int) -> None:
        """Let the task request up to ``n`` items, if none is left."""
        if self.ended or self.at < self.size:
            return
        self._demand = n
        if self._task is None:
            self._task = self.stage.run.spawn(
                self._run(tuple(self._withdrawn)), f"input {self.stage.title()}"
            )
        else:
            self._wanted.open()

    def rest(self) -> None:
        """Let the task request nothing after its present request."""
        self._demand = 0

    def withdraw(self) -> None:
        """Cancel the task's request, because the request of the stage was cancelled."""
        self._demand = 0
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
        try:
            while True:
                while not self._demand or self.at < self.size:
                    await self._wanted.wait()
                items = await stage.request(self._demand)
                self.items, self.size, self.at, self.page = items, len(items), 0, stage.marks()
                if not items:
                    self.drained = stage.run.draining
                    break
                self._ready()
        except Exception as error:  # noqa: BLE001  raised later, in the request of the stage
            if not stage.run.over(error):
                self.items, self.size, self.at, self.page = [], 0, 0, stage.marks()
                self.failure = Failure(error)
        self.ended = True
        self._ready()

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
        self.items, self.size, self.at, self.page = [], 0, 0, _moved(self.page, self.at)
        if self._task is not None:
            self.stage.run.cancel(self._task)  # at once, so that it cannot move the position any more
        self.stage.run.release(self.aclose())


def _moved(page: Marks, at: int) -> Marks:
    return lambda i: page(at + i)


class withdrawing:  # noqa: N801  reads like a statement
    """A block in which a request waits for inputs. If it is cancelled, the requests to the inputs are too."""

    __slots__ = ("_inputs",)

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._inputs = inputs

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        for one in self._inputs:
            if cancelled:
                one.withdraw()
            else:
                one.rest()


class JoinStage(Stage[Any]):
    """A stage with several inputs: a loop that collects items from them, or waits for any of them.

    A request returns as soon as it has collected something, so its items come from at most one chunk of each
    input. Positions inside them need only ``start`` (where all inputs stood before) and how many items were
    taken from each input.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.ready = Gate(self.run, own=True)
        count = len(site.vertex.inputs)
        self.inputs = [Input(site.input(i), self.ready.open) for i in range(count)]
        self.start: list[Place] | None = None
        self.done = False

    @property
    def buffered(self) -> int:
        return sum(one.left for one in self.inputs)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        for one in self.inputs:
            yield one.stage

    def places(self) -> list[Place]:
        """Return where the inputs stood before the last chunk, or stand now if there was none."""
        return self.start if self.start is not None else [one.place for one in self.inputs]

    @abstractmethod
    def collect(self, n: int) -> list[Any]:
        """Return up to ``n`` items, made from the items that the inputs hold."""

    @abstractmethod
    def over(self) -> bool:
        """Return whether the stage has ended, when nothing could be collected; raise an input's failure."""

    def throw(self) -> None:
        """Raise the failure of an input that has no items left before it."""
        failed = next((one.failure for one in self.inputs if one.failed), None)
        if failed is not None:
            failed.throw()

    def begin(self) -> None:
        """Forget the last chunk: a new request means that it was received."""
        self.start = None

    def prepare(self) -> None:
        """Do what a subclass needs before ``start`` is noted."""

    def ask(self, n: int) -> None:
        """Let every input without items request up to ``n``."""
        for one in self.inputs:
            one.want(n)

    async def _request(self, n: int) -> list[Any]:
        self.begin()
        if self.run.strained():
            await self.run.breathe()
        while not self.done:
            self.prepare()
            start = [(one.page, one.at) for one in self.inputs]
            out = self.collect(n)
            if out:
                self.start = start
                return out
            if self.over():
                self.finish()
                break
            self.ask(n)
            with withdrawing(self.inputs):
                await (self.run.breathe() if self.run.strained() else self.ready.wait())
        return []

    def finish(self) -> None:
        """End, and close every input that has not ended."""
        self.done = True
        if not self.run.draining:
            for one in self.inputs:
                if not one.ended:
                    one.release()

    async def _stop(self) -> None:
        await close_all([one.stop for one in self.inputs])

    def forget_failures(self) -> None:
        super().forget_failures()
        for one in self.inputs:
            if one.failure is not None:
                one.failure.forget()


def places_of(places: Sequence[Place], counts: Sequence[int]) -> States:
    """Return the states above, where each input stands ``counts`` items behind its place."""
    states: States = {}
    for (page, at), count in zip(places, counts, strict=True):
        states.update(page(at + count))
    return states
