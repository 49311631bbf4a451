"""Operators that make several flows of one, or let several subscribers share one run.

What they return is *hot*: its subscribers stand behind one run of upstream, which belongs to none of them.
Each has a queue of at most ``capacity`` items. Upstream is asked when somebody waits and nobody's queue is
full, so the slowest subscriber holds the others back, unless ``overflow`` says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar
from zlib import crc32

from penstock.core import fanout, grouping
from penstock.core.node import positive
from penstock.core.overflow import Overflow, strategy
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.flow.hot import Connectable, GroupedFlow
from penstock.operators.attach import attach, function_for, node_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from penstock.core.elements import Keyed
    from penstock.core.node import Node
    from penstock.core.overflow import OverflowName
    from penstock.operators.attach import Same

__all__ = ["broadcast", "group_by", "partition", "partition_by", "publish", "replay", "share", "window"]

T = TypeVar("T")
K = TypeVar("K", bound="Hashable")

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


def group_by(
    key: Callable[[T], K],
    max_groups: int = 256,
    *,
    capacity: int = 64,
    on_limit: Literal["error", "complete_oldest"] = "error",
    patience: float | None = 30.0,
) -> Callable[[Flow[T]], Flow[GroupedFlow[K, T]]]:
    """Make a flow of one flow per key, which has the items with that ``key(item)``, and the ``key``.

    A group comes with its first item, and completes with upstream. Its flow can be subscribed to once, in
    any task or run. When its subscription is closed early, what it holds is dropped, and the next item of
    its key begins another group. Upstream is asked for what somebody waits for, groups or items, as far as
    there is room in every group: so read all groups at a time, and each as it comes. The run lasts until
    nobody takes groups or reads in one any more; when only readers are left, items of new keys are dropped.

    Args:
        key: What items of a group have in common; it must be hashable.
        max_groups: How many groups may be open at a time.
        capacity: How many items a group may hold for its reader before all others wait for it.
        on_limit: What an item of one group too many does: ``error`` lets the flow fail with ``GroupError``;
            ``complete_oldest`` completes the group that has gone longest without an item.
        patience: Seconds for which a group that nobody has begun to read may be full while somebody else
            waits; then the flow fails with ``GroupError``, which names the key, instead of waiting for ever.
            ``None`` waits.
    """
    function_for("group_by", key)
    positive("group_by", "max_groups", max_groups)
    positive("group_by", "capacity", capacity)
    if patience is not None:
        positive("group_by", "patience", patience, least=0, whole=False)
    if on_limit not in set(grouping.Limit):
        msg = f"group_by(on_limit={on_limit!r}): on_limit must be error or complete_oldest"
        raise GraphError(msg)
    return attach(
        lambda node: grouping.GroupBy(
            inputs=(grouping.GroupKey(inputs=(node,), function=key),),
            capacity=capacity,
            overflow=Overflow.WAIT,
            make=GroupedFlow,
            max_groups=max_groups,
            limit=grouping.Limit(on_limit),
            patience=patience,
        )
    )


class Windowed:
    """What ``window`` returns: generic in the item."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, flow: Flow[T], /) -> Flow[Flow[T]]:
        """Attach it to a flow."""
        return attach(
            lambda node: grouping.Window(
                inputs=(node,), capacity=self._size, overflow=Overflow.WAIT, make=Flow[Any]
            )
        )(flow)


def window(size: int) -> Windowed:
    """Make a flow of flows of ``size`` items each; the last may have fewer.

    Unlike a list of ``batch``, a window comes with its first item, and the others as they are asked for, in
    it or by asking for the next window. Its flow can be subscribed to once, in any task or run. One that is
    not read keeps its items; of one that was closed early the rest is dropped. An error of upstream reaches
    the present window and whoever asks for the next one.
    """
    positive("window", "size", size)
    return Windowed(size)
