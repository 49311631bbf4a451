"""``Running``: the subscription of one run."""

from __future__ import annotations

import asyncio
import sys
import warnings
from contextlib import suppress
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, cast

from penstock.abc import Statistics, Subscription
from penstock.errors import ConcurrentRequestError, NotResumable, SubscriptionClosed
from penstock.notebook.interrupts import say_where
from penstock.runtime.arguments import shown
from penstock.runtime.failures import CLOSED, Failure
from penstock.runtime.graph import MOST_NAMES, position_of, require_resumable, resolve, states_of
from penstock.runtime.node import Site
from penstock.runtime.places import Places, figures
from penstock.runtime.run import Run
from penstock.runtime.tasks import start_task
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from penstock.abc import Position
    from penstock.runtime.node import Node
    from penstock.runtime.upstream import Upstream

T_co = TypeVar("T_co", covariant=True)

FOREIGN = "this subscription made its first request in another event loop"


def _whole(n: object) -> int:
    """Return ``n``, the number of a request, as an integer of at least 1, or raise."""
    if isinstance(n, bool) or not hasattr(type(n), "__index__"):
        msg = f"request({shown(n)}): ask for a whole number of items, not {type(n).__name__}"
        raise TypeError(msg)
    count = index(cast("SupportsIndex", n))
    if count < 1:
        msg = f"request({shown(n)}): ask for at least one item"
        raise ValueError(msg)
    return count


class Running(Subscription[T_co]):
    """One run of a graph. It checks every call, remembers the end and the error, and closes everything once.

    ``positioned`` says that its positions will be needed; see ``Site``.

    Raises:
        PositionError: the position belongs to another graph.
        NotResumable: a position was given, but a node cannot start from one.
    """

    def __init__(
        self, root: Node, position: Position | None = None, began: str = "", *, positioned: bool = False
    ) -> None:
        vertex = resolve(root)
        if position is not None:
            require_resumable(root, "subscribing from a position")
        states = states_of(vertex, position) if position is not None else {}
        self.run = Run()
        self.run.root = vertex
        self._vertex = vertex
        self._stage: Upstream[Any] = Site(vertex, self.run, states, positioned=positioned).start()
        self._count = 0
        self._busy = False
        self._ended = False
        self._failure: Failure | None = None
        self._closing: asyncio.Task[None] | None = None
        self._began = began
        self._loop: asyncio.AbstractEventLoop | None = None  # since the first request

    def __repr__(self) -> str:
        names = [vertex.node.operator for vertex in self._vertex.run]
        if len(names) > MOST_NAMES:
            names[MOST_NAMES // 2 : -MOST_NAMES // 2] = ["..."]
        return f"<Subscription {' | '.join(names)}: {self.state}, {self.statistics().delivered:,} delivered>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle, title

        return bundle(repr(self), title("Subscription", self.state), self.statistics().html())

    @property
    def state(self) -> str:
        """``new``, ``running``, ``completed``, ``failed`` or ``closed``."""
        if self._failure is not None:
            return "failed"
        if self._ended:
            return "completed"
        if self.run.closed:
            return "closed"
        return "running" if self.run.begun else "new"

    def lazily(self, n: int) -> Coroutine[Any, Any, Iterable[T_co]]:
        """Call ``lazily`` of the last stage, unchecked: for terminals, which own their run."""
        if not self.run.begun:
            self.run.begin()
        return self._stage.lazily(n)

    async def request(self, n: int) -> list[T_co]:
        if n.__class__ is not int or n < 1:
            n = _whole(n)
        if self._busy:
            self._refuse_second()
        if self.run.closed:
            raise SubscriptionClosed(CLOSED)
        if self._loop is not asyncio.get_running_loop():
            self._bind()
        if self._failure is not None:
            self._failure.throw()
        if self._ended:
            return []
        if not self.run.begun:
            self.run.begin()
        self._busy = True
        self._count = 0
        try:
            items = await self._stage.request(n)
        except asyncio.CancelledError as error:  # of the caller: the next request continues
            say_where(error, lambda: f"Interrupted: {self!r}")
            raise
        except BaseException as error:
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

    def _bind(self) -> None:
        """Remember the event loop of the first request, or refuse another one."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError(f"{FOREIGN}, so this one cannot ask it: subscribe to the flow again")
        self._loop = loop

    def _refuse_second(self) -> None:
        if self._busy:
            msg = (
                "this subscription already has a request pending: await it before the next one, "
                "or subscribe a second time for a second consumer"
            )
            raise ConcurrentRequestError(msg)

    @property
    def position(self) -> Position:
        return self.bookmark()()

    @property
    def exhausted(self) -> bool:
        """Whether it is known that no item follows, though perhaps no request has found the end."""
        return self._failure is None and (self._ended or self._stage.exhausted)

    def bookmark(self) -> Callable[[], Position]:
        """Return a function that returns the present position, even if it is called later."""
        require_resumable(self._vertex.node, "a position of this flow")
        if self.run.without_position:
            raise NotResumable(self.run.without_position)
        vertex, marks, count = self._vertex, self._stage.marks(), self._count
        return lambda: position_of(vertex, marks(count))

    def statistics(self) -> Statistics:
        places = Places(self._vertex.node)
        return Statistics(tuple(found for stage in self.observed(places) for found in figures(stage, places)))

    def observed(self, places: Places) -> Iterable[Upstream[Any]]:
        """Return the last stage, for statistics; nothing if the stages of this run are in them already."""
        return (self._stage,) if places.enter(self._vertex) else ()

    async def settle(self) -> None:
        self._refuse_second()
        if self.run.closed:
            raise SubscriptionClosed(CLOSED)
        self._busy = True
        try:
            await self._stage.settle(self._count)
        finally:
            self._busy = False

    async def drain(self) -> None:
        self.take_no_more()

    def take_no_more(self) -> None:
        """Do what ``drain`` does, without awaiting: a signal handler of the loop may call it."""
        self.run.draining = True
        self.run.wake()

    async def aclose(self) -> None:
        loop = self._loop
        if loop is not None and loop is not asyncio.get_running_loop() and not loop.is_closed():
            raise RuntimeError(f"{FOREIGN}: close it there")
        if self._closing is None:
            self.run.closed = True
            self.run.wake()
            self._closing = start_task(_close(self.run, self._stage), "penstock aclose")
            # Read its error also if the caller is cancelled: asyncio warns of errors that were never read.
            self._closing.add_done_callback(lambda task: task.cancelled() or task.exception())
            if self._failure is not None:
                self._failure.forget()
        if not self._closing.done() and not self.run.inside():  # the closing waits for tasks of the run
            await asyncio.shield(self._closing)

    def __dir__(self) -> Iterable[str]:
        """Return the names of a subscription: completion need not show those of the runtime."""
        return dir(Subscription)

    def __del__(self) -> None:
        if getattr(self, "_closing", self) is not None or sys.is_finalizing():  # or __init__ failed
            return
        loop = self._loop
        if loop is None and not self.run.begun and any(True for _ in self.run.shared_nodes()):
            with suppress(RuntimeError):  # other subscribers wait for this one
                loop = asyncio.get_running_loop()
        if loop is None or loop.is_closed():
            return
        if self._began and self._loop is not None and not self._ended and self._failure is None:
            msg = f"the subscription of {self._began} was dropped without aclose(): use 'async with'"
            warnings.warn(msg, ResourceWarning, stacklevel=2, source=self)
        run, stage = self.run, self._stage
        loop.call_soon_threadsafe(lambda: loop.create_task(_close(run, stage), name="penstock aclose"))


async def _close(run: Run, stage: Upstream[Any]) -> None:
    run.closed = True
    run.wake()
    releases = ((lambda task=task: task) for task in run.releases)
    declines = () if run.begun else (node.decline for node in run.shared_nodes())
    try:
        await close_all([*releases, stage.aclose, *run.at_close, *declines])
    finally:
        run.at_close.clear()
        if run.failure is not None:
            run.failure.forget()
