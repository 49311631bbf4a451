"""The base of sources that run in a task: they fill a queue while there is demand."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.fifo import Fifo
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop

if TYPE_CHECKING:
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Upstream


class PumpStage(Stage[Any]):
    """A queue filled by one task, which continues only while ``self._demand`` is above zero."""

    def __init__(self, site: Site, node: Node) -> None:
        super().__init__(site)
        self._node = node
        self._queue = Fifo()
        self._gone = 0
        """Items delivered, including the last chunk."""
        self._before = 0
        """Items delivered before the last chunk."""
        self._demand = 0
        self._task: asyncio.Task[None] | None = None
        self._ready = Gate(self.run)
        self._wanted = Gate(self.run, for_task=True, own=True)
        self._failure: Failure | None = None
        self._ended = False

    @property
    def buffered(self) -> int:
        return len(self._queue)

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        """Whether the task has ended, and all its items were taken."""
        return self._ended and self._failure is None and not self._queue

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    @abstractmethod
    async def _fill(self) -> None:
        """Put items into the queue with ``_put``; before each step, await ``_until_wanted``."""

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
                    self._launch()
                self._want()
                await self._ready.wait()
        finally:
            self._demand = 0  # the request has ended or was cancelled
        items = self._queue.take(n)
        self._gone += len(items)
        return items

    def _launch(self) -> None:
        self._task = self.run.spawn(self._run(), self._node.operator)

    async def _run(self) -> None:
        try:
            await self._fill()
        except BaseException as error:
            if self.stopped_by(error):
                raise
            if not self.run.over(error):
                self._fail(error)
        finally:
            self._ended = True
            self._ready.open()

    def _fail(self, error: BaseException) -> None:
        if self._closed:
            raise error  # aclose raises it
        self._failure = Failure(raised_by_user(error, self._node.describe()))

    def _put(self, items: list[Any]) -> None:
        self._queue.put(items)
        self._demand -= len(items)
        self._ready.open()

    def _want(self) -> None:
        """Wake the source."""
        self._wanted.open()

    async def _until_wanted(self) -> None:
        while self._demand <= 0 or self.run.draining:
            await self._wanted.wait()

    async def _stop(self) -> None:
        self._ended = True
        task, self._task = self._task, None
        await stop(self.run, task)


class closing:  # noqa: N801  named like contextlib's
    """``aclosing`` for iterators that may have no ``aclose``; its error never masks an earlier one.

    ``aclose`` of an iterator over an aioreactive observable is a signal of the observable. It would wait for
    ever, because nobody reads the iterator any more. So that one is disposed instead.
    """

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> AsyncIterator[Any]:
        return self._iterator

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        close = getattr(self._iterator, "dispose_async", None) or getattr(self._iterator, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except Exception as own:
            if not isinstance(error, Exception):  # a cancellation is not masked
                raise
            error.add_note(f"penstock: closing the iterator failed too: {own!r}")
