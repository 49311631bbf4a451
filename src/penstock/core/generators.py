"""Sources that make their items: from a state, from a function, from a future, from a queue."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.abc import Page
from penstock.core.notes import Failure, annotate
from penstock.core.pumps import FromPages, PumpStage
from penstock.core.run import CLOSED, STRETCH, Gate, Pace
from penstock.core.sources import OneShot, SourceNode
from penstock.core.stage import Stage
from penstock.errors import SubscriptionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from penstock.core.graph import Site
    from penstock.core.node import Node
    from penstock.core.run import Run
    from penstock.core.stage import Marks

    Mark = (
        list[Any] | None
    )  # ``None`` is the beginning, ``[state]`` is behind an item: a state may be ``None``
    Advance = Callable[[Mark], tuple[Any, Mark] | None]

__all__ = [
    "NO_SENTINEL",
    "AsyncIterate",
    "AsyncUnfold",
    "FromCallable",
    "FromFuture",
    "FromQueue",
    "Iterate",
    "Unfold",
    "iterating",
    "iterating_async",
    "unfolding",
    "unfolding_async",
]


# -- from a state ------------------------------------------------------------------------------------


def unfolding(seed: Any, function: Callable[[Any], Any]) -> Advance:
    """Return what makes the next item of ``unfold``."""

    def advance(mark: Mark) -> tuple[Any, Mark] | None:
        return _pair(function(seed if mark is None else mark[0]))

    return advance


def iterating(seed: Any, function: Callable[[Any], Any]) -> Advance:
    """Return what makes the next item of ``iterate``; the state is the item before."""

    def advance(mark: Mark) -> tuple[Any, Mark]:
        item = seed if mark is None else function(mark[0])
        return item, [item]

    return advance


def unfolding_async(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], AsyncIterator[Page[Any]]]:
    """Return the pages, each of one item, of an ``unfold`` with an async function."""

    async def pages(mark: Mark) -> AsyncIterator[Page[Any]]:
        while pair := _pair(await function(seed if mark is None else mark[0])):
            item, mark = pair
            yield Page([item], position=mark)

    return pages


def iterating_async(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], AsyncIterator[Page[Any]]]:
    """Return the pages, each of one item, of an ``iterate`` with an async function."""

    async def pages(mark: Mark) -> AsyncIterator[Page[Any]]:
        while True:
            item = seed if mark is None else await function(mark[0])
            mark = [item]
            yield Page([item], position=mark)

    return pages


def _pair(returned: Any) -> tuple[Any, Mark] | None:
    if returned is None:
        return None
    if not isinstance(returned, tuple) or len(returned) != 2:  # noqa: PLR2004  a pair
        if inspect.iscoroutine(returned):
            returned.close()
        msg = f"the function of unfold returns (item, next state), or None at the end, not {returned!r}"
        raise TypeError(msg)
    item, state = returned
    return item, [state]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unfold(SourceNode):
    """Items made one after the other from a state; the position is the state."""

    operator = "unfold"

    advance: Advance

    def start(self, site: Site) -> Stage[Any]:
        """Start; the function is called for the first time at the first request."""
        return _UnfoldStage(site, self)


class Iterate(Unfold):
    """Items each made from the one before; the position is the last item."""

    operator = "iterate"


class AsyncUnfold(FromPages):
    """``unfold`` with an async function, in a task of its own."""

    operator = "unfold"


class AsyncIterate(FromPages):
    """``iterate`` with an async function, in a task of its own."""

    operator = "iterate"


class _UnfoldStage(Stage[Any]):
    def __init__(self, site: Site, node: Unfold) -> None:
        super().__init__(site)
        self._node = node
        self._marks: list[Mark] = [site.state]  # before the last chunk, and behind each of its items
        self._pace = Pace()
        self._failure: Failure | None = None
        self._ended = False

    def upstreams(self) -> Iterator[Stage[Any]]:
        return iter(())

    def marks(self) -> Marks:
        key, marks = self.site.vertex.id, self._marks
        return lambda i: {key: marks[min(i, len(marks) - 1)]}

    async def _request(self, n: int) -> list[Any]:
        self._marks = marks = [self._marks[-1]]
        if self._failure is not None:
            self._failure.throw()
        if self.run.strained():
            await self.run.breathe()
        out: list[Any] = []
        try:
            while len(out) < n and not self._ended and not self.run.draining:
                if self._slice(out, marks, n):
                    break
        except Exception as error:  # noqa: BLE001  it is kept, and raised behind the items made before it
            self._failure = _blamed(error, self._node)
            if not out:
                self._failure.throw()
        return out

    def _slice(self, out: list[Any], marks: list[Mark], n: int) -> bool:
        """Make some items; true if it is time to let others run."""
        clock, advance = self.run.clock.monotonic, self._node.advance
        began = clock()
        for _ in range(min(self._pace.size, n - len(out))):
            pair = advance(marks[-1])
            if pair is None:
                self._ended = True
                return True
            out.append(pair[0])
            marks.append(pair[1])
        now = clock()
        self._pace.took(now - began)
        return now - self.run.stretch > STRETCH


def _blamed(error: Exception, node: Node) -> Failure:
    """Keep an error of a user's function; a stray ``StopIteration`` must not look like an end."""
    if isinstance(error, StopIteration):
        stray, error = error, RuntimeError(f"{node.describe()}: the function raised StopIteration")
        error.__cause__ = stray
    annotate(error, node.describe())
    return Failure(error)


# -- one item ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromCallable(SourceNode):
    """One item: what a function returns, awaited if it is awaitable; the position says if it went out."""

    operator = "from_callable"

    function: Callable[[], Any]

    async def value(self) -> Any:
        """Return the item."""
        returned = self.function()
        return await returned if inspect.isawaitable(returned) else returned

    def start(self, site: Site) -> Stage[Any]:
        """Start; the function is called at the first request, in a task of its own."""
        return _OneStage(site, self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromFuture(FromCallable):
    """One item: the result of a future, which is not cancelled here; or of a coroutine, which runs once."""

    operator = "from_future"

    function: Callable[[], Awaitable[Any]] | asyncio.Future[Any]  # type: ignore[assignment]

    @property
    def once(self) -> Node | None:
        """This node, unless its input is a future."""
        return self if isinstance(self.function, OneShot) else None

    async def value(self) -> Any:
        """Return the item."""
        future = self.function
        if not isinstance(future, asyncio.Future):
            return await future()
        if future.get_loop() is not asyncio.get_running_loop():
            msg = (
                f"the future of {self.describe()} belongs to another event loop: make it inside a function, "
                "and use from_callable(function)"
            )
            raise RuntimeError(msg)
        await asyncio.wait([future])  # which leaves the future alone when this is cancelled
        return future.result()


class _OneStage(PumpStage):
    def __init__(self, site: Site, node: FromCallable) -> None:
        super().__init__(site, node)
        self._one = node
        self._start: int = site.state or 0

    def marks(self) -> Marks:
        key, index = self.site.vertex.id, self._start + self._before
        return lambda i: {key: index + i}

    async def _fill(self) -> None:
        if not self._start:
            self._put([await self._one.value()])


# -- a queue -----------------------------------------------------------------------------------------

NO_SENTINEL: Any = object()
_SHUT_DOWN: Any = getattr(asyncio, "QueueShutDown", asyncio.QueueEmpty)  # new in Python 3.13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromQueue(SourceNode):
    """Items taken from an ``asyncio.Queue``, each in the very step that hands it on."""

    operator = "from_queue"
    stateful = False
    remedy = "what was taken from a queue is gone. Put what must be resumed into a file, a database or a log."

    queue: asyncio.Queue[Any]
    sentinel: Any = NO_SENTINEL

    @property
    def obstacle(self) -> Node:
        """This node itself: it has no position."""
        return self

    @property
    def once(self) -> Node:
        """This node: what was taken is not there for a second run."""
        return self

    def start(self, site: Site) -> Stage[Any]:
        """Start; nothing is taken before the first request."""
        return _QueueStage(site, self)


class _QueueStage(Stage[Any]):
    def __init__(self, site: Site, node: FromQueue) -> None:
        super().__init__(site)
        self._node = node
        self._queue = node.queue
        self._getting = _Getting(self.run)
        self._owed = 0  # items delivered that the queue was not told of
        self._ended = False

    def upstreams(self) -> Iterator[Stage[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Any]:
        self._tell_done(self._owed)
        self._owed = 0
        if self.run.strained():
            await self.run.breathe()
        out: list[Any] = []
        while not out and not self._ended and not self.run.draining:
            try:
                if self._queue.empty():
                    await self._getting.get(self._queue, lambda item: self._take(item, out))
                while len(out) < n and not self._ended:
                    self._take(self._queue.get_nowait(), out)
            except asyncio.QueueEmpty:
                continue
            except _SHUT_DOWN:
                self._ended = True
        self._owed = len(out)
        return out

    def _take(self, item: Any, out: list[Any]) -> None:
        sentinel = self._node.sentinel
        if item is sentinel or (type(item) is type(sentinel) and item == sentinel):
            self._ended = True
            self._tell_done(1)
        else:
            out.append(item)

    def _tell_done(self, count: int) -> None:
        for _ in range(count):
            try:
                self._queue.task_done()
            except ValueError as error:
                error.add_note(
                    f"penstock: {self._node.describe()} calls task_done() itself, for each list when "
                    "the next one is asked for: leave it out elsewhere"
                )
                raise


class _Getting(Gate):
    """Waits for an item of a queue; closing and draining end the wait, and then the item is left there.

    ``Queue.get`` takes an item only in the step in which it returns, so it may be cancelled at any moment
    and loses nothing; a task of its own would hold the item for a turn of the loop.
    """

    __slots__ = ("_task", "_woken")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._task: asyncio.Task[Any] | None = None
        self._woken = False

    async def get(self, queue: asyncio.Queue[Any], take: Callable[[Any], None]) -> None:
        """Give ``take`` the next item, or return without one if the run is to end."""
        run, task = self._run, asyncio.current_task()
        if task is None:
            msg = "request() was called outside of a task"
            raise RuntimeError(msg)
        self._task, self._woken = task, False
        cancelling = task.cancelling()
        run.gates[self] = None
        try:
            take(await queue.get())
        except asyncio.CancelledError:
            if not self._woken or task.uncancel() > cancelling:
                raise
        finally:
            run.gates.pop(self, None)
            self._task = None
            run.stretch = run.clock.monotonic()
        if run.closed:
            raise SubscriptionClosed(CLOSED)

    def open(self) -> None:
        """End the wait, at once: an item that has arrived meanwhile stays in the queue."""
        if self._task is not None and not self._woken:
            self._woken = True
            self._task.cancel()
