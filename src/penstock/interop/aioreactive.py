"""The one place where aioreactive lives: flows as its observables, its observables as flows.

Three rules of this edge come from failures. ``dispose_async`` called from inside ``asend``, however deep,
must not wait for the task that is just running that ``asend``: a context variable, inherited by child
tasks, tells. And ``subscribe_async`` of a foreign observable may send before it returns, so it runs in a
task of its own. And a worker of aioreactive may die without telling anybody: see ``interop.lost_tasks``.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from aioreactive import AsyncAnonymousObserver, AsyncObserver
from expression.system import AsyncDisposable

from penstock.errors import SubscriptionClosed
from penstock.fusion.drive import SlowStart
from penstock.interop.lost_tasks import Workers
from penstock.runtime.node import node
from penstock.runtime.pump import PumpStage
from penstock.runtime.run import Gate
from penstock.runtime.stream import flow_of
from penstock.runtime.subscription import Running
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from aioreactive import AsyncObservable

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["FromObservable", "from_observable", "observe"]

T = TypeVar("T")

QUIET = 50
"""Turns of the loop without an item after which nothing is on its way any more."""

_driving: ContextVar[frozenset[int]] = ContextVar("penstock_driving", default=frozenset())


def from_observable(observable: AsyncObservable[T]) -> Flow[T]:
    """Make a flow of any aioreactive observable, subjects included.

    Its ``asend`` waits until there is demand, so an observable that awaits it is slowed down to the
    consumer's pace; one that does not cannot be bounded. There is no position.

    The tasks that aioreactive itself starts while it is subscribed are ended with the subscription; if one of
    them dies of an error that no observer was told of, the flow fails with it, behind what had come. Tasks
    that those start later (for the flows within a ``flat_map``, say) are out of sight.
    """
    return flow_of(FromObservable(observable=observable))


def as_observer(send: Any, throw: Any, close: Any) -> AsyncObserver[Any]:
    """Return an observer of the three functions, or the observer that was given as the first."""
    if isinstance(send, AsyncObserver):
        return send
    return AsyncAnonymousObserver(send or _ignore, throw or _raise, close or _nothing)


async def _ignore(_: Any) -> None: ...


async def _nothing() -> None: ...


async def _raise(error: Exception) -> None:
    raise error


async def observe(root: Node, observer: AsyncObserver[Any]) -> AsyncDisposable:
    """Drive ``observer`` with the items of a graph, from a task, and return what stops it.

    An error of the observer closes the subscription first and is then thrown to it; an error there goes
    to the loop's exception handler.
    """
    return _Drive(root, observer).begin()


class _Drive:
    def __init__(self, root: Node, observer: AsyncObserver[Any]) -> None:
        self._subscription: Running[Any] = Running(root)
        self._observer = observer
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> AsyncDisposable:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="penstock observer")
        return AsyncDisposable.create(self._dispose)

    async def _run(self) -> None:
        _driving.set(_driving.get() | {id(self)})
        try:
            try:
                async with self._subscription:
                    await self._send()
            except Exception as error:
                if self._subscription.run.over(error):
                    return
                if self._stopped:
                    raise  # the observer has left, and closing what it used has failed
                self._stopped = True
                await self._observer.athrow(error)
                return
            if not self._stopped:
                self._stopped = True
                await self._observer.aclose()
        except Exception as error:  # noqa: BLE001  nobody is left to tell but the loop
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the end of an aioreactive subscription failed", "exception": error}
            )

    async def _send(self) -> None:
        demand, clock = SlowStart(), self._subscription.run.clock
        while not self._stopped and (items := await self._subscription.request(demand.n)):
            began = clock.monotonic()
            for item in items:
                await self._observer.asend(item)
                if self._stopped:
                    return
            demand.took(clock.monotonic() - began)
            if self._subscription.run.strained():
                await self._subscription.run.breathe()

    async def _dispose(self) -> None:
        self._stopped = True
        task = self._task
        if task is None or id(self) in _driving.get():
            return  # called from inside asend: the driver sees it when asend returns
        try:
            await self._subscription.aclose()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])


@node
class FromObservable(SourceNode):
    """Items of any aioreactive observable; its ``asend`` waits until there is demand.

    It cannot be bounded (an observable need not wait for ``asend``) and cannot be resumed.
    """

    operator = "from_observable"
    stateful = False

    observable: AsyncObservable[Any]

    @property
    def obstacle(self) -> Node:
        """This node itself: it has no position."""
        return self

    def bound(self, n: int) -> float:  # noqa: ARG002
        """Return infinity."""
        return float("inf")

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that subscribes at the first request."""
        return _ObservableStage(site, self)


class _ObservableStage(PumpStage):
    def __init__(self, site: Site, node: FromObservable) -> None:
        super().__init__(site, node)
        self._observable = node.observable
        self._over: asyncio.Future[None] | None = None
        self._arrived = 0
        self._parked: dict[Gate, None] = {}

    def marks(self) -> Marks:
        return lambda _: {}

    async def _fill(self) -> None:
        self._over = asyncio.get_running_loop().create_future()
        workers = Workers()
        try:
            disposable = await workers.watch(self._subscribe())
            try:
                await self._told(self._over, workers)
            finally:
                await disposable.dispose_async()
        finally:
            await workers.end()

    async def _subscribe(self) -> AsyncDisposable:
        observer = AsyncAnonymousObserver(self._asend, self._athrow, self._aclose_observer)
        return await self._observable.subscribe_async(observer)

    async def _told(self, over: asyncio.Future[None], workers: Workers) -> None:
        """Wait for the end that the observable tells of, or for the death of a worker that cannot tell.

        What was on its way when the worker died comes first: nothing may have come for some turns of the
        loop in which items were wanted.
        """
        either: list[asyncio.Future[Any]] = [over, workers.death]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        quiet = 0
        while not over.done() and quiet < QUIET:
            await self._until_wanted()
            before = self._arrived
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._arrived == before else 0
        if over.done():
            over.result()
        else:
            raise workers.death.result()

    async def _asend(self, item: Any) -> None:
        """Take an item and wait until another is wanted; several producers may be waiting here at a time."""
        if self._ended or self._closed or self.run.closed or (self._over is not None and self._over.done()):
            # Also what a source sends after its own end. It may be a producer that awaits nothing else, and
            # without a turn of the loop it would never hear that it is disposed.
            await asyncio.sleep(0)
            return
        self._arrived += 1
        self._put([item])
        gate = Gate(self.run)
        self._parked[gate] = None
        try:
            if self.run.strained():
                await self.run.breathe()
            while self._demand <= 0 and not self._ended:
                await gate.wait()
        except SubscriptionClosed:
            return  # that is this consumer's affair; the observable may have others
        finally:
            self._parked.pop(gate, None)

    def _want(self) -> None:
        super()._want()
        for gate in tuple(self._parked):
            gate.open()

    async def _stop(self) -> None:
        self._ended = True
        self._want()
        try:
            await super()._stop()
        finally:
            if self._over is not None and self._over.done() and not self._over.cancelled():
                self._over.exception()  # closed in between: nobody else asks for it

    async def _athrow(self, error: Exception) -> None:
        if isinstance(error, StopIteration):  # a future refuses it
            stray, error = error, RuntimeError(f"the observable threw {error!r}")
            error.__cause__ = stray
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    async def _aclose_observer(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
