"""The source ``create``: a flow of the items that a callback API delivers."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.errors import BufferOverflow, GraphError, SubscriptionClosed
from penstock.operators.concurrency.overflow import Overflow, put_within, strategy
from penstock.runtime.arguments import at, function_for, positive, text_for
from penstock.runtime.failures import annotate
from penstock.runtime.node import Node, node
from penstock.runtime.pump import PumpStage
from penstock.runtime.run import Gate
from penstock.runtime.stage import runs
from penstock.runtime.stream import flow_of
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.node import Site
    from penstock.runtime.order import Order
    from penstock.runtime.upstream import Marks

T = TypeVar("T")

ENDED = "the flow of create has ended, so it takes no more items"


def create(
    subscribe: Callable[[Emitter[T]], object],
    *,
    capacity: int = 256,
    overflow: OverflowName = "error",
    name: str | None = None,
) -> Flow[T]:
    """Create a flow of the items that ``subscribe`` lets a callback API emit.

    At the first request of each run, ``subscribe(emitter)`` is called in a task of the run. It registers
    callbacks that use the emitter. It may be an ``async def`` that emits all items itself. It returns
    ``None`` or a function, possibly async, that undoes what it did. This function is called once, however
    the run ends.

    ``emitter.emit`` waits for demand. ``emitter.emit_nowait`` never waits: up to ``capacity`` items wait for
    the consumer. The flow ends with ``emitter.complete()`` or ``emitter.fail(error)``, and not when
    ``subscribe`` returns. An error that ``subscribe`` raises fails the flow. The flow has no position.

    Args:
        subscribe: Registers the callbacks. If the flow ends while it still runs, it is cancelled.
        capacity: The most items of ``emit_nowait`` that wait.
        overflow: What ``emit_nowait`` does if they are so many: ``error``, the flow fails with
            ``BufferOverflow`` after these items; ``drop_oldest``, ``drop_newest`` or ``latest``, as for
            ``buffer``.
        name: A name for pictures of the graph.
    """
    function_for("create", subscribe, asynchronous=True)
    positive("create", "capacity", capacity)
    text_for("create", "name", name, optional=True)
    what = strategy("create", overflow)
    if what is Overflow.WAIT:
        msg = (
            f'create(overflow="wait"){at()}: emit_nowait cannot wait. Call "await '
            'emitter.emit(item)", which waits for demand whatever overflow is, or choose another overflow.'
        )
        raise GraphError(msg)
    return flow_of(Create(subscribe=subscribe, capacity=capacity, overflow=what, name=name))


class Emitter(Generic[T]):
    """Puts items into one run of a flow of ``create``.

    ``emit_threadsafe``, ``emit_blocking``, ``ended``, ``complete`` and ``fail`` may be used in any thread.
    """

    __slots__ = ("_stage", "_thread", "loop")

    def __init__(self, stage: _CreateStage) -> None:
        self._stage = stage
        self._thread = get_ident()
        self.loop = asyncio.get_running_loop()
        """The event loop of the run."""

    def __repr__(self) -> str:
        return f"<Emitter: {'ended' if self.ended else 'running'}>"

    @property
    def ended(self) -> bool:
        """Whether the flow takes no more items: it has completed or failed, or its run was closed."""
        return self._stage.over

    async def emit(self, item: T) -> None:
        """Wait until an item is requested, and deliver this one. Several calls may wait; they take turns.

        A cancelled call delivers nothing. While a run is drained it takes no item, so a call waits until the
        run is closed.

        Raises:
            SubscriptionClosed: the flow has ended, before or during the wait.
        """
        await self._stage.emit(item)

    def emit_nowait(self, item: T) -> bool:
        """Deliver an item without waiting; return whether it was accepted.

        If too many items wait already, ``overflow`` decides. After the end, and while the run is drained,
        the item is dropped and the result is false.

        Raises:
            RuntimeError: it was called from another thread. The flow fails with this error too, because the
                library that called may swallow it.
        """
        if get_ident() != self._thread:
            msg = (
                "emit_nowait was called from another thread than that of the run. Use emit_threadsafe or "
                "emit_blocking there."
            )
            self.fail(RuntimeError(msg))
            raise RuntimeError(msg)
        return self._stage.emit_nowait(item)

    def emit_threadsafe(self, item: T) -> None:
        """Do what ``emit_nowait`` does, soon, in the event loop of the run. May be called from any thread.

        In the thread of the run itself it does so at once, so that ``complete`` does not overtake an item.
        """
        if get_ident() == self._thread:
            self._stage.emit_nowait(item)
        else:
            self._soon(self._stage.emit_nowait, item)

    def emit_blocking(self, item: T) -> None:
        """Do what ``emit`` does, in another thread, which waits until the item was requested.

        Raises:
            SubscriptionClosed: the flow has ended, before or during the wait. Let the thread end then.
            RuntimeError: it was called in the thread of the run, which must not wait.
        """
        if get_ident() == self._thread:
            msg = "emit_blocking was called in the thread of the run. Use await emitter.emit(item) there."
            raise RuntimeError(msg)
        emitting = self.emit(item)
        try:
            asyncio.run_coroutine_threadsafe(emitting, self.loop).result()
        except (CancelledError, RuntimeError) as error:
            if not (isinstance(error, CancelledError) or self.loop.is_closed()):
                raise
            emitting.close()
            raise SubscriptionClosed(ENDED) from None

    def complete(self) -> None:
        """Complete the flow after the items that were emitted. May be called from any thread.

        Does nothing after the end.
        """
        self._end(None)

    def fail(self, error: Exception) -> None:
        """Let the flow fail after the items that were emitted. May be called from any thread.

        Does nothing after the end.
        """
        if not isinstance(error, Exception):
            msg = f"emitter.fail takes an Exception, not {error!r}"
            raise TypeError(msg)
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if get_ident() == self._thread:
            self._stage.end(error)
        else:
            self._soon(self._stage.end, error)

    def _soon(self, function: Callable[[Any], object], argument: Any) -> None:
        """Call the function in the event loop of the run; do nothing if that loop is closed."""
        try:
            self.loop.call_soon_threadsafe(function, argument)
        except RuntimeError:
            if not self.loop.is_closed():
                raise


@node
class Create(SourceNode):
    """Yields what ``subscribe(emitter)`` emits; see ``create`` for the fields."""

    operator = "create"
    stateful = False
    remedy = "callbacks do not deliver old items again. Put items that must be resumable into a log first."

    subscribe: Callable[[Emitter[Any]], object]
    capacity: int = 256
    overflow: Overflow = Overflow.ERROR

    @property
    def obstacle(self) -> Node:
        return self

    @property
    def order(self) -> Order:
        return self.overflow.order

    def bound(self, n: int) -> float:
        return n + self.capacity


class _Held:
    """The queue of the stage, as ``put_within`` uses it."""

    __slots__ = ("_stage",)

    def __init__(self, stage: _CreateStage) -> None:
        self._stage = stage

    def __len__(self) -> int:
        return self._stage.buffered

    def put(self, items: list[Any]) -> None:
        self._stage.put(items)

    def drop(self, count: int) -> None:
        self._stage.drop(count)


@runs(Create)
class _CreateStage(PumpStage):
    """Runs ``subscribe`` in its task, waits for the end, then runs the cleanup.

    ``_turns`` are the gates at which calls of ``emit`` wait, the next one first.
    """

    def __init__(self, site: Site, node: Create) -> None:
        super().__init__(site, node)
        self._create = node
        self._pending = 0  # what the pending request asks for
        self._turns: deque[Gate] = deque()
        self._end = Gate(self.run, for_task=True)
        self._error: Exception | None = None
        self._subscribing: asyncio.Task[Any] | None = None
        self._cleanup: Callable[[], object] | None = None
        self._starting = False
        self._inside = False  # whether the end was told by ``subscribe`` itself
        self._cleaning = False
        self.over = False

    def marks(self) -> Marks:
        return lambda _: {}

    # -- what the emitter calls --------------------------------------------------------------------

    async def emit(self, item: Any) -> None:
        """Wait for this call's turn and for demand; see ``Emitter.emit``."""
        gate = Gate(self.run)
        self._turns.append(gate)
        try:
            while not self.over and (self._demand <= 0 or self.run.draining or self._turns[0] is not gate):
                await gate.wait()
            if self.over or self.run.closed:
                raise SubscriptionClosed(ENDED)
            self._put([item])
        finally:
            self._turns.remove(gate)
            self._next_turn()
        if self.run.strained():
            await self.run.breathe()

    def emit_nowait(self, item: Any) -> bool:
        """See ``Emitter.emit_nowait``."""
        if self.over or self.run.closed or self.run.draining:
            return False
        room = self._create.capacity + self._pending
        try:
            dropped = put_within(_Held(self), [item], room, self._create.overflow)
        except BufferOverflow as error:
            annotate(error, self._create.describe())
            self.end(error)
            return False
        self.dropped += dropped
        return not (dropped and self._create.overflow is Overflow.DROP_NEWEST)

    def end(self, error: Exception | None) -> None:
        """Take no more items, and let the task go on to the cleanup."""
        if self.over:
            return
        self.over, self._error = True, error
        self._inside = self._starting or asyncio.current_task() is self._subscribing
        self._end.open()
        self._wake_all()

    def put(self, items: list[Any]) -> None:
        """Append items, for ``put_within``."""
        self._put(items)

    def drop(self, count: int) -> None:
        """Remove the items that waited longest."""
        self._queue.take(count)

    def _next_turn(self) -> None:
        if self._turns and self._demand > 0:
            self._turns[0].open()

    def _wake_all(self) -> None:
        for gate in self._turns:
            gate.open()

    # -- the task ----------------------------------------------------------------------------------

    async def _request(self, n: int) -> list[Any]:
        self._pending = n
        try:
            return await super()._request(n)
        finally:
            self._pending = 0

    def _want(self) -> None:
        self._next_turn()

    async def _fill(self) -> None:
        try:
            returned = self._create.subscribe(Emitter(self))
            if inspect.isawaitable(returned):
                self._begin(returned)
            else:
                self._keep(returned)
            while not self.over or (self._inside and self._subscribing is not None):
                if self._subscribing is not None and self._subscribing.done():
                    self._took(self._subscribing)
                else:
                    await self._end.wait()
            if self._error is not None:
                raise self._error
        finally:
            self.over = True
            self._wake_all()
            await self._finish()

    def _begin(self, subscribing: Awaitable[object]) -> None:
        """Run an async ``subscribe`` in a task, which is cancelled if another task ends the flow."""
        work = subscribing if inspect.iscoroutine(subscribing) else _awaited(subscribing)
        self._starting = True  # an eager task may end the flow before ``spawn`` returns
        self._subscribing = self.run.spawn(work, "create", result_is_read=True)
        self._starting = False
        self._subscribing.add_done_callback(lambda _: self._end.open())

    def _took(self, task: asyncio.Task[Any]) -> None:
        """Keep what an async ``subscribe`` returned, or raise its error."""
        self._subscribing = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._keep(task.result())
        elif not (self.over and isinstance(error, SubscriptionClosed)):  # which its ``emit`` raised
            raise error

    def _keep(self, cleanup: Any) -> None:
        if cleanup is not None and not callable(cleanup):
            msg = (
                f"the function of {self._create.describe()} must return None or a function that cleans up, "
                f"not {cleanup!r}"
            )
            raise TypeError(msg)
        self._cleanup = cleanup

    async def _finish(self) -> None:
        """Stop ``subscribe``, then call the cleanup. An error of theirs does not mask that of the flow."""
        self._cleaning = True
        try:
            if (task := self._subscribing) is not None:
                if not task.done():
                    self.run.cancel(task)
                    await asyncio.wait([task])
                self._took(task)
            cleanup, self._cleanup = self._cleanup, None
            if cleanup is not None and inspect.isawaitable(cleaned := cleanup()):
                await cleaned
        except Exception as error:
            if self._error is None:
                raise
            self._error.add_note(f"penstock: the cleanup of {self._create.describe()} failed too: {error!r}")

    async def _stop(self) -> None:
        self.over = True
        self._wake_all()
        if self._cleaning and self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        await super()._stop()


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
