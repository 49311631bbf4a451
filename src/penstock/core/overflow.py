"""What happens to items that nobody takes in time: strategies of overflow, and buffers that have one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from penstock.core.boundaries import Buffer, BufferStage, Feeder
from penstock.core.node import Order, assembled_at
from penstock.core.notes import Failure, annotate
from penstock.errors import BufferOverflow, GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.graph import Site
    from penstock.core.held import Held
    from penstock.core.stage import Marks, Stage

__all__ = ["LimitRate", "LossyBuffer", "Overflow", "OverflowName", "Prefetch", "put_within", "strategy"]


class Overflow(StrEnum):
    """What a full buffer does with the next item."""

    WAIT = "wait"
    """It takes none: upstream waits."""
    DROP_OLDEST = "drop_oldest"
    """The item held longest is dropped."""
    DROP_NEWEST = "drop_newest"
    """The next item itself is dropped."""
    LATEST = "latest"
    """Everything held is dropped, so that only the newest item is left."""
    ERROR = "error"
    """The flow fails with ``BufferOverflow``, behind what it holds."""

    @property
    def order(self) -> Order:
        """What is left of the order of items: an error drops none before it."""
        return Order.EXACT if self in {Overflow.WAIT, Overflow.ERROR} else Order.LOSSY


OverflowName = Literal["wait", "drop_oldest", "drop_newest", "latest", "error"]


def strategy(operator: str, overflow: OverflowName) -> Overflow:
    """Return the strategy of that name, or refuse it while the graph is built."""
    try:
        return Overflow(overflow)
    except ValueError:
        names = ", ".join(Overflow)
        msg = f"{operator}(overflow={overflow!r}) at {assembled_at()}: overflow must be one of {names}"
        raise GraphError(msg) from None


class Holder(Protocol):
    """A queue of chunks of items."""

    def __len__(self) -> int:
        """Return how many items are held."""
        ...

    def put(self, items: list[Any]) -> None:
        """Append a chunk."""
        ...

    def drop(self, count: int) -> None:
        """Leave out the first ``count`` items."""
        ...


def put_within(held: Holder, items: list[Any], capacity: int, overflow: Overflow) -> int:
    """Add to what is held, at most ``capacity`` items in all; return how many were dropped.

    Raises:
        BufferOverflow: there is no room for all, and ``overflow`` says that this is an error.
    """
    room = capacity - len(held)
    excess = len(items) - room
    if excess <= 0 or overflow is Overflow.WAIT:
        held.put(items)
        return 0
    if overflow in {Overflow.DROP_NEWEST, Overflow.ERROR}:
        if room:
            held.put(items[:room])
        if overflow is Overflow.ERROR:
            msg = f"{capacity} items were waiting when the next came: the reader is slower than the source"
            raise BufferOverflow(msg)
        return excess
    held.put(items)
    dropped = len(held) - 1 if overflow is Overflow.LATEST else excess
    held.drop(dropped)
    return dropped


class _Marked:
    """What is held, with the marks of the chunk that is being put there."""

    __slots__ = ("_held", "_marks", "drop")

    def __init__(self, held: Held, marks: Marks) -> None:
        self._held = held
        self._marks = marks
        self.drop = held.drop

    def __len__(self) -> int:
        return len(self._held)

    def put(self, items: list[Any]) -> None:
        self._held.put(items, self._marks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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
    def _feed_from(self, upstream: Stage[Any], capacity: int) -> Feeder:
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

    def __init__(self, stage: Stage[Any], capacity: int, owner: _LossyStage) -> None:
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefetch(Buffer):
    """Upstream is asked for ``capacity`` items first, and for ``low`` more whenever so many were taken."""

    operator = "prefetch"

    low: int

    def start(self, site: Site) -> Stage[Any]:
        """Start the buffer; its task starts with the first request."""
        return _PrefetchStage(site, self)


class LimitRate(Prefetch):
    """The same, by the name under which the limits are chosen by hand."""

    operator = "limit_rate"


class _PrefetchStage(BufferStage):
    def __init__(self, site: Site, node: Prefetch) -> None:
        self._low = node.low
        super().__init__(site, node.capacity)

    def _feed_from(self, upstream: Stage[Any], capacity: int) -> Feeder:
        return _Replenished(upstream, capacity, self._ready.open, self._low)


class _Replenished(Feeder):
    """Keeps what was taken from counting as room until it is worth a request."""

    def __init__(self, stage: Stage[Any], capacity: int, ready: Callable[[], None], low: int) -> None:
        super().__init__(stage, capacity, ready)
        self._low = low
        self._received = 0

    def room(self) -> int:
        taken = self._received - len(self.held)
        return self._capacity - len(self.held) - taken % self._low

    def put(self, items: list[Any]) -> None:
        self._received += len(items)
        super().put(items)
