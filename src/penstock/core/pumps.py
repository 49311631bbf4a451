"""Sources that may wait: each runs in one task of its own, and only while there is demand.

A task of its own, because a cancelled request must not reach into a user's generator (it would be
killed, and then look completed), and because ``timeout()`` and cancel scopes inside a generator only
mean what they say when the generator always runs in the same task.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.abc import Page
from penstock.core.notes import Failure, annotate
from penstock.core.run import Gate
from penstock.core.sources import OneShot, SourceNode
from penstock.core.stage import Stage, stop

if TYPE_CHECKING:
    from penstock.core.graph import Site
    from penstock.core.node import Node
    from penstock.core.stage import Marks

__all__ = ["FromAsyncIterable", "FromPages", "PumpStage"]


class PumpStage(Stage[Any]):
    """A queue filled by one task, which only goes on while ``self._demand`` is above zero."""

    def __init__(self, site: Site, node: Node) -> None:
        super().__init__(site)
        self._node = node
        self._queue: list[Any] = []
        self._gone = 0
        """Items delivered, the last chunk with them."""
        self._before = 0
        """Items delivered before the last chunk."""
        self._demand = 0
        self._task: asyncio.Task[None] | None = None
        self._ready = Gate(self.run)
        self._wanted = Gate(self.run, for_task=True)
        self._failure: Failure | None = None
        self._ended = False

    @property
    def buffered(self) -> int:
        """Items that the source handed over and nobody has asked for."""
        return len(self._queue)

    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield nothing: it is where items come from."""
        return iter(())

    @abstractmethod
    async def _fill(self) -> None:
        """Put items into the queue with ``_put``, and wait for ``_until_wanted`` before each step."""

    async def _request(self, n: int) -> list[Any]:
        self._before = self._gone
        if self.run.strained():
            await self.run.breathe()
        try:
            while not self._queue:
                if self._ended or self.run.draining:
                    if self._failure is not None:
                        self._failure.throw()
                    return []
                self._demand = n
                if self._task is None:
                    self._task = self.run.spawn(self._run(), self._node.operator)
                self._want()
                await self._ready.wait()
        finally:
            self._demand = 0  # a request that is over, or was cancelled, wants nothing any more
        queue = self._queue
        if len(queue) <= n:
            self._queue = []
        else:
            self._queue = queue[n:]
            queue = queue[:n]
        self._gone += len(queue)
        return queue

    async def _run(self) -> None:
        try:
            await self._fill()
        except asyncio.CancelledError as error:
            if self._closed or self.run.closed:
                raise
            self._fail(error)
        except Exception as error:  # noqa: BLE001  it crosses to the task that requests
            if not self.run.over(error):
                self._fail(error)
        finally:
            self._ended = True
            self._ready.open()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            # a source that was cancelled by somebody else must not look as if *we* were cancelled
            error = RuntimeError(f"{self._node.operator}: the source was cancelled from outside")
        if self._closed:
            raise error  # an error while closing belongs to whoever closes
        annotate(error, self._node.describe())
        self._failure = Failure(error)

    def _put(self, items: list[Any]) -> None:
        self._queue += items
        self._demand -= len(items)
        self._ready.open()

    def _want(self) -> None:
        """Let the source go on."""
        self._wanted.open()

    async def _until_wanted(self) -> None:
        while self._demand <= 0 or self.run.draining:
            await self._wanted.wait()

    async def _stop(self) -> None:
        self._ended = True
        await stop(self._task)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromAsyncIterable(SourceNode):
    """Items of an async iterable, or of the one that a factory returns; the position is an index."""

    operator = "from_async_iterable"

    items: AsyncIterable[Any] | Callable[[], AsyncIterable[Any]]

    @property
    def once(self) -> Node | None:
        """This node, if its input is an async iterator."""
        return self if isinstance(self.items, OneShot) else None

    def start(self, site: Site) -> Stage[Any]:
        """Start a pump; the factory is called at the first request, in the pump's task."""
        return _AsyncIterableStage(site, self)


class _AsyncIterableStage(PumpStage):
    def __init__(self, site: Site, node: FromAsyncIterable) -> None:
        super().__init__(site, node)
        self._items = node.items
        self._start: int = site.state or 0

    def marks(self) -> Marks:
        key, index = self.site.vertex.id, self._start + self._before
        return lambda i: {key: index + i}

    async def _fill(self) -> None:
        items = self._items() if callable(self._items) else self._items
        to_skip = self._start
        async with closing(aiter(items)) as iterator:
            async for item in iterator:
                if to_skip:
                    to_skip -= 1
                else:
                    self._put([item])
                if self.run.strained():
                    await self.run.breathe()
                if not to_skip:
                    await self._until_wanted()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromPages(SourceNode):
    """Items of pages; the position is that of the page, and how many of its items are settled.

    ``pages`` is called with the position to start from (``None`` at the beginning) if ``seekable``,
    and without arguments otherwise. ``page_size`` is the most items a page can have, if known.
    """

    operator = "from_pages"

    pages: Callable[..., AsyncIterable[Any]]
    seekable: bool = False
    page_size: float = float("inf")

    def bound(self, n: int) -> float:
        """Return n + p - 1."""
        return n + self.page_size - 1

    def start(self, site: Site) -> Stage[Any]:
        """Start a pump that reads pages."""
        return PagesStage(site, self)


class PagesStage(PumpStage):
    """Items are numbered as they enter the queue; what earlier runs delivered never does, and has no number.

    A *turn* ``(number, at, skip)`` says that the item of that number stands behind the first ``skip`` items
    that can be fetched from ``at``, and those after it follow there, up to the next turn. The first turn is
    the position that the run began with. A page with a position of its own ends in a turn, whether it
    brought items or not; so a page that is empty, or skipped whole, moves the position only forwards.
    """

    def __init__(self, site: Site, node: FromPages) -> None:
        super().__init__(site, node)
        self._pages = node.pages
        self._seekable = node.seekable
        state = site.state or {"at": None, "skip": 0}
        self._turns: deque[tuple[int, Any, int]] = deque([(0, state["at"], state["skip"])])
        self._came = 0  # items that entered the queue
        self.estimated_total: int | None = None
        self.promised: int | None = None

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        key, before, turns = self.site.vertex.id, self._before, tuple(self._turns)

        def at(i: int) -> dict[str, Any]:
            number, place, skip = next(turn for turn in reversed(turns) if turn[0] <= before + i)
            return {key: {"at": place, "skip": skip + before + i - number}}

        return at

    async def _fill(self) -> None:
        _, at, to_skip = self._turns[0]
        pages = self._pages(at) if self._seekable else self._pages()
        async with closing(aiter(pages)) as iterator:
            async for page in iterator:
                items, behind = self._unwrap(page)
                new = items[to_skip:] if to_skip else items
                to_skip = max(to_skip - len(items), 0)
                self._came += len(new)
                if behind is not None:
                    self._turn(behind, to_skip)
                if new:
                    self._put(new)
                if self.run.strained():
                    await self.run.breathe()
                await self._until_wanted()

    def _turn(self, at: Any, skip: int) -> None:
        """Note where the next item to enter the queue stands, and forget what is behind the last chunk."""
        turns = self._turns
        turns.append((self._came, at, skip))
        while len(turns) > 1 and turns[1][0] <= self._before:
            turns.popleft()

    def _unwrap(self, page: Any) -> tuple[list[Any], Any]:
        if isinstance(page, Page):
            self.estimated_total = (
                page.estimated_total if page.estimated_total is not None else self.estimated_total
            )
            self.promised = page.promised if page.promised is not None else self.promised
            return page.items, page.position if self._seekable else None
        if not isinstance(page, list | tuple):
            came = type(page).__name__
            msg = f"{self._node.describe()} takes pages (lists, or Page objects), but one was a {came}"
            raise TypeError(msg)
        return list(page), None


class closing:  # noqa: N801  named like contextlib's
    """``aclosing`` for iterators that may have no ``aclose``; its error never masks the one in flight."""

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> AsyncIterator[Any]:
        return self._iterator

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        close = getattr(self._iterator, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except Exception as own:
            if not isinstance(error, Exception):  # a run that is closed has none that could be masked
                raise
            error.add_note(f"penstock: closing the iterator failed too: {own!r}")
