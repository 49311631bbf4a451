"""Operators that make several flows of one, or let several subscribers share one run.

What they return is *hot*: its subscribers stand behind one run of upstream, which belongs to none of them.
Each has a queue of at most ``capacity`` items. Upstream is asked when somebody waits and nobody's queue is
full, so the slowest subscriber holds the others back, unless ``overflow`` says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from penstock.core import fanout
from penstock.core.node import positive
from penstock.core.overflow import strategy
from penstock.flow import Flow
from penstock.flow.hot import Connectable
from penstock.operators.attach import attach, function_for, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.elements import Keyed
    from penstock.core.node import Node
    from penstock.core.overflow import Overflow, OverflowName
    from penstock.operators.attach import Same

__all__ = ["broadcast", "partition", "partition_by", "publish", "replay", "share"]

T = TypeVar("T")

CAPACITY = 256
"""How many items a subscriber may lag behind by default; as many as a driver asks for at most."""


class Broadcast:
    """What ``broadcast`` returns: generic in the item."""

    __slots__ = ("_capacity", "_count", "_overflow")

    def __init__(self, count: int, capacity: int, overflow: Overflow) -> None:
        self._count = count
        self._capacity = capacity
        self._overflow = overflow

    def __call__(self, flow: Flow[T], /) -> tuple[Flow[T], ...]:
        """Attach it to a flow."""
        node = node_of("what an operator is put behind", flow)
        return _branches(node, self._count, self._capacity, self._overflow, fanout.Branch)


def broadcast(count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Broadcast:
    """Make ``count`` flows that each get every item, of one run of upstream.

    The first subscriptions of all these flows belong to one run, the second ones to the next, and so on.
    The run begins with the first request; a branch that nobody has subscribed to yet holds the others back
    when its queue is full, so subscribe to all of them, at a time. One that is closed lets the others go on,
    and when all that were there are closed, so is the run. An error reaches every branch.

    Args:
        count: How many flows.
        capacity: How many items a subscriber may lag behind the fastest.
        overflow: What happens when it lags behind by more: ``wait`` makes all others wait; ``drop_oldest``,
            ``drop_newest`` and ``latest`` drop items of that subscriber (see ``buffer``); ``error`` lets
            that one fail with ``BufferOverflow``.
    """
    positive("broadcast", "count", count)
    positive("broadcast", "capacity", capacity)
    return Broadcast(count, capacity, strategy("broadcast", overflow))


def partition(
    predicate: Callable[[T], object], *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], Flow[T]]]:
    """Make two flows: of the items for which ``predicate(item)`` is true, and of all others.

    Both come from one run, as those of ``broadcast`` do: when the queue of one is full, the other waits.
    """
    function_for("partition", predicate)
    positive("partition", "capacity", capacity)
    what = strategy("partition", overflow)

    def step(flow: Flow[T], /) -> tuple[Flow[T], Flow[T]]:
        def part(item: T) -> int:
            return 0 if predicate(item) else 1

        node = _keyed(fanout.Predicate, part, flow)
        yes, no = _branches(node, 2, capacity, what, fanout.Part)
        return yes, no

    return step


def partition_by(
    key: Callable[[T], object], count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], ...]]:
    """Make ``count`` flows, and give items with equal ``key(item)`` to the same one.

    Which one that is stays the same from run to run for numbers, strings and bytes; for other keys their
    ``hash`` decides. All come from one run, as those of ``broadcast`` do.
    """
    function_for("partition_by", key)
    positive("partition_by", "count", count)
    positive("partition_by", "capacity", capacity)
    what = strategy("partition_by", overflow)

    def step(flow: Flow[T], /) -> tuple[Flow[T], ...]:
        def part(item: T) -> int:
            return _number_of(key(item)) % count

        return _branches(_keyed(fanout.PartKey, part, flow), count, capacity, what, fanout.PartBy)

    return step


def _number_of(key: object) -> int:
    """Return a number that equal keys have in common, in every process for the usual kinds of keys."""
    if isinstance(key, str):
        return crc32(key.encode("utf-8", "surrogatepass"))
    return crc32(key) if isinstance(key, bytes) else hash(key)


def _keyed(kind: type[Keyed], function: Callable[[Any], int], flow: object) -> Node:
    return kind(inputs=(node_of("what an operator is put behind", flow),), function=function)


def _branches(
    node: Node, count: int, capacity: int, overflow: Overflow, kind: type[fanout.Branch]
) -> tuple[Flow[Any], ...]:
    hub = fanout.Branches(count)
    split = fanout.Split if kind is fanout.Branch else fanout.Sorted
    return tuple(
        Flow(
            kind(inputs=(node,), capacity=capacity, overflow=overflow, branches=hub, index=index, split=split)
        )
        for index in range(count)
    )


def share(*, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Same:
    """Let all subscribers share one run, which the first one begins and the last one to leave closes.

    One joins with its first request, and gets what comes from then on. When the run has come to its end, or
    was closed, the next subscriber begins a new one. An error reaches all subscribers.
    """
    positive("share", "capacity", capacity)
    what = strategy("share", overflow)
    return attach(
        lambda node: fanout.Shared(inputs=(node,), capacity=capacity, overflow=what, hub=fanout.Hub())
    )


def replay(count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Same:
    """Share one run like ``share``, and give each subscriber that comes late the last ``count`` items first.

    Who comes when upstream has ended, while others still read, gets the last items and the end. When all
    have left, nothing is kept, and the next subscriber begins a new run.
    """
    positive("replay", "count", count)
    positive("replay", "capacity", capacity)
    what = strategy("replay", overflow)
    return attach(
        lambda node: fanout.Replay(
            inputs=(node,), capacity=capacity, overflow=what, hub=fanout.Hub(), replay=count
        )
    )


class Published:
    """What ``publish`` returns: generic in the item."""

    __slots__ = ("_capacity", "_overflow", "_replay")

    def __init__(self, replay: int, capacity: int, overflow: Overflow) -> None:
        self._replay = replay
        self._capacity = capacity
        self._overflow = overflow

    def __call__(self, flow: Flow[T], /) -> Connectable[T]:
        """Attach it to a flow."""
        return Connectable(
            fanout.Publish(
                inputs=(node_of("what an operator is put behind", flow),),
                capacity=self._capacity,
                overflow=self._overflow,
                hub=fanout.Hub(),
                replay=self._replay,
                manual=True,
            )
        )


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
