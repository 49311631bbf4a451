"""The overflow strategies: what a full buffer does with the next item."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, Protocol

from penstock.errors import BufferOverflow
from penstock.runtime.arguments import choice_for
from penstock.runtime.order import Order

OverflowName = Literal["wait", "drop_oldest", "drop_newest", "latest", "error"]


class Overflow(StrEnum):
    """What a full buffer does with the next item."""

    WAIT = "wait"
    """Upstream waits."""
    DROP_OLDEST = "drop_oldest"
    """The item held longest is dropped."""
    DROP_NEWEST = "drop_newest"
    """The next item is dropped."""
    LATEST = "latest"
    """All held items are dropped; only the next one is kept."""
    ERROR = "error"
    """The flow fails with ``BufferOverflow`` after the held items."""

    @property
    def order(self) -> Order:
        """The order of the items that are delivered; those before an error are exact."""
        return Order.EXACT if self in {Overflow.WAIT, Overflow.ERROR} else Order.LOSSY


def strategy(operator: str, overflow: OverflowName) -> Overflow:
    """Return the strategy named ``overflow``; raise ``GraphError`` if there is none."""
    choice_for(operator, "overflow", overflow, Overflow)
    return Overflow(overflow)


class Holder(Protocol):
    """A queue of items."""

    def __len__(self) -> int: ...
    def put(self, items: list[Any]) -> None: ...
    def drop(self, count: int) -> None: ...


def put_within(held: Holder, items: list[Any], capacity: int, overflow: Overflow) -> int:
    """Append ``items`` so that at most ``capacity`` are held; return how many items were dropped.

    Raises:
        BufferOverflow: not all fit, and ``overflow`` is ``ERROR``. The items that fit are appended.
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
            msg = (
                f"{capacity} items were waiting when the next one arrived: the reader is too slow, or "
                "paused. Raise capacity=, or choose another overflow="
            )
            raise BufferOverflow(msg)
        return excess
    held.put(items)
    dropped = len(held) - 1 if overflow is Overflow.LATEST else excess
    held.drop(dropped)
    return dropped
