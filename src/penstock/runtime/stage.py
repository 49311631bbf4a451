"""``Stage``, the base of running nodes, and ``runs``, which says which nodes it runs."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.abc import StageStatistics
from penstock.runtime.failures import Failure, reraise
from penstock.runtime.upstream import Upstream
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from penstock.runtime.node import Node, Site, Vertex
    from penstock.runtime.places import Places
    from penstock.runtime.run import Run
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")
S = TypeVar("S", bound="Callable[[Site, Any], Upstream[Any]]")


class Stage(Upstream[T]):
    """The base of every running node: it counts requests, and closes the stages above.

    Subclasses write ``_request``, ``marks`` and ``upstreams``, and ``_stop`` if they own tasks or files.
    """

    def __init__(self, site: Site) -> None:
        self.run = site.run
        self.site = site
        self.requests = 0
        self.requested = 0
        self.delivered = 0
        self.dropped = 0
        self.waiting = 0.0
        self.since: float | None = None
        self._asked: float | None = None  # when the pending request began
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.site.vertex.node.describe()}>"

    async def request(self, n: int) -> list[T]:
        """Count the request, then call ``_request``."""
        if n > sys.maxsize:  # noqa: PLR1730  faster than min; lists and islice cannot count further
            n = sys.maxsize
        self.requests += 1
        self.requested += n
        clock = self.run.clock.monotonic
        began = self._asked = clock()
        if self.since is None:
            self.since = began
        try:
            items = await self._request(n)
        except GeneratorExit:  # the coroutine was dropped, perhaps behind the end of its loop
            raise
        except BaseException as error:
            if self.run.closed or _is_cancelled(error):
                raise
            reraise(error, self.site.vertex.node.describe())
        finally:
            self.waiting += clock() - began
            self._asked = None
        self.delivered += len(items)
        return items

    @abstractmethod
    async def _request(self, n: int) -> list[T]: ...

    @abstractmethod
    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the running nodes this one pulls from."""

    @property
    def buffered(self) -> int:
        """How many items this stage holds for later requests; for statistics."""
        return 0

    async def settle(self, count: int) -> None:
        """Do nothing: only a stage that may stand behind a checkpoint passes this on."""

    async def aclose(self) -> None:
        """Call ``_stop``, then close every upstream."""
        if self._closed:
            return
        self._closed = True
        try:
            await close_all([self._stop, *(stage.aclose for stage in self.upstreams())])
        finally:
            self.forget_failures()

    async def _stop(self) -> None:
        """End this stage's own tasks, generators and files."""

    def stopped_by(self, error: BaseException) -> bool:
        """Return whether ``error`` cancels a task of this stage because the stage or the run is closed."""
        return isinstance(error, asyncio.CancelledError) and (self._closed or self.run.closed)

    def forget_failures(self) -> None:
        """Drop the errors that this stage keeps: their tracebacks keep the frames of the run alive."""
        for value in vars(self).values():
            if type(value) is Failure:
                value.forget()

    def waited(self, now: float) -> float:
        return self.waiting + (now - self._asked if self._asked is not None else 0.0)

    def measured(self, places: Places) -> StageStatistics:
        now = self.run.clock.monotonic()
        waiting = self.waited(now)
        upstream = min(waiting, sum(stage.waited(now) for stage in self.upstreams()))
        idle = 0.0 if self.since is None else max(0.0, now - self.since - waiting)
        operators = " | ".join(vertex.node.describe() for vertex in self.vertices())
        return StageStatistics(
            self.title(), self.requested, self.delivered, self.requests, waiting,
            self.dropped, self.buffered, upstream, idle, places.keys(self.vertices()), operators,
        )  # fmt: skip

    def vertices(self) -> Sequence[Vertex]:
        """Return the vertices that this stage runs."""
        return (self.site.vertex,)

    def title(self) -> str:
        return self.site.vertex.node.operator


def _is_cancelled(error: BaseException) -> bool:
    """Return whether ``error`` means that the current task was cancelled."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def runs(kind: type[Node]) -> Callable[[S], S]:
    """Decorate the class of stages that runs nodes of type ``kind``."""

    def register(stage: S) -> S:
        kind.stage = stage
        return stage

    return register


def behind(ended: Iterable[Marks]) -> States:
    """Return the states at the end of inputs that have ended, from the last marks of each.

    Call it only when a position is asked for: it raises ``NotResumable`` if an input has no position.
    """
    states: States = {}
    for marks in ended:
        states.update(marks(0))
    return states


async def stop(run: Run, task: asyncio.Task[Any] | None) -> None:
    """Cancel a task of ``run`` and wait for its end; raise its error, unless a request has raised it."""
    if task is None:
        return
    if not task.done():
        run.cancel(task)
        await asyncio.wait([task])
    error = None if task.cancelled() else task.exception()
    if error is None or run.has_raised(error):
        return
    if isinstance(error, GeneratorExit):  # raised here, it would tell this coroutine to end without awaiting
        raise RuntimeError(f"the task {task.get_name()!r} raised GeneratorExit") from error  # noqa: TRY004
    raise error
