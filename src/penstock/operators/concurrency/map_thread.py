"""The operator ``map_thread``: call a function in threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.concurrency.map_async import AwaitingStage
from penstock.operators.concurrency.pooled import Pooled, Unordered, pooled
from penstock.runtime.arguments import flag_for, function_for
from penstock.runtime.functions import plain_result
from penstock.runtime.stage import runs
from penstock.system.threads import starting_a_thread, to_the_end
from penstock.system.yielding import yielding_to_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site

T = TypeVar("T")
U = TypeVar("U")


def map_thread(
    function: Callable[[T], U],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to ``function(item)``, called in up to ``concurrency`` threads.

    ``function`` is a plain function that may block. The threads belong to the run. Each call sees a copy of
    the context variables as they were at the first request. A running call cannot be stopped: closing
    waits for the calls under way without blocking the event loop, and starts no other. The other arguments
    are those of ``map_async``.
    """
    function_for("map_thread", function)
    flag_for("map_thread", ordered=ordered)
    kind = MapThread if ordered else MapThreadUnordered
    return pooled("map_thread", kind, function, concurrency, window)


class MapThread(Pooled):
    """``function(item)`` of each item, called in one of ``concurrency`` threads."""

    operator = "map_thread"


class MapThreadUnordered(Unordered, MapThread):
    """The same, in order of completion."""


@runs(MapThread)
class _ThreadStage(AwaitingStage):
    """A running call cannot be stopped, so closing waits for the calls under way and starts no other."""

    def __init__(self, site: Site, node: Pooled) -> None:
        super().__init__(site, node, self._in_thread)
        self._threads: ThreadPoolExecutor | None = None

    async def _in_thread(self, item: Any) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._node.concurrency, "penstock map_thread")
        loop, context = asyncio.get_running_loop(), copy_context()
        with yielding_to_threads():
            with starting_a_thread():
                future = loop.run_in_executor(self._threads, _called, context, self._node, item)
            return await to_the_end(future)

    async def _stop(self) -> None:
        try:
            await super()._stop()
        finally:
            threads, self._threads = self._threads, None
            if threads is not None:
                threads.shutdown()  # no call is under way, so this does not block


def _called(context: Context, node: Pooled, item: Any) -> Any:
    try:
        return plain_result(context.run(node.function, item), node.operator, node.origin)
    except StopIteration as error:  # a future cannot hold one: awaiting it would never end
        raise RuntimeError("map_thread: the function raised StopIteration") from error
