"""A task that fetches ahead of demand, and the items it holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.runtime.chunks import Chunks
from penstock.runtime.failures import Failure
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream

F = TypeVar("F", bound="Feeder")


class Feeder:
    """A task that keeps asking one upstream, and the items that were not taken from it yet.

    It holds at most ``capacity`` items. It calls ``ready`` when items, the end or a failure arrived. A stage
    that finds it empty may call ``ask`` itself: if items are ready, that saves waking the task.
    """

    def __init__(self, stage: Upstream[Any], capacity: int, ready: Callable[[], None]) -> None:
        self.stage = stage
        self.held = Chunks(stage.marks())
        self.ended = False
        self.failure: Failure | None = None
        self._capacity = capacity
        self._ready = ready
        self._room = Gate(stage.run, for_task=True, own=True)
        self._asking = False
        self._task: asyncio.Task[None] | None = None

    def feed(self) -> None:
        """Start the task, or wake it if there is room."""
        if self._task is None:
            self._task = self.stage.run.spawn(self._run(), f"feeder of {self.stage.title()}")
        elif self.room() > 0:
            self._room.open()

    def room(self) -> int:
        """Return how many items may be asked for now."""
        return self._capacity - len(self.held)

    def put(self, items: list[Any]) -> None:
        """Hold items that came from upstream."""
        self.held.put(items, self.stage.marks())

    async def ask(self, n: int = 0) -> bool:
        """Ask upstream for as many items as there is room for, or for ``n`` if that is more.

        Only a stage that takes the items at once passes ``n``. Return whether it asked: upstream may be asked
        already, or have ended.
        """
        if self._asking or self.ended:
            return False
        self._asking = True
        try:
            items = await self.stage.request(max(self.room(), n))
            if items:
                self.put(items)
            else:
                self.ended = True
                self.held.end(self.stage.marks())
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self.stage.run.over(error):
                raise
            self.ended = True
            self.fail(error)
        finally:
            self._asking = False
        return True

    async def _run(self) -> None:
        run = self.stage.run
        try:
            while not self.ended:
                while self.room() <= 0 or self._asking:
                    await self._room.wait()
                await self.ask()
                self._ready()
                if run.strained():
                    await run.breathe()
        except Exception as error:
            if not run.over(error):
                raise
        finally:
            self._ready()

    def fail(self, error: BaseException) -> None:
        """Keep an error until all items before it were taken."""
        self.held.end(self.stage.marks())
        self.failure = Failure(error)

    async def stop(self) -> None:
        """End the task."""
        task, self._task = self._task, None  # a cancelled task keeps its frames alive
        self._ready = _nobody  # it may be a method of the stage, which holds this feeder
        await stop(self.stage.run, task)


def _nobody() -> None:
    """Call nobody: the stage is closed."""


class FeederStage(Stage[Any], Generic[F]):
    """The base of stages that deliver what one feeder holds; subclasses set ``_feeder``."""

    _feeder: F

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._ready = Gate(self.run, own=True)

    @property
    def buffered(self) -> int:
        return len(self._feeder.held)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._feeder.stage

    def marks(self) -> Marks:
        return self._feeder.held.marks()

    async def _stop(self) -> None:
        await self._feeder.stop()

    def forget_failures(self) -> None:
        super().forget_failures()
        if self._feeder.failure is not None:
            self._feeder.failure.forget()
