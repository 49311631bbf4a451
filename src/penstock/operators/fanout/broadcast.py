"""The operator ``broadcast``: several flows with the same items, from one run."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from penstock.operators.fanout.shared_run import SharedRun, SubscriberQueue
from penstock.operators.fanout.stuck import PATIENCE
from penstock.operators.fanout.subscriber import CAPACITY, SharedNode, decline_above, limits
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of, node_of
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.operators.fanout.subscriber import Limits, SubscriberStage
    from penstock.runtime.node import Node
    from penstock.runtime.run import Run

T = TypeVar("T")


def broadcast(
    count: int,
    *,
    capacity: int = CAPACITY,
    overflow: OverflowName = "wait",
    patience: float | None = PATIENCE,
) -> Callable[[Flow[T]], tuple[Flow[T], ...]]:
    """Return ``count`` flows that each receive every item of one shared run.

    The first subscriptions of all these flows share one run, the second ones share the next run, and so on.
    A run starts with the first request. A branch without a subscriber holds the others back when its queue
    is full, so subscribe to all of them at the same time. If one is closed, the others continue; when all
    subscribers are closed, the run is closed. An error reaches every branch. A wait that only a stuck reader
    could end fails the run with ``BranchStuck``.

    Args:
        count: The number of flows.
        capacity: How many items a subscriber may lag behind the fastest one.
        overflow: What happens to a subscriber that lags behind further. ``wait`` makes all others wait;
            ``drop_oldest``, ``drop_newest`` and ``latest`` drop items of that subscriber (see ``buffer``);
            ``error`` fails that subscriber with ``BufferOverflow``.
        patience: Seconds for which a branch that nobody reads may hold the others back. Then the run fails
            with ``BranchStuck``. ``None`` waits without end.
    """
    chosen = limits("broadcast", capacity, overflow, patience)
    return attach_branches(lambda node: node, Branch, count, chosen)


def attach_branches(
    make: Callable[[Node], Node], kind: type[Branch], count: int, chosen: Limits
) -> Callable[[Flow[Any]], tuple[Flow[Any], ...]]:
    """Return the operator that puts ``count`` branches behind the node that ``make`` returns."""
    positive(kind.operator, "count", count)

    def step(flow: Flow[Any], /) -> tuple[Flow[Any], ...]:
        inputs, runs = (make(node_of("what an operator is put after", flow)),), BranchRuns(count)
        return tuple(flow_of(kind(inputs=inputs, runs=runs, index=index, **chosen)) for index in range(count))

    return step


class BranchQueue(SubscriberQueue):
    """The queue of one branch."""

    def __init__(self, shared: SharedRun, node: Branch, index: int) -> None:
        super().__init__(shared, node.capacity, node.overflow)
        self.index = index

    def describe(self) -> str:
        return f"branch {self.index}"


class BranchRun(SharedRun):
    """The shared run of a broadcast, with one queue for each branch."""

    def __init__(self, node: Branch) -> None:
        super().__init__(node)
        self.branches = [BranchQueue(self, node, index) for index in range(node.runs.count)]
        for branch in self.branches:
            self.add(branch)

    def is_free(self, index: int, run: Run | None = None) -> bool:
        """Return whether a branch may be read: by any run, or only by ``run``, for which it is kept."""
        branch = self.branches[index]
        return not branch.closed and branch.reader is None and branch.owner is run

    def keep(self, indices: Iterable[int], run: Run) -> None:
        """Keep branches for ``run``, which reads them now or later; when it is closed, so are they."""
        kept = [self.branches[index] for index in indices]
        for branch in kept:
            branch.owner = run

        async def give_up() -> None:
            await close_all(
                [partial(self.leave, one) for one in kept if one.reader is None and not one.closed]
            )

        run.at_close.append(give_up)

    def unused(self) -> bool:
        """Return whether no branch is read or kept for a run."""
        return all(branch.owner is None for branch in self.queues)  # those that were closed are not there


class BranchRuns:
    """The runs of one ``broadcast`` or ``partition``; each feeds one subscriber of every branch.

    The first subscriptions of all branches share one run, the second ones the next: every branch is as cold
    as any flow. Branches that are joined again in one run always share a run.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._runs: list[BranchRun] = []
        self._wanted = count  # how many branches no subscription has declined
        self._declined = [0] * count  # how many subscriptions of each were closed unread, for runs to come

    def reserve(self, node: Branch, run: Run) -> None:
        """Keep all branches that the graph of ``run`` reads in one shared run, if ``node`` is the first."""
        branches = (one for one in run.shared_nodes() if isinstance(one, Branch) and one.runs is self)
        first = next(branches)
        if first is node:
            indices = {first.index, *(one.index for one in branches)}
            self._run_for(node, indices).keep(indices, run)

    def enter(self, node: Branch, run: Run) -> SubscriberQueue:
        """Return the queue of a branch: the one that is kept for ``run``, or a free one."""
        kept = [shared for shared in self._open() if shared.is_free(node.index, run)]
        shared = kept[0] if kept else self._run_for(node, {node.index})
        return shared.branches[node.index]

    def _run_for(self, node: Branch, indices: set[int]) -> BranchRun:
        """Return the oldest run in which these branches are free, or a new one."""
        for shared in self._open():
            if all(shared.is_free(index) for index in indices):
                return shared
        shared = node.kind(node)
        for index, count in enumerate(self._declined):
            if count:
                self._declined[index] -= 1
                self._wanted += count == 1
                if index not in indices:
                    shared.remove(shared.branches[index])
        self._runs.append(shared)
        return shared

    async def decline(self, node: Branch) -> None:
        """Close the branch in the oldest run in which it is free, so that the others do not wait for it."""
        for shared in self._open():
            if shared.is_free(node.index):
                return shared.remove(shared.branches[node.index])
        self._declined[node.index] += 1
        self._wanted -= self._declined[node.index] == 1
        if not self._wanted:  # no branch is left that could start such a run
            self._declined = [count - 1 for count in self._declined]
            self._wanted = self._declined.count(0)
            await decline_above(node)
        return None

    def _open(self) -> list[BranchRun]:
        """Return the runs that may be entered, the oldest first."""
        loop = asyncio.get_running_loop()
        self._runs = [shared for shared in self._runs if shared.closing is None and shared.loop is loop]
        return self._runs


@node
class Branch(SharedNode):
    """One of the flows that ``broadcast`` returns."""

    operator = "broadcast"
    kind: ClassVar[type[BranchRun]] = BranchRun

    runs: BranchRuns
    index: int

    def reserve(self, run: Run) -> None:
        self.runs.reserve(self, run)

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:
        return self.runs.enter(self, stage.run)

    async def decline(self) -> None:
        await self.runs.decline(self)
