"""The operator ``batch``, which gathers items in lists of one size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import positive, seconds_for
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import Order
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")


def batch(size: int, within: float | None = None) -> Callable[[Flow[T]], Flow[list[T]]]:
    """Gather lists of ``size`` items; the last list may be shorter.

    A position stands before the first item of an unfinished list, so no item is stored. When upstream
    fails, the unfinished list is not delivered; a resumed run reads its items again. A run that is drained
    delivers it.

    Args:
        size: How many items a full list has.
        within: Seconds, counted from the arrival of a list's first item, after which the list is delivered
            even if it is not full. A list is never empty. With ``within``, up to one full list is gathered
            ahead of demand, and the flow's order is *timed*.
    """
    positive("batch", "size", size)
    if within is None:
        return attach(lambda node: Batch(inputs=(node,), number=size))
    within = seconds_for("batch", "within", within, zero=True)
    return attach(lambda node: BatchWithin(inputs=(node,), size=size, within=within))


class Batch(Element):
    """Gathers lists of ``number`` items; the last may be shorter."""

    operator = "batch"
    number_is = "size"
    reshapes = gathers = True

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n * self.number) + self.number - 1


@node
class BatchWithin(Node):
    """Gathers lists of ``size`` items, or of those that arrived within ``within`` seconds."""

    operator = "batch"
    own_order = Order.TIMED

    size: int
    within: float

    def bound(self, n: int) -> float:  # noqa: ARG002  a request returns one list
        return self.inputs[0].bound(self.size) + self.size  # the list delivered, and the next one

    def start(self, site: Site) -> Stage[Any]:
        return _BatchWithinStage(site, self)


class _BatchWithinStage(Stage[Any]):
    """A task gathers up to ``size`` items ahead of demand; a request waits until a list is full or due."""

    def __init__(self, site: Site, node: BatchWithin) -> None:
        super().__init__(site)
        self._node = node
        self._ready = Gate(self.run)
        self._feeder = Feeder(site.input(), node.size, self._notice)
        self._deadline: float | None = None
        self._last = 0  # how many items the last list had

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._feeder.stage

    @property
    def buffered(self) -> int:
        return len(self._feeder.held)

    def _notice(self) -> None:
        """Set the deadline when the first item of a list has arrived, and wake the request."""
        if self._deadline is None and self._feeder.held:
            self._deadline = asyncio.get_running_loop().time() + self._node.within
        self._ready.open()

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002  a request returns one list
        feeder, loop = self._feeder, asyncio.get_running_loop()
        feeder.held.leave()  # a position taken from now on stands after the last list
        self._last = 0
        if self.run.strained():
            await self.run.breathe()
        while not self._due(loop.time()):
            if feeder.ended:
                if feeder.failure is not None:
                    feeder.failure.throw()
                return []
            if feeder.held or not await feeder.ask():
                feeder.feed()
                await self._ready.wait(self._deadline)
            elif self._deadline is None:
                self._deadline = loop.time() + self._node.within
        items = feeder.held.take(self._node.size)
        self._deadline, self._last = None, len(items)
        if not feeder.ended:
            feeder.feed()
        return [items]

    def _due(self, now: float) -> bool:
        feeder = self._feeder
        count = len(feeder.held)
        if feeder.ended:
            return count > 0 and (feeder.failure is None or count >= self._node.size)
        return count >= self._node.size or (self._deadline is not None and now >= self._deadline)

    def marks(self) -> Marks:
        at, count = self._feeder.held.marks(), self._last
        return lambda i: at(count if i else 0)

    async def _stop(self) -> None:
        await self._feeder.stop()
