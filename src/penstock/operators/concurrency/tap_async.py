"""The operator ``tap_async``, which awaits a function and passes each item on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.concurrency.one_by_one import OneByOne, OneByOneStage
from penstock.runtime.arguments import function_for
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def tap_async(function: Callable[[T], Awaitable[object]]) -> Callable[[Flow[T]], Flow[T]]:
    """Await ``function(item)`` for its side effect and pass the item on; one call at a time, in order.

    An item is passed on when its call has ended. For several calls at a time, use ``map_async`` with a
    function that returns its item.
    """
    function_for("tap_async", function, asynchronous=True)
    return attach(lambda node: TapAsync(inputs=(node,), function=function))


class TapAsync(OneByOne):
    """Awaits ``function(item)`` and passes the item on."""

    operator = "tap_async"


@runs(TapAsync)
class _TapAsyncStage(OneByOneStage):
    async def work(self, item: Any) -> None:
        await self.function(item)
        self.put(item)
