"""``buffer``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import BufferOverflow
from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow, _Marked, put_within, strategy
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.operators.attach import Same
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.node import Order, Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Buffer", "BufferStage", "LossyBuffer", "buffer"]


def buffer(capacity: int, overflow: OverflowName = "wait") -> Same:
    """Fetch up to ``capacity`` items ahead of demand, in a task of their own.

    It lets a slow source and a slow consumer work at the same time. By default none is dropped: a full
    buffer makes upstream wait. Every other ``overflow`` asks upstream on and on from the first request,
    as for a source that cannot wait, and drops what nobody takes in time; how many, ``statistics`` says.

    Args:
        capacity: The most items to hold.
        overflow: What a full buffer does: ``wait``; ``drop_oldest``, the item held longest;
            ``drop_newest``, the one that just came; ``latest``, all but the one that just came; or
            ``error``: fail with ``BufferOverflow`` behind the items it holds.

    What is dropped is settled as soon as a later item is delivered. A run resumed from before that reads
    it again, and may deliver it then.
    """
    positive("buffer", "capacity", capacity)
    what = strategy("buffer", overflow)
    if what is Overflow.WAIT:
        return attach(lambda node: Buffer(inputs=(node,), capacity=capacity))
    return attach(lambda node: LossyBuffer(inputs=(node,), capacity=capacity, overflow=what))


@node
class Buffer(Node):
    """Up to ``capacity`` items are fetched ahead of demand, by a task of their own."""

    operator = "buffer"

    capacity: int

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + n."""
        return self.inputs[0].bound(self.capacity) + n

    def start(self, site: Site) -> Stage[Any]:
        """Start the buffer; its task starts with the first request."""
        return BufferStage(site, self.capacity)


class BufferStage(Stage[Any]):
    """Hands out what a feeder holds."""

    def __init__(self, site: Site, capacity: int) -> None:
        super().__init__(site)
        self._ready = Gate(self.run)
        self._feeder = self._feed_from(site.input(), capacity)

    def _feed_from(self, upstream: Upstream[Any], capacity: int) -> Feeder:
        return Feeder(upstream, capacity, self._ready.open)

    @property
    def buffered(self) -> int:
        """The items held."""
        return len(self._feeder.held)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the one upstream."""
        yield self._feeder.stage

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        return self._feeder.held.marks()

    async def _request(self, n: int) -> list[Any]:
        feeder = self._feeder
        feeder.held.leave()
        if self.run.strained():
            await self.run.breathe()
        while not feeder.held and not feeder.ended:
            if not await feeder.ask():
                feeder.feed()
                await self._ready.wait()
        items = feeder.held.take(n)
        if items:
            feeder.feed()
        elif feeder.failure is not None:
            feeder.failure.throw()
        return items

    async def _stop(self) -> None:
        await self._feeder.stop()


@node
class LossyBuffer(Buffer):
    """Upstream never waits for the reader; what does not fit goes as ``overflow`` says.

    A position stands behind the last item delivered, and what was dropped before that one is settled.
    """

    overflow: Overflow

    @property
    def order(self) -> Order:
        """Lossy, unless overflowing is an error."""
        return self.overflow.order.loosest(*(node.order for node in self.inputs))

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + capacity + n: a whole chunk may come when it is full already."""
        return self.inputs[0].bound(self.capacity) + self.capacity + n

    def start(self, site: Site) -> Stage[Any]:
        """Start the buffer; its task starts with the first request."""
        return _LossyStage(site, self.capacity)


class _LossyStage(BufferStage):
    def _feed_from(self, upstream: Upstream[Any], capacity: int) -> Feeder:
        return _LossyFeeder(upstream, capacity, self)

    @property
    def node(self) -> LossyBuffer:
        """The node of this stage."""
        node = self.site.vertex.node
        assert isinstance(node, LossyBuffer)  # noqa: S101  it started this stage
        return node

    def accept(self, items: list[Any], marks: Marks) -> None:
        """Hold what fits, and drop or refuse the rest."""
        node = self.node
        try:
            self.dropped += put_within(_Marked(self._feeder.held, marks), items, node.capacity, node.overflow)
        except BufferOverflow as error:
            annotate(error, node.describe())
            raise

    def wake(self) -> None:
        """Let the pending request look again."""
        self._ready.open()


class _LossyFeeder(Feeder):
    """Asks on and on, whatever is held."""

    def __init__(self, stage: Upstream[Any], capacity: int, owner: _LossyStage) -> None:
        super().__init__(stage, capacity, owner.wake)
        self._owner = owner
        self._overflowed = False

    def room(self) -> int:
        return self._capacity

    def put(self, items: list[Any]) -> None:
        try:
            self._owner.accept(items, self.stage.marks())
        except BufferOverflow:
            self._overflowed = True
            raise

    def fail(self, error: Exception) -> None:
        if self._overflowed:
            self.failure = Failure(error)  # and the position stays behind what was held: the rest did not fit
        else:
            super().fail(error)
