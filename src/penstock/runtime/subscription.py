"""The handle of one run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.abc import Statistics, Subscription
from penstock.errors import ConcurrentRequestError, SubscriptionClosed
from penstock.runtime.failures import Failure
from penstock.runtime.graph import position_of, require_resumable, resolve, states_of
from penstock.runtime.node import Site
from penstock.runtime.run import CLOSED, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping

    from penstock.abc import Position, StageStatistics
    from penstock.runtime.node import Node, Vertex
    from penstock.runtime.upstream import Upstream


__all__ = ["Running"]

T_co = TypeVar("T_co", covariant=True)


class Running(Subscription[T_co]):
    """A graph that runs: checks every call, keeps the end and the error, and closes everything once.

    Args:
        root: The graph.
        position: Where to start; ``None`` is the beginning.

    Raises:
        PositionError: the position belongs to another graph.
        NotResumable: a position was given, and a node cannot use one.
    """

    def __init__(self, root: Node, position: Position | None = None) -> None:
        vertex = resolve(root)
        if position is not None:
            require_resumable(root, "subscribing from a position")
        states = states_of(vertex, position) if position is not None else {}
        self.run = Run()
        self._vertex = vertex
        self._stage: Upstream[Any] = Site(vertex, self.run, states).start()
        self._count = 0
        self._busy = False
        self._ended = False
        self._failure: Failure | None = None
        self._closing: asyncio.Task[None] | None = None

    def lazily(self, n: int) -> Coroutine[Any, Any, Iterable[T_co]]:
        """Return what ``Stage.lazily`` gives: for drivers, which are alone with their run and end with it."""
        return self._stage.lazily(n)

    async def request(self, n: int) -> list[T_co]:  # noqa: D102  promised by Subscription
        if n < 1:
            msg = f"request({n}): ask for at least one item"
            raise ValueError(msg)
        if self._busy:
            self._refuse_second()
        if self.run.closed:
            raise SubscriptionClosed(CLOSED)
        if self._failure is not None:
            self._failure.throw()
        if self._ended:
            return []
        self._busy = True
        self._count = 0
        try:
            items = await self._stage.request(n)
        except Exception as error:
            if not self.run.over(error):
                self._failure = Failure(error)
            raise
        finally:
            self._busy = False
        if self.run.closed:
            raise SubscriptionClosed(CLOSED)
        self._count = len(items)
        self._ended = not items
        return items

    def _refuse_second(self) -> None:
        if self._busy:
            msg = (
                "this subscription already has a request pending: await it before the next one, "
                "or subscribe a second time for a second consumer"
            )
            raise ConcurrentRequestError(msg)

    @property
    def position(self) -> Position:  # noqa: D102
        return self.bookmark()()

    def bookmark(self) -> Callable[[], Position]:
        """Return what gives the present position, also later, when the run has gone on."""
        require_resumable(self._vertex.node, "a position of this flow")
        vertex, marks, count = self._vertex, self._stage.marks(), self._count
        return lambda: position_of(vertex, marks(count))

    def statistics(self) -> Statistics:  # noqa: D102
        return Statistics(tuple(self.figures(self._vertex)))

    def figures(self, vertex: Vertex, places: Mapping[int, int] | None = None) -> Iterator[StageStatistics]:
        """Yield what every stage has done so far, as if this graph ended with ``vertex`` of another one.

        ``places`` are the keys of the vertices of that one by identity; its own order counts unless given.
        """
        own = self._vertex.walk()
        keys = {
            id(mine): places[id(other)] if places is not None else key
            for key, (mine, other) in enumerate(zip(own, vertex.walk(), strict=True))
        }
        return self._stage.figures(keys)

    async def settle(self) -> None:  # noqa: D102
        self._refuse_second()
        if self.run.closed:
            raise SubscriptionClosed(CLOSED)
        self._busy = True
        try:
            await self._stage.settle(self._count)
        finally:
            self._busy = False

    async def drain(self) -> None:  # noqa: D102
        self.take_no_more()

    def take_no_more(self) -> None:
        """Do what ``drain`` does; allowed from a signal handler of the loop."""
        self.run.draining = True
        self.run.wake()

    async def aclose(self) -> None:  # noqa: D102
        if self._closing is None:
            self.run.closed = True
            self.run.wake()
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="penstock aclose")
            # if the caller is cancelled meanwhile, nobody else would look at the outcome
            self._closing.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif self._closing.done():
            return
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        errors: list[Exception] = []
        for close in (*self.run.releases, self._stage.aclose()):
            try:
                await close
            except Exception as error:  # noqa: BLE001  everything is closed first, then the first error is raised
                errors.append(error)
        if errors:
            raise errors[0]
