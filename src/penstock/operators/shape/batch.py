"""``batch``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import positive
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import Node, Order, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.operators.attach import Lists
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Batch", "BatchWithin", "batch"]


def batch(size: int, within: float | None = None) -> Lists:
    """Gather lists of ``size`` items; the last may be shorter.

    A position stands before the first item of an unfinished list, so nothing of it is stored. When
    upstream fails, the unfinished list is not delivered: a resumed run reads its items again. A run that
    is drained delivers it.

    Args:
        size: How many items a full list has.
        within: Seconds after which a list goes out as it is, counted from the arrival of its first item;
            never an empty one. Items are then gathered also while nobody asks, up to one full list, and
            the flow's order is *timed*.
    """
    positive("batch", "size", size)
    if within is None:
        return attach(lambda node: Batch(inputs=(node,), number=size))
    positive("batch", "within", within, least=0, whole=False)
    return attach(lambda node: BatchWithin(inputs=(node,), size=size, within=within))


class Batch(Element):
    """Lists of ``number`` items; the last may be shorter."""

    operator = "batch"
    number_is = "size"
    ends = gathers = True

    def bound(self, n: int) -> float:  # noqa: D102
        return self.inputs[0].bound(n * self.number) + self.number - 1


@node
class BatchWithin(Node):
    """Lists of ``size`` items, or of those that came within ``within`` seconds of the first of them."""

    operator = "batch"
    own_order = Order.TIMED

    size: int
    within: float

    def bound(self, n: int) -> float:  # noqa: ARG002  one list at a time goes out
        """Return M_up(size) + size: one list under way to whoever asked, and the next being gathered."""
        return self.inputs[0].bound(self.size) + self.size

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its task starts with the first request."""
        return _BatchWithinStage(site, self)


class _BatchWithinStage(Stage[Any]):
    """A task gathers up to ``size`` items, also while nobody asks; a request waits for them or the time."""

    def __init__(self, site: Site, node: BatchWithin) -> None:
        super().__init__(site)
        self._node = node
        self._ready = Gate(self.run)
        self._feeder = Feeder(site.input(), node.size, self._look)
        self._deadline: float | None = None
        self._last = 0  # how many items the last list had

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._feeder.stage

    @property
    def buffered(self) -> int:
        return len(self._feeder.held)

    def _look(self) -> None:
        """Take note of when the first item of a list came, and wake whoever waits for the last."""
        if self._deadline is None and self._feeder.held:
            self._deadline = asyncio.get_running_loop().time() + self._node.within
        self._ready.open()

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002  one list is ready at a time
        feeder, loop = self._feeder, asyncio.get_running_loop()
        feeder.held.leave()  # what was delivered before is behind us now
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
