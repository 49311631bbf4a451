"""The operator ``expand``: each item, and breadth-first what a function finds from it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import BufferOverflow
from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.failures import calling
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate, Pace
from penstock.runtime.stage import runs, stop

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")


def expand(
    function: Callable[[T], Iterable[T] | Awaitable[Iterable[T]] | AsyncIterable[T]],
    *,
    max_depth: int | None = None,
    limit: int = 10_000,
) -> Callable[[Flow[T]], Flow[T]]:
    """Yield each item, then breadth-first the items that ``function`` finds from it, and from those.

    For each item of the input, all items of one level come before the next level: the item, the items of
    ``function(item)``, those found from these, and so on until nothing is left. Then follows the next item of
    the input. ``function`` is called once for each item, one call at a time, and only under demand.

    Items that were found before are not recognised. If links can lead in circles, set ``max_depth``, or let
    ``function`` leave out what it has returned before.

    The items of one level that wait are held in memory, and a position contains them. So they must be JSON
    for a run to be resumable. A resumed run does not call ``function`` again for an item whose results wait.

    Args:
        function: Returns the items found from an item: an iterable, an awaitable of one, or an async
            iterable.
        max_depth: How many links may lead from an item of the input to a result; 0 yields the input only.
        limit: The most items that wait. If there are more, the flow fails with ``BufferOverflow``.
    """
    function_for("expand", function, asynchronous=True, yields=True)
    if max_depth is not None:
        positive("expand", "max_depth", max_depth, least=0)
    positive("expand", "limit", limit)
    return attach(lambda node: Expand(inputs=(node,), function=function, max_depth=max_depth, limit=limit))


@node
class Expand(Node):
    """Each item, then breadth-first what ``function`` finds from it."""

    operator = "expand"
    stateful = True

    function: Callable[[Any], Any]
    max_depth: int | None = None
    limit: int = 10_000

    def bound(self, n: int) -> float:  # noqa: ARG002  it asks for one item when all before it are done
        return self.inputs[0].bound(1)


@runs(Expand)
class _ExpandStage(FailureStage):
    """``_line`` are the items found from one input, in order, each with its depth.

    The first ``_expanded`` of them were passed to the function, the first ``_delivered`` were delivered. The
    list only grows, so that positions can refer to it; it is replaced by a shorter one now and then. The
    state holds its items from ``_expanded`` on, or is ``None`` if there are none.
    """

    def __init__(self, site: Site, node: Expand) -> None:
        super().__init__(site, tracked=True)
        self._node = node
        state = site.state or {"items": [], "depths": [], "delivered": 0}
        self._line: list[tuple[Any, int]] = list(zip(state["items"], state["depths"], strict=True))
        self._expanded = 0
        self._delivered: int = state["delivered"]
        self._before = self._delivered  # without the last list
        self._here = self.upstream.marks(), 0  # where the input of ``_line`` ends
        self._iterator: Iterator[Any] | None = None  # what the function returned for the next item
        self._found: list[tuple[Any, int]] = []  # what was read from it
        self._pace = Pace()
        self._task: asyncio.Task[Any] | None = None
        self._done = Gate(self.run)

    @property
    def buffered(self) -> int:
        return len(self._line) - self._delivered

    def marks(self) -> Marks:
        key, (page, offset) = self.site.vertex.id, self._here
        line, first, end, before = self._line, self._expanded, len(self._line), self._before

        def at(i: int) -> States:
            if first == end:
                return {**page(offset), key: None}
            items, depths = zip(*line[first:end], strict=True)
            state = {"items": list(items), "depths": list(depths), "delivered": before + i - first}
            return {**page(offset), key: state}

        return at

    async def _next(self, n: int) -> list[Any]:
        self._before = self._delivered
        while True:
            if self.run.strained():
                await self.run.breathe()
            if self._delivered < len(self._line):
                items = [item for item, _ in self._line[self._delivered : self._delivered + n]]
                self._delivered += len(items)
                return items
            if self.run.draining:
                return []
            if self._expanded < self._delivered:
                await self._expand()
            elif not await self._next_input():
                return []

    async def _next_input(self) -> bool:
        items = await self.upstream.request(1)
        self._here = self.upstream.marks(), len(items)
        self._line = [(item, 0) for item in items]
        self._expanded = self._delivered = self._before = 0
        return bool(items)

    async def _expand(self) -> None:
        """Append what the function finds from the next item. A cancelled request loses nothing of it."""
        item, depth = self._line[self._expanded]
        if self._node.max_depth is None or depth < self._node.max_depth:
            if self._iterator is None:
                found = await self._call(item)
                with calling(self._node):
                    self._iterator = iter(found)
            await self._read(self._iterator, depth + 1)
        self._line += self._found
        self._expanded += 1
        self._iterator, self._found = None, []
        if self._expanded >= max(1000, len(self._line) // 2):
            self._line = self._line[self._expanded :]
            self._delivered -= self._expanded
            self._before -= self._expanded
            self._expanded = 0

    async def _read(self, iterator: Iterator[Any], depth: int) -> None:
        clock, more = self.run.clock.monotonic, True
        while more:
            began, size = clock(), self._pace.size
            with calling(self._node):
                part = [(item, depth) for item in islice(iterator, size)]
            self._found += part
            self._refuse_more_than_fit()
            more = len(part) == size
            self._pace.took(clock() - began)
            if more and self.run.strained():
                await self.run.breathe()

    def _refuse_more_than_fit(self) -> None:
        if len(self._line) + len(self._found) - self._expanded - 1 > self._node.limit:
            msg = (
                f"more than limit={self._node.limit} items of {self._node.describe()} wait to be expanded. "
                "Raise limit, set max_depth, or let the function return fewer items."
            )
            raise BufferOverflow(msg)

    async def _call(self, item: Any) -> Iterable[Any]:
        """Return what the function returns; an awaitable or an async iterable is read in a task."""
        if self._task is None:
            with calling(self._node):
                found = self._node.function(item)
            if not inspect.isawaitable(found) and not isinstance(found, AsyncIterable):
                return self._iterable(found)
            work: Coroutine[Any, Any, Any] = found if inspect.iscoroutine(found) else self._gathered(found)
            self._task = self.run.spawn(work, "expand", result_is_read=True)
            self._task.add_done_callback(lambda _: self._done.open())
        while not self._task.done():
            await self._done.wait()
        task, self._task = self._task, None
        return self._iterable(task.result())

    async def _gathered(self, found: Awaitable[Any] | AsyncIterable[Any]) -> Any:
        if not isinstance(found, AsyncIterable):
            return await found
        items: list[Any] = []
        async for item in found:
            items.append(item)
            if len(items) > self._node.limit:
                break  # more than fit
        return items

    def _iterable(self, found: Any) -> Iterable[Any]:
        if not isinstance(found, Iterable):
            msg = f"the function of {self._node.describe()} must return an iterable, not {found!r}"
            raise TypeError(msg)
        return found

    async def _stop(self) -> None:
        await stop(self.run, self._task)
