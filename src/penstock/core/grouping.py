"""Flows of flows: ``group_by`` and ``window``.

Each subscription has a shared run of its own (``core.shared``): the one who takes the groups, or windows,
and all who read inside them are its subscribers. So what they read may be read in other tasks and other runs,
and lasts as long as somebody reads.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from penstock.core.elements import Keyed
from penstock.core.fanout import Hot
from penstock.core.node import Node
from penstock.core.notes import Failure, annotate
from penstock.core.shared import Place, PlaceStage, SharedRun
from penstock.errors import AlreadySubscribed, GroupError, SubscriptionClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.graph import Site
    from penstock.core.stage import Stage

__all__ = ["GroupBy", "GroupKey", "Limit", "Window"]


class Limit(StrEnum):
    """What happens when there is an item of one more group than there may be."""

    ERROR = "error"
    """The flow fails with ``GroupError``."""
    COMPLETE_OLDEST = "complete_oldest"
    """The group that has gone longest without an item is completed; its key may begin another one."""


class GroupKey(Keyed):
    """Each item with its key."""

    operator = "group_by"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inside(Node):
    """The flow of one group or window: a place of the run that fills it, read once."""

    operator = "group"
    hot = True

    place: Place

    @property
    def obstacle(self) -> Node:
        """This node itself: there is no way to come to this place again."""
        return self

    @property
    def once(self) -> Node:
        """This node itself: what was read is gone."""
        return self

    def bound(self, n: int) -> float:
        """Return what its place can hold, and ``n``."""
        return self.place.capacity + n

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that reads at the place from its first request on."""
        return PlaceStage(site, self._enter)

    def _enter(self, _: PlaceStage) -> Place:
        if self.place.reader is not None:
            msg = (
                f"a flow that {self.place.shared.where} gave can be read once, and an earlier subscription "
                "has begun to. For several subscribers put share() or broadcast(n) behind it."
            )
            raise AlreadySubscribed(msg)
        return self.place


class InsideWindow(Inside):
    """The flow of one window."""

    operator = "window"


class NestedRun(SharedRun):
    """A shared run with one place for the flows that it makes, and one for each of those."""

    def __init__(self, node: Node, outer: int) -> None:
        super().__init__(node.inputs[0], node.describe())
        self.outer = Place(self, outer)
        self.places.append(self.outer)

    def dismiss(self, place: Place) -> None:
        """Go on without a place; with the outer one go all flows that nobody has taken from it."""
        untaken = self.outer.held.take(len(self.outer.held)) if place is self.outer else []
        for flow in untaken:
            self.dismiss(flow.node.place)
        super().dismiss(place)

    async def close(self, failure: Failure | None = None) -> None:
        """Close; a flow that was taken and not read yet ends with an error behind what it holds."""
        if failure is None and not self.ended:
            msg = f"the run of {self.where} was closed, because nobody was reading there any more"
            failure = Failure(SubscriptionClosed(msg))
        await super().close(failure)


# -- group_by ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupBy(Hot):
    """One flow per key of ``(key, item)``, each with at most ``capacity`` items held."""

    operator = "group_by"

    make: Callable[[Any, Node], Any]
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
        self.outer.give([self.node.make(key, Inside(origin=self.node.origin, place=group))])
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


# -- window --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window(Hot):
    """One flow for every ``capacity`` items, which are its own."""

    operator = "window"

    make: Callable[[Node], Any]

    def bound(self, n: int) -> float:
        """Return M_up(n · capacity) + capacity; what a window holds that was taken counts as delivered."""
        return self.inputs[0].bound(n * self.capacity) + self.capacity

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that takes windows; the shared run begins with its first request."""
        return PlaceStage(site, lambda _: WindowRun(self).outer)


class WindowRun(NestedRun):
    """The shared run of one ``window``; a window is always large enough for its own items."""

    def __init__(self, node: Window) -> None:
        super().__init__(node, LARGEST)
        self.node = node
        self.window: Place | None = None
        self.missing = 0  # how many items the present window has still to get

    def wanted(self) -> int:
        """Return how many items make the windows that are asked for begin, or what a reader waits for."""
        windows = self.outer.wants
        rest = self.missing if self.window is not None else 0
        begin = rest + (windows - 1) * self.node.capacity + 1 if windows else 0
        return max(begin, min(rest, self.window.wants) if self.window is not None else 0)

    def distribute(self, items: list[Any]) -> None:
        """Fill windows, one after the other."""
        at = 0
        while at < len(items):
            if self.window is None and self.outer.left:
                return
            window = self.window or self._open()
            part = items[at : at + self.missing]
            at += len(part)
            self.missing -= len(part)
            window.give(part)
            if not self.missing:
                window.end()
                self.window = None
                if window in self.places:
                    self.places.remove(window)

    def _open(self) -> Place:
        size = self.node.capacity
        self.window, self.missing = Place(self, size), size
        self.places.append(self.window)
        self.outer.give([self.node.make(InsideWindow(origin=self.node.origin, place=self.window))])
        return self.window


LARGEST = 2**62
"""The capacity of a place that is never full: no more windows are begun than were asked for."""
