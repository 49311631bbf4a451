"""The operator ``buffer``: fetch items ahead of demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import BufferOverflow
from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow, put_within, strategy
from penstock.runtime.arguments import positive
from penstock.runtime.facts import bound_of
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.feeder import Feeder, FeederStage
from penstock.runtime.node import Node, node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.chunks import Chunks
    from penstock.runtime.node import Site
    from penstock.runtime.order import Order
    from penstock.runtime.upstream import Marks, Upstream


def buffer(capacity: int, overflow: OverflowName = "wait") -> Same:
    """Fetch up to ``capacity`` items ahead of demand, in a separate task.

    So a slow source and a slow consumer work at the same time. By default no item is dropped: a full
    buffer makes upstream wait. With any other ``overflow`` it keeps requesting even when full, as for a
    source that cannot wait, and drops items that are not taken in time. ``statistics`` counts the drops.

    Args:
        capacity: The most items to hold.
        overflow: What a full buffer does: ``wait``; ``drop_oldest``, the item held longest;
            ``drop_newest``, the item that just arrived; ``latest``, all items but the one that just
            arrived; or ``error``: fail with ``BufferOverflow`` after the items it holds.

    A dropped item is settled when a later item is delivered. A run resumed from before that reads the item
    again, and may deliver it.
    """
    positive("buffer", "capacity", capacity)
    what = strategy("buffer", overflow)
    return attach(lambda node: Buffer(inputs=(node,), capacity=capacity, overflow=what))


@node
class Buffer(Node):
    """Up to ``capacity`` items are fetched ahead of demand; ``overflow`` says what a full buffer does."""

    operator = "buffer"

    capacity: int
    overflow: Overflow = Overflow.WAIT

    @property
    def order(self) -> Order:
        return self.overflow.order.loosest(*(node.order for node in self.inputs))

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + n, and + capacity if a whole chunk may arrive when it is full."""
        above = self.inputs[0].bound(self.capacity)
        return above + n if self.overflow is Overflow.WAIT else above + self.capacity + n

    def at_once(self, n: int) -> int:
        """Return how many items a request for ``n`` may fetch for itself, when the buffer is empty.

        These items pass the buffer, so ``capacity`` does not limit them, but ``bound(n)`` does.
        """
        if self.overflow is not Overflow.WAIT or n <= self.capacity:
            return 0
        above = self.inputs[0]
        return n if bound_of(above, n) <= bound_of(above, self.capacity) + n else 0

    def feeder(self, upstream: Upstream[Any], stage: BufferStage) -> Feeder:
        """Return the task that fetches for ``stage``, and what it holds."""
        if self.overflow is Overflow.WAIT:
            return Feeder(upstream, self.capacity, stage.wake)
        return _LossyFeeder(upstream, self, stage)


class _MarkedChunks:
    """A queue of chunks, with the marks of the chunk that is being put there."""

    __slots__ = ("_held", "_marks", "drop")

    def __init__(self, held: Chunks, marks: Marks) -> None:
        self._held = held
        self._marks = marks
        self.drop = held.drop

    def __len__(self) -> int:
        return len(self._held)

    def put(self, items: list[Any]) -> None:
        self._held.put(items, self._marks)


class _LossyFeeder(Feeder):
    """Keeps requesting even when full; drops or refuses the items that do not fit."""

    def __init__(self, upstream: Upstream[Any], node: Buffer, stage: BufferStage) -> None:
        super().__init__(upstream, node.capacity, stage.wake)
        self._node = node
        self._owner = stage
        self._overflowed = False

    def room(self) -> int:
        return self._capacity

    def put(self, items: list[Any]) -> None:
        held = _MarkedChunks(self.held, self.stage.marks())
        try:
            self._owner.dropped += put_within(held, items, self._capacity, self._node.overflow)
        except BufferOverflow as error:
            annotate(error, self._node.describe())
            self._overflowed = True
            raise

    def fail(self, error: BaseException) -> None:
        if self._overflowed:
            self.failure = Failure(error)  # the position stays behind the items that did fit
        else:
            super().fail(error)


@runs(Buffer)
class BufferStage(FeederStage[Feeder]):
    """Delivers the items that a feeder holds.

    A request that finds none asks upstream itself. Upstream may be ready, and then one turn of the loop moves
    as many items as are wanted, not only as many as the buffer holds.
    """

    def __init__(self, site: Site, node: Buffer) -> None:
        super().__init__(site)
        self._feeder = node.feeder(site.input(), self)
        self._node = node
        self._at_once = (
            0,
            0,
        )  # the last request that asked upstream itself: its n, and how many it asked for

    def wake(self) -> None:
        """Let the pending request look at the feeder again."""
        self._ready.open()

    async def _request(self, n: int) -> list[Any]:
        feeder = self._feeder
        feeder.held.leave()
        if self.run.strained():
            await self.run.breathe()
        while not feeder.held and not feeder.ended:
            if self._at_once[0] != n:
                self._at_once = n, self._node.at_once(n)
            if not await feeder.ask(self._at_once[1]):
                feeder.feed()
                await self._ready.wait()
        items = feeder.held.take(n)
        if items:
            feeder.feed()
        elif feeder.failure is not None:
            feeder.failure.throw()
        return items
