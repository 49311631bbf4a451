"""The base of stages that await a function of the user for one item after the other, in order.

The function runs in a task of the run, so a cancelled request neither cancels a call nor loses its result.
The task works on one page of inputs; it begins no call unless a request waits for outputs. The request itself
fetches the pages.

A *cursor* is ``(page, offset, state)``: upstream stands behind the first ``offset`` items of the chunk whose
marks are ``page``.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.abc import JSON
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream

    Cursor = tuple[Marks, int, Any]


@node
class OneByOne(Node):
    """``await function(…)`` for one item at a time, in order."""

    function: Callable[..., Any]

    @property
    def skippable(self) -> bool:
        """True: a call that fails leaves the others as they are."""
        return True


class OneByOneStage(Stage[Any]):
    """Awaits ``work(item)`` for each item; that calls ``put``, and may change ``state`` or call ``end``.

    ``state`` is stored in positions if the node is stateful. A subclass sets it after its constructor.
    """

    state: Any = None

    def __init__(self, site: Site, node: OneByOne) -> None:
        super().__init__(site)
        self.function = node.function
        self._upstream = site.input()
        self._skipping = site.skipping
        self._page: list[Any] = []
        self._at = 0
        self._base = self._upstream.marks()
        self._out: list[tuple[Any, Cursor]] = []
        self._put: list[Any] = []  # the outputs of the item under way
        self._before: Cursor | None = None  # where the last chunk begins
        self._last: list[Cursor] = []  # behind each item of the last chunk
        self._demand = 0
        self._ended = False
        self._failure: Failure | None = None
        self._ready = Gate(self.run, own=True)
        self._wanted = Gate(self.run, for_task=True, own=True)
        self._room = Gate(self.run)  # for dead letters
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def work(self, item: Any) -> None:
        """Await the function for ``item``. If it raises, ``state`` must be as before."""

    def put(self, item: Any) -> None:
        """Add an output of the item under way; at most one for each item."""
        self._put.append(item)

    def end(self) -> None:
        """Complete behind the outputs so far, and close upstream."""
        self._ended = True
        self.run.release(self._upstream)

    def dump(self, state: Any) -> JSON:
        """Return a state as JSON."""
        return state

    @property
    def buffered(self) -> int:
        """Inputs that were not worked on yet, and outputs that were not delivered."""
        return len(self._page) - self._at + len(self._out)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the one upstream."""
        yield self._upstream

    async def _request(self, n: int) -> list[Any]:
        if self._last:
            self._before, self._last = self._last[-1], []
        elif self._before is None:
            self._before = self._cursor()  # before the task works on anything
        if self.run.strained():
            await self.run.breathe()
        try:
            while not self._out:
                if self._failure is not None or self._ended:
                    return self._over()
                if self._skipping is not None and self._skipping.full:
                    await self._skipping.pause(self._room)
                elif self._at >= len(self._page):
                    await self._turn_page(n)
                else:
                    self._demand = n
                    self._call()
                    await self._ready.wait()
        finally:
            self._demand = 0  # the request has ended or was cancelled
        taken, self._out = self._out[:n], self._out[n:]
        self._last = [cursor for _, cursor in taken]
        return [item for item, _ in taken]

    def _over(self) -> list[Any]:
        """End: the position stands before the input that failed, or behind all inputs."""
        self._before = self._cursor()
        if self._failure is not None:
            self._failure.throw()
        return []

    async def _turn_page(self, n: int) -> None:
        page = await self._upstream.request(n)
        self._page, self._at, self._base = page, 0, self._upstream.marks()
        self._ended = not page

    def _call(self) -> None:
        """Start the task, or wake it."""
        if self._task is None:
            self._task = self.run.spawn(self._run(), self.site.vertex.node.operator)
        else:
            self._wanted.open()

    async def _run(self) -> None:
        try:
            while not (self._ended or self._failure):
                if not self._wanting():
                    await self._wanted.wait()
                    continue
                await self._next()
                self._ready.open()
                if self.run.strained():
                    await self.run.breathe()
        except Exception as error:
            if not self.run.over(error):
                raise

    def _wanting(self) -> bool:
        """Return whether the next item may be worked on."""
        full = self._skipping is not None and self._skipping.full
        return len(self._out) < self._demand and self._at < len(self._page) and not full

    async def _next(self) -> None:
        """Work on one item."""
        item = self._page[self._at]
        try:
            await self.work(item)
        except BaseException as error:
            if self.stopped_by(error):
                raise
            if self.run.over(error) or not self._skips(error, item):
                return
        self._at += 1
        if self._put:
            self._out.append((self._put.pop(), self._cursor()))

    def _skips(self, error: BaseException, item: Any) -> bool:
        """Leave out or replace the item if something downstream handles the error; otherwise keep it."""
        node = self.site.vertex.node
        error = raised_by_user(error, node.describe())
        if self._skipping is not None and isinstance(error, Exception):
            answer = self._skipping.handle(error, item, node)
            if not isinstance(answer, BaseException):
                if answer is None:
                    self.dropped += 1
                else:
                    self.put(answer.value)
                return True
            error = answer
        self._failure = Failure(error)
        return False

    async def _stop(self) -> None:
        task, self._task = self._task, None  # a cancelled task keeps its frames alive
        await stop(self.run, task)

    def _cursor(self) -> Cursor:
        """Return the cursor behind the last item that was worked on."""
        return self._base, self._at, self.state

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        before, last = self._before or self._cursor(), tuple(self._last)
        stateful = self.site.vertex.node.stateful

        def at(i: int) -> States:
            page, offset, state = last[i - 1] if i else before
            states = page(offset)
            return {**states, self.site.vertex.id: self.dump(state)} if stateful else states

        return at
