"""``publish``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from penstock.operators.concurrency.overflow import strategy
from penstock.operators.fanout.hot import CAPACITY
from penstock.operators.fanout.share import Hub, Shared
from penstock.runtime.arguments import positive
from penstock.runtime.stream import flow_of, node_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.flow.hot import Connectable
    from penstock.operators.concurrency.overflow import Overflow, OverflowName


__all__ = ["Publish", "publish"]

T = TypeVar("T")


class Published:
    """What ``publish`` returns: generic in the item."""

    __slots__ = ("_capacity", "_overflow", "_replay")

    def __init__(self, replay: int, capacity: int, overflow: Overflow) -> None:
        self._replay = replay
        self._capacity = capacity
        self._overflow = overflow

    def __call__(self, flow: Flow[T], /) -> Connectable[T]:
        """Attach it to a flow."""
        connectable = flow_of(
            Publish(
                inputs=(node_of("what an operator is put behind", flow),),
                capacity=self._capacity,
                overflow=self._overflow,
                hub=Hub(),
                replay=self._replay,
                manual=True,
            )
        )
        return cast("Connectable[T]", connectable)


def publish(*, replay: int = 0, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Published:
    """Share one run that begins with ``connect()`` and ends when what that returns is closed.

    Subscribers wait for the connection; while it lasts they may come and go, and when there is none,
    nothing is asked for. Those who are there when it is closed get what is held for them, and then
    ``SubscriptionClosed``; those who come behind its end wait for the next one.

    Args:
        replay: How many of the last items a subscriber that comes late gets first.
        capacity: How many items a subscriber may lag behind the fastest.
        overflow: What happens when it lags behind by more (see ``broadcast``).
    """
    positive("publish", "replay", replay, least=0)
    positive("publish", "capacity", capacity)
    return Published(replay, capacity, strategy("publish", overflow))


class Publish(Shared):
    """The same, begun and ended by hand."""

    operator = "publish"
