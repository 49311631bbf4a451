"""What all stages with several running inputs share: a task per input, and waiting for any of them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream

    Place = tuple[Marks, int]


__all__ = ["Input", "JoinStage", "places_of", "stop_all", "withdrawing"]


class Input:
    """One input: a task that asks for what was asked of the stage it belongs to, one chunk at a time.

    ``items`` is the chunk that came last, ``at`` says how many of its ``size`` items are gone, and ``page``
    gives positions inside it; the task asks for another only when none is ``left``.
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
        """Whether it may have ended only because the run is being drained."""
        self.failure: Failure | None = None
        self._demand = 0
        self._ready = ready
        self._wanted = Gate(stage.run, for_task=True)
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: list[asyncio.Task[None]] = []

    @property
    def left(self) -> int:
        """How many items of the chunk are still there."""
        return self.size - self.at

    @property
    def place(self) -> Place:
        """Where the next item stands: a page and an offset in it."""
        return self.page, self.at

    @property
    def over(self) -> bool:
        """Whether it has ended by itself and nothing of it is left."""
        return self.ended and self.at >= self.size and self.failure is None and not self.drained

    @property
    def failed(self) -> bool:
        """Whether its failure is what comes next."""
        return self.failure is not None and self.at >= self.size

    def take(self, n: int) -> list[Any]:
        """Remove and return up to ``n`` items of the chunk."""
        at, end = self.at, min(self.at + n, self.size)
        self.at = end
        if at or end < self.size:
            return self.items[at:end]
        items, self.items = self.items, []  # the whole chunk: nobody else keeps it
        return items

    def want(self, n: int) -> None:
        """Let the task ask for up to ``n`` items, if none is left."""
        if self.ended or self.at < self.size:
            return
        self._demand = n
        if self._task is None:
            self._task = self.stage.run.spawn(
                self._run(tuple(self._withdrawn)), f"branch {self.stage.title()}"
            )
        else:
            self._wanted.open()

    def rest(self) -> None:
        """Ask for no more than what is being asked for already."""
        self._demand = 0

    def withdraw(self) -> None:
        """Take back what is being asked for: the stage's own request was cancelled."""
        self._demand = 0
        if self._task is not None and not self._task.done():
            self._task.cancel()  # requests are cancel-safe: the next task goes on where this one was
            self._withdrawn = [*(task for task in self._withdrawn if not task.done()), self._task]
            self._task = None

    async def _run(self, before: Sequence[asyncio.Task[None]]) -> None:
        for task in before:  # all of them: the last may have been cancelled while it waited for the others
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
        except Exception as error:  # noqa: BLE001  it crosses to the task that requests
            if not stage.run.over(error):
                self.items, self.size, self.at, self.page = [], 0, 0, stage.marks()
                self.failure = Failure(error)
        self.ended = True
        self._ready()

    async def stop(self) -> None:
        """End the tasks."""
        for task in (*self._withdrawn, self._task):
            await stop(task)

    async def aclose(self) -> None:
        """End the tasks, then close the input, even if that fails."""
        try:
            await self.stop()
        finally:
            await self.stage.aclose()

    def release(self) -> None:
        """Give the input back at once, in a task: nobody wants its items any more."""
        self.ended = True
        self.items, self.size, self.at, self.page = [], 0, 0, _moved(self.page, self.at)
        if self._task is not None:
            self._task.cancel()  # at once, so that it cannot move the position any more
        self.stage.run.release(self.aclose())


def _moved(page: Marks, at: int) -> Marks:
    return lambda i: page(at + i)


class withdrawing:  # noqa: N801  reads like a statement
    """Within this block a request waits for branches; if it is cancelled, so is what it asked of them."""

    __slots__ = ("_branches",)

    def __init__(self, branches: Iterable[Input]) -> None:
        self._branches = branches

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        for branch in self._branches:
            if cancelled:
                branch.withdraw()
            else:
                branch.rest()


class JoinStage(Stage[Any]):
    """A branch for every input, and a loop that collects from them or waits for any of them.

    What a request returns comes from at most one chunk of each branch, because it returns as soon as
    there is something: so ``start``, where all branches stood before it, and what was taken of each
    are enough for positions inside it.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.ready = Gate(self.run)
        count = len(site.vertex.inputs)
        self.branches = [Input(site.input(i), self.ready.open) for i in range(count)]
        self.start: list[Place] | None = None
        self.done = False

    @property
    def buffered(self) -> int:
        """The items that the inputs have given and nobody has taken."""
        return sum(branch.left for branch in self.branches)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the inputs."""
        for branch in self.branches:
            yield branch.stage

    def places(self) -> list[Place]:
        """Return where the branches stood before the last chunk, or stand now if it was none."""
        return self.start if self.start is not None else [branch.place for branch in self.branches]

    @abstractmethod
    def collect(self, n: int) -> list[Any]:
        """Return up to ``n`` items of what the branches hold."""

    @abstractmethod
    def over(self) -> bool:
        """Say whether this is the end, given that nothing could be collected; raise what has failed."""

    def throw(self) -> None:
        """Raise the failure of a branch, if that is what comes next there."""
        failed = next((branch.failure for branch in self.branches if branch.failed), None)
        if failed is not None:
            failed.throw()

    def begin(self) -> None:
        """Take note that what was delivered before has arrived."""
        self.start = None

    def prepare(self) -> None:
        """Do what has to be done before it is noted where the branches stand."""

    def ask(self, n: int) -> None:
        """Let every branch without items ask for some."""
        for branch in self.branches:
            branch.want(n)

    async def _request(self, n: int) -> list[Any]:
        self.begin()
        if self.run.strained():
            await self.run.breathe()
        while not self.done:
            self.prepare()
            start = [(branch.page, branch.at) for branch in self.branches]
            out = self.collect(n)
            if out:
                self.start = start
                return out
            if self.over():
                self.finish()
                break
            self.ask(n)
            with withdrawing(self.branches):
                await (self.run.breathe() if self.run.strained() else self.ready.wait())
        return []

    def finish(self) -> None:
        """End, and give back at once every input that has not ended."""
        self.done = True
        if not self.run.draining:
            for branch in self.branches:
                if not branch.ended:
                    branch.release()

    async def _stop(self) -> None:
        await stop_all(self.branches)


async def stop_all(branches: Iterable[Input]) -> None:
    """End the tasks of all branches, even if that fails for some; then raise the first error."""
    errors: list[Exception] = []
    for branch in branches:
        try:
            await branch.stop()
        except Exception as error:  # noqa: BLE001  every branch is stopped first
            errors.append(error)
    if errors:
        raise errors[0]


def places_of(places: Sequence[Place], counts: Sequence[int]) -> States:
    """Return the states of everything above, each branch standing ``counts`` items behind its place."""
    states: States = {}
    for (page, at), count in zip(places, counts, strict=True):
        states.update(page(at + count))
    return states
