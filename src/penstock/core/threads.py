"""``map_thread``: a function that blocks, over each item, in threads of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core.concurrent import AwaitingStage
from penstock.core.windowed import Unordered, Windowed
from penstock.system.yielding import yielding_to_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.graph import Site
    from penstock.core.stage import Stage

__all__ = ["MapThread", "MapThreadUnordered", "to_the_end"]

R = TypeVar("R")


async def to_the_end(future: asyncio.Future[R]) -> R:
    """Wait for ``future`` even if cancelled meanwhile: then it ends first, and its result is dropped."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # seen, and of no interest any more
    raise cancelled


class MapThread(Windowed):
    """Each item becomes ``function(item)``, called in one of ``concurrency`` threads."""

    operator = "map_thread"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its threads start with the first calls."""
        return _ThreadStage(site, self)


class MapThreadUnordered(Unordered, MapThread):
    """The same, in order of completion."""


class _ThreadStage(AwaitingStage):
    """A call that runs cannot be stopped, so closing waits for those under way; none is begun behind them."""

    def __init__(self, site: Site, node: Windowed) -> None:
        super().__init__(site, node, self._in_thread)
        self._threads: ThreadPoolExecutor | None = None

    async def _in_thread(self, item: Any) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._node.concurrency, "penstock map_thread")
        loop, context = asyncio.get_running_loop(), copy_context()
        with yielding_to_threads():
            return await to_the_end(
                loop.run_in_executor(self._threads, _called, context, self._node.function, item)
            )

    async def _stop(self) -> None:
        try:
            await super()._stop()
        finally:
            threads, self._threads = self._threads, None
            if threads is not None:
                threads.shutdown()  # no call is under way any more, so they end at once


def _called(context: Context, function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return context.run(function, item)
    except StopIteration as error:  # a future cannot hold one, and whoever waits for it would wait for ever
        raise RuntimeError("map_thread: the function raised StopIteration") from error
