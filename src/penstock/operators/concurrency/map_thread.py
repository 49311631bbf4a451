"""``map_thread``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.concurrency.map_async import AwaitingStage
from penstock.operators.concurrency.pool import Pooled, Unordered, pooled
from penstock.runtime.arguments import function_for
from penstock.system.threads import to_the_end
from penstock.system.yielding import yielding_to_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["MapThread", "MapThreadUnordered", "map_thread"]

T = TypeVar("T")
U = TypeVar("U")


def map_thread(
    function: Callable[[T], U],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into ``function(item)``, a plain function that may block, in ``concurrency`` threads.

    The threads belong to the run. Each call sees a copy of the context variables as they were at the first
    request. A call that runs cannot be stopped: closing waits for those under way, without blocking the
    event loop, and begins no other. The other arguments are those of ``map_async``.
    """
    function_for("map_thread", function)
    kind = MapThread if ordered else MapThreadUnordered
    return pooled("map_thread", kind, function, concurrency, window)


class MapThread(Pooled):
    """Each item becomes ``function(item)``, called in one of ``concurrency`` threads."""

    operator = "map_thread"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its threads start with the first calls."""
        return _ThreadStage(site, self)


class MapThreadUnordered(Unordered, MapThread):
    """The same, in order of completion."""


class _ThreadStage(AwaitingStage):
    """A call that runs cannot be stopped, so closing waits for those under way; none is begun behind them."""

    def __init__(self, site: Site, node: Pooled) -> None:
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
