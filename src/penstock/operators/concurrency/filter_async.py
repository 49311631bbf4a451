"""``filter_async``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.concurrency.map_async import AwaitingStage
from penstock.operators.concurrency.pool import DROPPED, Pooled, Unordered, pooled
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["FilterAsync", "FilterAsyncUnordered", "filter_async"]

T = TypeVar("T")


def filter_async(
    function: Callable[[T], Awaitable[object]],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[T]]:
    """Keep the items for which ``await function(item)`` is true, asking about ``concurrency`` at a time.

    The arguments are those of ``map_async``.
    """
    function_for("filter_async", function, asynchronous=True)
    kind = FilterAsync if ordered else FilterAsyncUnordered
    return pooled("filter_async", kind, function, concurrency, window)


class FilterAsync(Pooled):
    """Items for which ``await function(item)`` is false are dropped."""

    operator = "filter_async"
    drops = True

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its workers start with the first request."""
        function = self.function

        async def kept(item: Any) -> Any:
            return item if await function(item) else DROPPED

        return AwaitingStage(site, self, kept)


class FilterAsyncUnordered(Unordered, FilterAsync):
    """The same, in order of completion."""
