"""The operator ``map_async`` and the terminal ``for_each_async``: await a function for each item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.concurrency.pool import PoolStage
from penstock.operators.concurrency.pooled import Pooled, Unordered, pooled
from penstock.runtime.arguments import flag_for, function_for, positive
from penstock.runtime.order import Order
from penstock.runtime.run import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.stage import Stage

T = TypeVar("T")
U = TypeVar("U")


def map_async(
    function: Callable[[T], Awaitable[U]],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to ``await function(item)``, up to ``concurrency`` calls at a time.

    Args:
        function: An async function.
        concurrency: How many calls may be under way at once.
        ordered: Whether results keep the order of their inputs; otherwise they are in order of completion.
        window: How many inputs may be taken from upstream and not delivered yet; four times the
            concurrency by default. A larger window keeps the workers busy after a slow input. Unordered
            results overtake an input by at most this many inputs.
    """
    function_for("map_async", function, asynchronous=True)
    flag_for("map_async", ordered=ordered)
    kind = MapAsync if ordered else MapAsyncUnordered
    return pooled("map_async", kind, function, concurrency, window)


class MapAsync(Pooled):
    """``await function(item)`` of each item."""

    operator = "map_async"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its workers start with the first request."""
        return AwaitingStage(site, self, self.function)


class MapAsyncUnordered(Unordered, MapAsync):
    """The same, in order of completion."""


class ForEachAsync(MapAsync):
    """``await function(item)`` for its effect, in order of completion; it is always the last node."""

    operator = "for_each_async"
    own_order = Order.INTERLEAVED


def each_of(node: Node, function: Callable[[Any], Awaitable[Any]], concurrency: int) -> ForEachAsync:
    """Return the node that calls ``function`` for each item of ``node``."""
    positive("for_each_async", "concurrency", concurrency)
    function_for("for_each_async", function, asynchronous=True)
    return ForEachAsync(inputs=(node,), function=function, concurrency=concurrency, window=concurrency)


class AwaitingStage(PoolStage):
    """Each worker awaits one call after the other."""

    def __init__(self, site: Site, node: Pooled, function: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__(site, node)
        self._function = function

    async def _work(self) -> None:
        gate, function = Gate(self.run, for_task=True, own=True), self._function
        numbers, values = self._came
        try:
            while not self._stopping:
                inputs = self._inputs
                for number, item in inputs:
                    try:
                        value = await function(item)
                    except BaseException as error:
                        if self.stopped_by(error):
                            raise
                        if self.run.over(error) or not await self._skips(number, item, error):
                            return
                        continue
                    if not values:
                        self._ready.open()
                    numbers.append(number)
                    values.append(value)
                if inputs is self._inputs:  # else another worker has cut a slice meanwhile
                    await self._await_input(gate)
        except Exception as error:  # noqa: BLE001  a fault of ours must end the run, not leave it waiting
            self._give_up(error)
