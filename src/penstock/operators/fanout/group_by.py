"""The operator ``group_by``: one flow per key."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar
from weakref import WeakValueDictionary, ref

from penstock.errors import GroupError, GroupStuck
from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow
from penstock.operators.fanout.keyed import Keyed
from penstock.operators.fanout.nested import InnerNode, NestedRun
from penstock.operators.fanout.shared_run import SubscriberQueue
from penstock.operators.fanout.stuck import PATIENCE, patience_of
from penstock.operators.fanout.subscriber import SharedNode, decline_above
from penstock.runtime.arguments import choice_for, function_for, positive
from penstock.runtime.failures import annotate
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from penstock.flow import Flow
    from penstock.flow.hot import GroupedFlow
    from penstock.operators.fanout.shared_run import SharedRun
    from penstock.operators.fanout.subscriber import SubscriberStage

K = TypeVar("K", bound="Hashable")
T = TypeVar("T")


def group_by(
    key: Callable[[T], K],
    max_groups: int = 256,
    *,
    capacity: int = 64,
    on_limit: Literal["error", "complete_oldest"] = "error",
    patience: float | None = PATIENCE,
) -> Callable[[Flow[T]], Flow[GroupedFlow[K, T]]]:
    """Emit one flow per key, with the items that have this ``key(item)``; its ``key`` says which.

    A group is emitted with its first item and completes with upstream. It can be subscribed to once, in any
    task or run. If its subscription is closed early, the items it holds are dropped, and the next item of
    its key starts another group. Upstream is requested for the demand of any subscriber, for groups or
    for items, as far as every group has room: so read each group as soon as it is emitted, all at the same
    time. The run lasts until no subscriber is left; when only readers of groups are left, items of new keys
    are dropped.

    Args:
        key: Returns the key of an item; it must be hashable.
        max_groups: How many groups may be open at the same time. It bounds memory; ``on_limit`` says what
            more of them mean.
        capacity: How many items a group may hold before all others wait for its reader.
        on_limit: What happens when an item would start one group too many: ``error`` fails the flow with
            ``GroupError``; ``complete_oldest`` completes the group that has gone longest without an item. The
            next group of the same key delivers nothing before the subscription of the completed one is
            closed. So a reader that handles each item before it takes the next one keeps the order of a key.
        patience: Seconds for which a group without a reader may be full while other subscribers wait. Then
            the flow fails with ``GroupError``, which names the key. ``None`` waits without end.
            A group also waits so long for a completed one of its key that nobody has begun to read.
    """
    function_for("group_by", key, "key")
    positive("group_by", "max_groups", max_groups)
    positive("group_by", "capacity", capacity)
    patience_of("group_by", patience)
    choice_for("group_by", "on_limit", on_limit, Limit)
    return attach(
        lambda node: GroupBy(
            inputs=(GroupKey(inputs=(node,), function=key),),
            capacity=capacity,
            overflow=Overflow.WAIT,
            max_groups=max_groups,
            limit=Limit(on_limit),
            patience=patience,
        )
    )


class Limit(StrEnum):
    """What happens when an item would start one group too many."""

    ERROR = "error"
    COMPLETE_OLDEST = "complete_oldest"


class GroupKey(Keyed):
    """Pairs each item with its key."""

    operator = "group_by"


@node
class GroupBy(SharedNode):
    """Emits one flow per key of ``(key, item)``; each holds at most ``capacity`` items."""

    operator = "group_by"

    max_groups: int
    limit: Limit

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + max_groups · capacity + n.

        It is infinity if groups are completed early: readers may hold any number of those.
        """
        if self.limit is Limit.COMPLETE_OLDEST:
            return float("inf")
        return self.inputs[0].bound(self.capacity) + self.max_groups * self.capacity + n

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:  # noqa: ARG002  each one has its own run
        return GroupRun(self).outer

    async def decline(self) -> None:
        await decline_above(self)


@node
class InnerGroup(InnerNode):
    """The flow of one group."""

    operator = "group"

    key: Any


class GroupQueue(SubscriberQueue):
    """The queue of one group."""

    error = GroupStuck
    remedy = (
        "Read every group when it is emitted, at the same time as the others, or close it (concurrency must "
        "be at least the number of groups); or raise capacity=."
    )

    def __init__(
        self, shared: SharedRun, capacity: int, key: Any, before: GroupQueue | None, patience: float | None
    ) -> None:
        super().__init__(shared, capacity)
        self.key = key
        self._before = None if before is None else ref(before, self._forget)
        self._after: GroupQueue | None = None
        self._patience = patience
        self._until: float | None = None
        if before is not None:
            before._after = self  # noqa: SLF001  another one of this class

    def describe(self) -> str:
        return f"the group of the key {self.key!r}"

    def blocked(self) -> bool:
        """Return whether the completed group of the same key is read, or will be.

        A group that nobody has begun to read holds this one back for ``patience`` seconds.
        """
        before = None if self._before is None else self._before()
        if before is None or before.closed:
            self._before = self._until = None
            return False
        if before.owner is None and self._patience is not None:
            now = self.shared.loop.time()
            self._until = now + self._patience if self._until is None else self._until
            return now < self._until
        self._until = None
        return True

    def until(self) -> float | None:
        return self._until

    def blocker_stands_still(self, others: frozenset[object]) -> bool:
        before = None if self._before is None else self._before()
        return before is not None and before.owner is not None and before.owner.stands_still(others)

    def close(self) -> None:
        """Drop the items, and let the next group of the key begin."""
        super().close()
        after, self._after = self._after, None
        if after is not None:
            after._wake()  # noqa: SLF001  another one of this class

    def _forget(self, _: object) -> None:
        """Look again, because the group before was dropped unread, perhaps in another thread."""
        if not self.shared.loop.is_closed():
            self.shared.loop.call_soon_threadsafe(self._wake)


class GroupRun(NestedRun):
    """The shared run of one ``group_by``; ``groups`` are the open ones, the least recently used first."""

    def __init__(self, node: GroupBy) -> None:
        super().__init__(node, node.max_groups)
        self.node = node
        self.groups: OrderedDict[Any, GroupQueue] = OrderedDict()
        self._completed: WeakValueDictionary[Any, GroupQueue] = WeakValueDictionary()
        """The last completed group of each key whose reader has not finished."""

    def wanted(self) -> int:
        """Return how many items to request: all of them may belong to one group."""
        return min(super().wanted(), self.node.capacity, self.pace.size)

    def distribute(self, items: list[Any]) -> None:
        """Put each item into the group of its key."""
        parts: dict[GroupQueue, list[Any]] = {}
        try:
            for key, item in items:
                group = self.groups.get(key)
                if group is None:
                    group = self._open(key, parts)
                    if group is None:
                        continue
                elif self.node.limit is Limit.COMPLETE_OLDEST:
                    self.groups.move_to_end(key)
                parts.setdefault(group, []).append(item)
        finally:
            for group, part in parts.items():
                group.put(part)

    def _open(self, key: Any, parts: dict[GroupQueue, list[Any]]) -> GroupQueue | None:
        """Start a group; return ``None`` if no subscriber takes groups, so that the item is dropped."""
        if self.outer.closed:
            return None
        if len(self.groups) >= self.node.max_groups:
            self._make_room(key, parts)
        before = self._completed.pop(key, None)
        group = GroupQueue(self, self.node.capacity, key, before, self.node.patience)
        self.groups[key] = group
        self.add(group)
        self.outer.put([flow_of(InnerGroup(origin=self.node.origin, queue=group, key=key))])
        return group

    def _make_room(self, key: Any, parts: dict[GroupQueue, list[Any]]) -> None:
        if self.node.limit is Limit.ERROR:
            self._fail(
                f"the key {key!r} would start one more than the {self.node.max_groups} groups that may be "
                'open at the same time: raise max_groups, or use on_limit="complete_oldest"'
            )
        left, oldest = self.groups.popitem(last=False)
        oldest.put(parts.pop(oldest, []))
        oldest.end()
        self.discard(oldest)
        self._completed[left] = oldest

    def remove(self, queue: SubscriberQueue) -> None:
        """Close a queue; if it belongs to a group, the next item of its key starts another group."""
        if isinstance(queue, GroupQueue) and self.groups.get(queue.key) is queue:
            del self.groups[queue.key]
        if isinstance(queue, GroupQueue) and self._completed.get(queue.key) is queue:
            del self._completed[queue.key]
        super().remove(queue)

    def _fail(self, message: str) -> NoReturn:
        error = GroupError(message)
        annotate(error, self.where)
        raise error
