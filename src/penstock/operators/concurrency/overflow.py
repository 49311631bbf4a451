"""What happens to items that nobody takes in time: strategies of overflow, and buffers that have one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from penstock.errors import BufferOverflow, GraphError
from penstock.runtime.node import Order, assembled_at

if TYPE_CHECKING:
    from penstock.runtime.chunks import Chunks
    from penstock.runtime.upstream import Marks


__all__ = ["Overflow", "OverflowName", "put_within", "strategy"]


OverflowName = Literal["wait", "drop_oldest", "drop_newest", "latest", "error"]


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

    def __init__(self, held: Chunks, marks: Marks) -> None:
        self._held = held
        self._marks = marks
        self.drop = held.drop

    def __len__(self) -> int:
        return len(self._held)

    def put(self, items: list[Any]) -> None:
        self._held.put(items, self._marks)
