"""The operator ``broadcast``: several flows with the same items, from one run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from penstock.operators.fanout.shared_run import (
    CAPACITY,
    SharedNode,
    SharedRun,
    SubscriberQueue,
    overflow_of,
)
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.operators.fanout.shared_run import SubscriberStage
    from penstock.runtime.node import Node
    from penstock.runtime.run import Run

T = TypeVar("T")


def broadcast(
    count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], ...]]:
    """Return ``count`` flows that each receive every item of one shared run.

    The first subscriptions of all these flows share one run, the second ones share the next run, and so on.
    A run starts with the first request. A branch without a subscriber holds the others back when its queue
    is full, so subscribe to all of them at the same time. If one is closed, the others continue; when all
    subscribers are closed, the run is closed. An error reaches every branch.

    Args:
        count: The number of flows.
        capacity: How many items a subscriber may lag behind the fastest one.
        overflow: What happens to a subscriber that lags behind further. ``wait`` makes all others wait;
            ``drop_oldest``, ``drop_newest`` and ``latest`` drop items of that subscriber (see ``buffer``);
            ``error`` fails that subscriber with ``BufferOverflow``.
    """
    return attach_branches(lambda node: node, Branch, count, capacity, overflow)


def attach_branches(
    make: Callable[[Node], Node], kind: type[Branch], count: int, capacity: int, overflow: OverflowName
) -> Callable[[Flow[Any]], tuple[Flow[Any], ...]]:
    """Return the operator that puts ``count`` branches behind the node that ``make`` returns."""
    positive(kind.operator, "count", count)
    chosen = overflow_of(kind.operator, capacity, overflow)

    def step(flow: Flow[Any], /) -> tuple[Flow[Any], ...]:
        inputs, runs = (make(node_of("what an operator is put behind", flow)),), BranchRuns(count)
        return tuple(
            flow_of(kind(inputs=inputs, capacity=capacity, overflow=chosen, runs=runs, index=index))
            for index in range(count)
        )

    return step


class BranchRuns:
    """The runs of one ``broadcast`` or ``partition``; each feeds one subscriber of every branch.

    The first subscriptions of all branches share one run, the second ones the next: every branch is as cold
    as any flow. Branches that are joined again in one run always share a run.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._runs: list[BranchRun] = []

    def enter(self, stage: SubscriberStage, node: Branch) -> SubscriberQueue:
        """Return the queue of a branch in the oldest run in which it is free, or in a new run."""
        free = self._free(node)
        shared = next((one for one in free if stage.run in one.runs), None) or next(iter(free), None)
        if shared is None:
            shared = node.kind(node.inputs[0], node.describe())
            shared.branches = [
                SubscriberQueue(shared, node.capacity, node.overflow) for _ in range(self._count)
            ]
            shared.queues = list(shared.branches)
            self._runs.append(shared)
        shared.runs.append(stage.run)
        return shared.branches[node.index]

    def decline(self, node: Branch) -> None:
        """Remove the branch from the oldest run in which it is free, so that the others do not wait."""
        for shared in self._free(node)[:1]:
            shared.remove(shared.branches[node.index])

    def _free(self, node: Branch) -> list[BranchRun]:
        """Return the runs in which the branch has no subscriber yet, the oldest first."""
        loop = asyncio.get_running_loop()
        self._runs = [shared for shared in self._runs if not shared.over and shared.loop is loop]
        return [shared for shared in self._runs if shared.is_free(node.index)]


class BranchRun(SharedRun):
    """The shared run of a broadcast; ``runs`` are those of its subscribers."""

    def __init__(self, root: Node, where: str) -> None:
        super().__init__(root, where)
        self.branches: list[SubscriberQueue] = []
        self.runs: list[Run] = []

    def is_free(self, index: int) -> bool:
        """Return whether a branch has no subscriber yet."""
        return self.branches[index].reader is None and not self.branches[index].closed


@node
class Branch(SharedNode):
    """One of the flows that ``broadcast`` returns."""

    operator = "broadcast"
    kind: ClassVar[type[BranchRun]] = BranchRun

    runs: BranchRuns
    index: int

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:
        return self.runs.enter(stage, self)

    def decline(self) -> None:
        self.runs.decline(self)
