"""``group_by``."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from penstock.errors import GraphError, GroupError
from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow
from penstock.operators.fanout.hot import Hot
from penstock.operators.fanout.keyed import Keyed
from penstock.operators.fanout.nested import Inside, NestedRun
from penstock.operators.fanout.shared_run import Place, PlaceStage
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.failures import annotate
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from penstock.flow import Flow
    from penstock.flow.hot import GroupedFlow
    from penstock.operators.fanout.shared_run import SharedRun
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["GroupBy", "GroupKey", "InsideGroup", "Limit", "group_by"]

K = TypeVar("K", bound="Hashable")
T = TypeVar("T")

LARGEST = 2**62
"""The capacity of a place that is never full: no more windows are begun than were asked for."""


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
    if on_limit not in set(Limit):
        msg = f"group_by(on_limit={on_limit!r}): on_limit must be error or complete_oldest"
        raise GraphError(msg)
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
    """What happens when there is an item of one more group than there may be."""

    ERROR = "error"
    """The flow fails with ``GroupError``."""
    COMPLETE_OLDEST = "complete_oldest"
    """The group that has gone longest without an item is completed; its key may begin another one."""


class GroupKey(Keyed):
    """Each item with its key."""

    operator = "group_by"


@node
class GroupBy(Hot):
    """One flow per key of ``(key, item)``, each with at most ``capacity`` items held."""

    operator = "group_by"

    max_groups: int
    limit: Limit
    patience: float | None

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + max_groups · capacity + n; infinity if groups are completed early.

        Those may be held by readers in any number.
        """
        if self.limit is Limit.COMPLETE_OLDEST:
            return float("inf")
        return self.inputs[0].bound(self.capacity) + self.max_groups * self.capacity + n

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that takes groups; the shared run begins with its first request."""
        return PlaceStage(site, lambda _: GroupRun(self).outer)


@node
class InsideGroup(Inside):
    """The flow of one group."""

    key: Any


class Group(Place):
    """The place of one group."""

    def __init__(self, shared: SharedRun, capacity: int, key: Any) -> None:
        super().__init__(shared, capacity)
        self.key = key


class GroupRun(NestedRun):
    """The shared run of one ``group_by``; ``groups`` are the open ones, the longest unused first."""

    def __init__(self, node: GroupBy) -> None:
        super().__init__(node, node.max_groups)
        self.node = node
        self.groups: OrderedDict[Any, Group] = OrderedDict()
        self._stuck: float | None = (
            None  # since when nobody can be served because of a group without a reader
        )

    def wanted(self) -> int:
        """Return how many items to ask for: all of them may belong to one group."""
        return min(super().wanted(), self.node.capacity)

    def distribute(self, items: list[Any]) -> None:
        """Give each item to the group of its key."""
        parts: dict[Group, list[Any]] = {}
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
                group.give(part)

    def _open(self, key: Any, parts: dict[Group, list[Any]]) -> Group | None:
        """Begin a group; ``None`` if nobody is there to take it, so that its items are dropped."""
        if self.outer.left:
            return None
        if len(self.groups) >= self.node.max_groups:
            self._make_room(key, parts)
        group = self.groups[key] = Group(self, self.node.capacity, key)
        self.places.append(group)
        self.outer.give([flow_of(InsideGroup(origin=self.node.origin, place=group, key=key))])
        return group

    def _make_room(self, key: Any, parts: dict[Group, list[Any]]) -> None:
        if self.node.limit is Limit.ERROR:
            error = GroupError(
                f"the key {key!r} would begin one more than the {self.node.max_groups} groups that may be "
                'open at a time: raise max_groups, or say on_limit="complete_oldest"'
            )
            annotate(error, self.where)
            raise error
        _, oldest = self.groups.popitem(last=False)
        oldest.give(parts.pop(oldest, []))
        oldest.end()
        self.places.remove(oldest)

    def dismiss(self, place: Place) -> None:
        """Forget a group whose reader has left: the next item of its key begins another one."""
        if isinstance(place, Group) and self.groups.get(place.key) is place:
            del self.groups[place.key]
        super().dismiss(place)

    def patience(self) -> float | None:
        """Return when to give up waiting for somebody to read a group; raise when that time has come."""
        full = [place for place in self.places if place.room() <= 0]
        unread = [place for place in full if isinstance(place, Group) and place.reader is None]
        waiting = any(place.wants for place in self.places)
        if self.node.patience is None or not unread or not waiting or len(unread) < len(full):
            self._stuck = None
            return None
        now = self.loop.time()
        if self._stuck is None:
            self._stuck = now
        if now < self._stuck + self.node.patience:
            return self._stuck + self.node.patience
        error = GroupError(
            f"the group of the key {unread[0].key!r} is full and holds all others back, and nobody has "
            f"begun to read it for {self.node.patience:g} s: read every group as it comes, or close it "
            "(concurrency must be at least the number of groups)"
        )
        annotate(error, self.where)
        raise error
