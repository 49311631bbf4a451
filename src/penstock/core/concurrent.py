"""Operators that await a function of each item, several at a time: ``map_async`` and its relatives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.core.node import Node, Order, positive
from penstock.core.run import Gate
from penstock.core.windowed import DROPPED, Unordered, Windowed, WindowedStage
from penstock.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.core.graph import Site
    from penstock.core.stage import Stage

__all__ = [
    "AwaitingStage",
    "FilterAsync",
    "FilterAsyncUnordered",
    "ForEachAsync",
    "MapAsync",
    "MapAsyncUnordered",
    "each_of",
]


class MapAsync(Windowed):
    """Each item becomes ``await function(item)``."""

    operator = "map_async"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its workers start with the first request."""
        return AwaitingStage(site, self, self.function)


class MapAsyncUnordered(Unordered, MapAsync):
    """The same, in order of completion."""


class FilterAsync(Windowed):
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


class ForEachAsync(MapAsync):
    """``await function(item)`` for its effect, in order of completion; nothing can stand behind it."""

    operator = "for_each_async"
    own_order = Order.INTERLEAVED


def each_of(node: Node, function: Callable[[Any], Awaitable[Any]], concurrency: int) -> ForEachAsync:
    """Return the node that calls ``function`` for each item of ``node``."""
    positive("for_each_async", "concurrency", concurrency)
    if not callable(function):
        msg = f"for_each_async takes an async function, not {type(function).__name__} ({function!r})"
        raise GraphError(msg)
    return ForEachAsync(inputs=(node,), function=function, concurrency=concurrency, window=concurrency)


class AwaitingStage(WindowedStage):
    """Each worker awaits one call after the other."""

    def __init__(self, site: Site, node: Windowed, function: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__(site, node)
        self._function = function

    async def _work(self) -> None:
        gate, function = Gate(self.run, for_task=True), self._function
        numbers, values = self._came
        try:
            while not self._stopping:
                inputs = self._inputs
                for number, item in inputs:
                    try:
                        value = await function(item)
                    except asyncio.CancelledError as error:
                        if self._closed or self.run.closed:
                            raise
                        self._fail(number, self._from_outside(error))
                        return
                    except Exception as error:  # noqa: BLE001  it crosses to the task that requests
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

    def _from_outside(self, error: asyncio.CancelledError) -> RuntimeError:
        operator = self._node.operator
        outside = RuntimeError(f"{operator}: the function was cancelled by somebody else than Penstock")
        outside.__cause__ = error
        return outside
