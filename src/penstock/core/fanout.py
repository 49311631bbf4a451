"""Several flows out of one: ``broadcast``, ``partition``, ``share``, ``replay``, ``publish``.

Their nodes are descriptions like all others. What they share while running is kept by a *hub*, which the
nodes of one call have in common: the broadcasts, or the shared run of the moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from penstock.core.elements import Keyed
from penstock.core.node import Node, Order
from penstock.core.notes import Failure
from penstock.core.shared import Place, PlaceStage, SharedRun
from penstock.errors import SubscriptionClosed

if TYPE_CHECKING:
    from penstock.core.graph import Site
    from penstock.core.overflow import Overflow
    from penstock.core.run import Run
    from penstock.core.stage import Stage

__all__ = [
    "Branch",
    "Branches",
    "Connection",
    "Hot",
    "Hub",
    "Part",
    "PartBy",
    "PartKey",
    "Predicate",
    "Publish",
    "Replay",
    "Shared",
    "Sorted",
    "Split",
]


_SERVING = {"branches", "hub", "make", "manual", "split"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hot(Node):
    """A subscriber's side of a shared run: no position, and at most ``capacity`` items held for it."""

    hot = True

    capacity: int
    overflow: Overflow

    @property
    def parameters(self) -> dict[str, Any]:
        """What it was asked for, without what only serves the running."""
        found: dict[str, Any] = Node.parameters.__get__(self)
        return {name: value for name, value in found.items() if name not in _SERVING}

    @property
    def order(self) -> Order:
        """The loosest of upstream, this operator, and what an overflow leaves."""
        return self.own_order.loosest(self.overflow.order, *(node.order for node in self.inputs))

    @property
    def skippable(self) -> bool:
        """False: what fails above fails in the shared run, for all."""
        return False

    @property
    def obstacle(self) -> Node:
        """This node itself: where the others are, a position of one subscriber cannot say."""
        return self

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + n."""
        return self.inputs[0].bound(self.capacity) + n


# -- broadcast and partition ----------------------------------------------------------------------------


class Branches:
    """The hub of a broadcast: its runs, each of which feeds one subscriber of each branch.

    The first subscriptions of all branches make up one run, the second ones the next, so that every
    branch is as cold as any flow. Branches that are joined again in one run always belong together.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._runs: list[Split] = []

    def enter(self, stage: PlaceStage, node: Branch) -> Place:
        """Take the place of a branch in the oldest run that has it free."""
        loop = asyncio.get_running_loop()
        self._runs = [split for split in self._runs if not split.over and split.loop is loop]
        free = [split for split in self._runs if split.is_free(node.index)]
        split = next((split for split in free if stage.run in split.runs), None) or next(iter(free), None)
        if split is None:
            split = node.split(node.inputs[0], node.describe())
            split.places = [Place(split, node.capacity, node.overflow) for _ in range(self.count)]
            split.branches = list(split.places)
            self._runs.append(split)
        split.runs.append(stage.run)
        return split.branches[node.index]

    def decline(self, node: Branch) -> None:
        """Let the others not wait for a branch whose subscriber was closed without ever asking."""
        loop = asyncio.get_running_loop()
        free = [s for s in self._runs if not s.over and s.loop is loop and s.is_free(node.index)]
        if free:
            free[0].dismiss(free[0].branches[node.index])


class Split(SharedRun):
    """The shared run of a broadcast."""

    def __init__(self, root: Node, where: str) -> None:
        super().__init__(root, where)
        self.branches: list[Place] = []
        self.runs: list[Run] = []

    def is_free(self, index: int) -> bool:
        """Whether nobody has subscribed to a branch of this run yet."""
        return self.branches[index].reader is None and not self.branches[index].left


class Sorted(Split):
    """The shared run of a partition: items come with the number of the branch that they go to."""

    def distribute(self, items: list[Any]) -> None:
        """Give each item to its branch."""
        parts: list[list[Any]] = [[] for _ in self.branches]
        for index, item in items:
            parts[index].append(item)
        for branch, part in zip(self.branches, parts, strict=True):
            if part:
                branch.give(part)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch(Hot):
    """One of the flows that a broadcast or a partition returns."""

    operator = "broadcast"

    branches: Branches
    index: int
    split: type[Split] = Split

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that takes its place with its first request."""
        return PlaceStage(
            site, lambda stage: self.branches.enter(stage, self), lambda: self.branches.decline(self)
        )


class Part(Branch):
    """One of the flows that a partition returns."""

    operator = "partition"


class PartBy(Branch):
    """One of the flows that a partition by key returns."""

    operator = "partition_by"


class Predicate(Keyed):
    """Each item with the number of its part."""

    operator = "partition"


class PartKey(Keyed):
    """Each item with the number of its part, by key."""

    operator = "partition_by"


# -- share, replay, publish -----------------------------------------------------------------------------


class Joined(SharedRun):
    """The shared run of the moment; who joins first gets what the last items were, if so many are kept."""

    def __init__(self, root: Node, where: str, replay: int, *, connected: bool, kept: bool) -> None:
        super().__init__(root, where)
        self.connected = connected
        self.history: deque[Any] = deque(maxlen=replay)
        self._failure: Failure | None = None
        self._kept = kept  # by a connection: nobody else closes it

    def admit(self, capacity: int, overflow: Overflow) -> Place:
        """Return a new place at the present, behind the last items if those are kept."""
        place = Place(self, capacity, overflow)
        if self.history:
            place.held.put(list(self.history))
        if self.ended:
            place.ended, place.failure = True, self._failure
        else:
            self.places.append(place)
        return place

    def finish(self, failure: Failure | None) -> None:
        """Keep how it ended, for those who come for the last items."""
        self._failure = failure
        super().finish(failure)

    def ask(self) -> None:
        """Go on, but not before it is connected."""
        if self.connected:
            super().ask()

    def distribute(self, items: list[Any]) -> None:
        """Give all items to everybody, and keep the last ones."""
        self.history.extend(items)
        super().distribute(items)

    def deserted(self) -> bool:
        """Whether nobody is left, nor a connection that keeps it open."""
        return super().deserted() and (self.ended or not (self._kept and self.connected))

    def drain(self) -> bool:
        """Drain if all want that; a connection does not."""
        return not self._kept and super().drain()


class Hub:
    """Where the subscribers of a shared flow meet: the shared run of the moment, if there is one."""

    def __init__(self) -> None:
        self.now: Joined | None = None

    def enter(self, stage: PlaceStage, node: Shared) -> Place:  # noqa: ARG002  every hub is called like this
        """Join the run of the moment, or begin one."""
        return self.joined(node).admit(node.capacity, node.overflow)

    def joined(self, node: Shared) -> Joined:
        """Return the run of the moment: a new one if there is none that can be joined."""
        now = self.now
        if now is None or now.loop is not asyncio.get_running_loop() or not _open_to_all(now):
            manual = node.manual
            now = Joined(node.inputs[0], node.describe(), node.replay, connected=not manual, kept=manual)
            self.now = now
        return now

    def connect(self, node: Shared) -> Connection:
        """Let the run of the moment begin."""
        now = self.joined(node)
        if now.ended:
            self.now = None
            now = self.joined(node)
        now.connected = True
        now.ask()
        return Connection(now)


def _open_to_all(now: Joined) -> bool:
    """Whether a newcomer may join: after the end only for the last items, while they are being read."""
    if now.closing is not None:
        return False
    return not now.ended or now.history.maxlen != 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared(Hot):
    """A flow that all its subscribers have in common, from the moment at which each joins."""

    operator = "share"
    own_order = Order.TIMED

    hub: Hub
    replay: int = 0
    manual: bool = False
    """Whether nothing runs before ``connect``."""

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + replay + n."""
        return self.inputs[0].bound(self.capacity) + self.replay + n

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that joins with its first request."""
        return PlaceStage(site, lambda stage: self.hub.enter(stage, self))


class Replay(Shared):
    """The same, with the last items for latecomers."""

    operator = "replay"


class Publish(Shared):
    """The same, begun and ended by hand."""

    operator = "publish"


class Connection:
    """What ``connect`` returns: the shared run of a published flow, until ``aclose`` or the end.

    An async context manager. Closing is idempotent.
    """

    __slots__ = ("_joined",)

    def __init__(self, joined: Joined) -> None:
        self._joined = joined

    @property
    def connected(self) -> bool:
        """Whether the shared run goes on: it has neither come to its end nor been closed."""
        return not self._joined.over

    async def aclose(self) -> None:
        """End the shared run: its subscribers get what is held for them, then ``SubscriptionClosed``."""
        where = self._joined.where
        error = SubscriptionClosed(f"the connection of {where} was closed; connect() again for a new run")
        await self._joined.close(None if self._joined.ended else Failure(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
