"""``broadcast``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.concurrency.overflow import strategy
from penstock.operators.fanout.hot import CAPACITY, Hot
from penstock.operators.fanout.shared_run import Place, PlaceStage, SharedRun
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of, node_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import Overflow, OverflowName
    from penstock.runtime.node import Node, Site
    from penstock.runtime.run import Run
    from penstock.runtime.stage import Stage


__all__ = ["Branches", "BroadcastBranch", "Part", "PartBy", "Sorted", "Split", "broadcast"]

T = TypeVar("T")


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
        return branches_of(node, self._count, self._capacity, self._overflow, BroadcastBranch)


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


def branches_of(
    node: Node, count: int, capacity: int, overflow: Overflow, kind: type[BroadcastBranch]
) -> tuple[Flow[Any], ...]:
    hub = Branches(count)
    split = Split if kind is BroadcastBranch else Sorted
    return tuple(
        flow_of(
            kind(inputs=(node,), capacity=capacity, overflow=overflow, branches=hub, index=index, split=split)
        )
        for index in range(count)
    )


class Branches:
    """The hub of a broadcast: its runs, each of which feeds one subscriber of each branch.

    The first subscriptions of all branches make up one run, the second ones the next, so that every
    branch is as cold as any flow. Branches that are joined again in one run always belong together.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._runs: list[Split] = []

    def enter(self, stage: PlaceStage, node: BroadcastBranch) -> Place:
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

    def decline(self, node: BroadcastBranch) -> None:
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


@node
class BroadcastBranch(Hot):
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


class Part(BroadcastBranch):
    """One of the flows that a partition returns."""

    operator = "partition"


class PartBy(BroadcastBranch):
    """One of the flows that a partition by key returns."""

    operator = "partition_by"
