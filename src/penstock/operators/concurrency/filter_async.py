"""The operator ``filter_async``: keep items by an async function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.concurrency.map_async import AwaitingStage
from penstock.operators.concurrency.pool import DROPPED
from penstock.operators.concurrency.pooled import Pooled, Unordered, pooled
from penstock.runtime.arguments import flag_for, function_for
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site

T = TypeVar("T")


def filter_async(
    function: Callable[[T], Awaitable[object]],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[T]]:
    """Keep the items for which ``await function(item)`` is true, ``concurrency`` calls at a time.

    The arguments are those of ``map_async``.
    """
    function_for("filter_async", function, asynchronous=True)
    flag_for("filter_async", ordered=ordered)
    kind = FilterAsync if ordered else FilterAsyncUnordered
    return pooled("filter_async", kind, function, concurrency, window)


class FilterAsync(Pooled):
    """The items for which ``await function(item)`` is true."""

    operator = "filter_async"
    drops = True


class FilterAsyncUnordered(Unordered, FilterAsync):
    """The same, in order of completion."""


@runs(FilterAsync)
class _FilterAsyncStage(AwaitingStage):
    def __init__(self, site: Site, node: FilterAsync) -> None:
        super().__init__(site, node, self._kept)

    async def _kept(self, item: Any) -> Any:
        return item if await self._node.function(item) else DROPPED
