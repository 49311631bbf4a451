"""Flows as observables of aioreactive, and its observables as flows.

Three rules of this bridge come from failures. ``dispose_async`` called inside ``asend``, at any depth, must
not wait for the task that runs this ``asend``: a context variable, which child tasks inherit, marks it. It
must close the run all the same, because a child task may outlive its ``asend``. ``subscribe_async`` of an
observable may send items before it returns, so it runs in a task of its own. And a worker of aioreactive may
die without a signal to its observer: see ``interop.lost_tasks``.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from aioreactive import AsyncAnonymousObserver, AsyncObserver
from expression.system import AsyncDisposable

from penstock.errors import SubscriptionClosed
from penstock.fusion.drive import SlowStart
from penstock.interop.lost_tasks import Workers
from penstock.runtime.arguments import refuse
from penstock.runtime.node import node
from penstock.runtime.pump import PumpStage
from penstock.runtime.run import Gate
from penstock.runtime.stage import runs
from penstock.runtime.stream import SUBSCRIBED, flow_of
from penstock.runtime.subscription import Running
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from aioreactive import AsyncObservable

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks

T = TypeVar("T")

QUIET = 50
"""Turns of the loop without an item after which no further item is expected."""

_driving: ContextVar[frozenset[int]] = ContextVar("penstock_driving", default=frozenset())


def from_observable(observable: AsyncObservable[T]) -> Flow[T]:
    """Return a flow of any aioreactive observable or subject.

    For an observable of RxPY, use ``create``.

    Its observer's ``asend`` waits until there is demand, so an observable that awaits ``asend`` is slowed to
    the consumer's pace. If it does not await, memory is not bounded. The flow has no position.

    The tasks that aioreactive starts during the subscription end with the subscription. If one of them dies
    of an error without telling its observer, the flow fails with that error, after the items that came.
    Tasks that are started later (for the flows inside a ``flat_map``, for example) are not seen.
    """
    if not callable(getattr(type(observable), "subscribe_async", None)):
        advice = SUBSCRIBED if callable(getattr(type(observable), "subscribe", None)) else ""
        refuse("from_observable", "an aioreactive observable", observable, advice=advice)
    return flow_of(FromObservable(observable=observable))


def as_observer(send: Any, throw: Any, close: Any) -> AsyncObserver[Any]:
    """Return an observer made of the three functions, or the observer given as the first argument."""
    if isinstance(send, AsyncObserver):
        return send
    for name, function in (("send", send), ("throw", throw), ("close", close)):
        if function is not None and not iscoroutinefunction(function):
            advice = (
                "A plain function receives items with await flow.for_each(...)." if name == "send" else ""
            )
            refuse("subscribe_async", "an async function, or an observer,", function, name, advice)
    return AsyncAnonymousObserver(send, _raise if throw is None else throw, close)


async def _raise(error: Exception) -> None:
    raise error


async def observe(root: Node, observer: AsyncObserver[Any]) -> AsyncDisposable:
    """Send the items of a graph to ``observer`` from a task; disposing the result stops it.

    This returns when the first request was made and the observables above are subscribed, or have sent an
    item, so that no later item is missed. The observer is called afterwards.

    If the observer raises, the subscription is closed, then ``athrow`` gets the error. An error of
    ``athrow`` or ``aclose`` goes to the loop's exception handler.
    """
    return await _Drive(root, observer).begin()


class _Drive:
    def __init__(self, root: Node, observer: AsyncObserver[Any]) -> None:
        self._subscription: Running[Any] = Running(root)
        self._observer = observer
        self._stopped = False
        self._asked = asyncio.Event()
        """The first request has begun."""
        self._returned = asyncio.Event()
        """``subscribe_async`` has returned, so the observer may be called."""
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._outside = copy_context()
        self._told: BaseException | None = None

    async def begin(self) -> AsyncDisposable:
        """Start, and return when no input can miss an item any more."""
        loop = asyncio.get_running_loop()
        run = self._subscription.run
        run.begin()
        task = self._task = loop.create_task(self._run(), name="penstock observer")
        try:
            await self._asked.wait()
            while run.entering and not task.done():
                await asyncio.wait([task, *run.entering], return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self._dispose()
            raise
        self._returned.set()
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
                    raise  # the observer was disposed, and closing failed
                self._stopped = True
                await self._returned.wait()
                await self._observer.athrow(error)
                return
            if not self._stopped:
                self._stopped = True
                await self._returned.wait()
                await self._observer.aclose()
        except Exception as error:  # noqa: BLE001  only the loop's handler is left
            self._tell(error)

    async def _send(self) -> None:
        demand, clock = SlowStart(), self._subscription.run.clock
        self._asked.set()
        while not self._stopped and (items := await self._subscription.request(demand.n)):
            await self._returned.wait()
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
        task, loop = self._task, asyncio.get_running_loop()
        if task is None:
            return
        if id(self) in _driving.get():  # called inside asend: close, but wait for nothing
            closing = self._subscription.aclose()
            self._closing = loop.create_task(closing, name="penstock dispose", context=self._outside)
            self._closing.add_done_callback(self._closed)
            return
        try:
            await self._subscription.aclose()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _closed(self, closing: asyncio.Task[None]) -> None:
        if not closing.cancelled() and (error := closing.exception()) is not None:
            self._tell(error)

    def _tell(self, error: BaseException) -> None:
        """Give an error to the loop's handler, once."""
        if error is not self._told:
            self._told = error
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the end of an aioreactive subscription failed", "exception": error}
            )


@node
class FromObservable(SourceNode):
    """The items of an aioreactive observable. It is not bounded: an observable need not await ``asend``."""

    operator = "from_observable"
    stateful = False

    observable: AsyncObservable[Any]

    @property
    def obstacle(self) -> Node:
        return self

    def bound(self, n: int) -> float:  # noqa: ARG002
        return float("inf")


@runs(FromObservable)
class _ObservableStage(PumpStage):
    def __init__(self, site: Site, node: FromObservable) -> None:
        super().__init__(site, node)
        self._observable = node.observable
        self._over: asyncio.Future[None] | None = None
        self._arrived = 0
        self._parked: dict[Gate, None] = {}
        self._open: asyncio.Future[None] | None = None
        self.run.expect(self)

    def enter(self) -> None:
        """Subscribe now, in the task: later, items would be missed."""
        if self._task is None:
            self._launch()

    def _launch(self) -> None:
        self._open = asyncio.get_running_loop().create_future()
        self.run.enters(self._open)
        self._task = self.run.spawn(self._run(), self._node.operator)
        self._task.add_done_callback(lambda _: self._opened())

    def _opened(self) -> None:
        """Note that no item can be missed any more: the observable is subscribed, or has sent a signal."""
        if self._open is not None and not self._open.done():
            self._open.set_result(None)

    def marks(self) -> Marks:
        return lambda _: {}

    async def _fill(self) -> None:
        self._over = asyncio.get_running_loop().create_future()
        workers = Workers()
        try:
            disposable = await workers.watch(self._subscribe())
            self._opened()
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
        """Wait for the observable's end, or for the death of a worker, and raise its error.

        Items that were on their way when the worker died come first. So this waits until no item came for
        ``QUIET`` turns of the loop while there was demand.
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
        """Take an item and wait until there is demand again; several producers may wait at the same time."""
        self._opened()
        if self._ended or self._closed or self.run.closed or (self._over is not None and self._over.done()):
            # An item after the end is dropped. A producer that awaits nothing but asend can be cancelled
            # only at this turn of the loop.
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
            return  # no error for the observable: it may have other observers
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
                self._over.exception()  # read it: asyncio warns of errors that were never read

    async def _athrow(self, error: Exception) -> None:
        self._opened()
        if isinstance(error, StopIteration):  # a future cannot hold it
            stray, error = error, RuntimeError(f"the observable failed with {error!r}")
            error.__cause__ = stray
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    async def _aclose_observer(self) -> None:
        self._opened()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
