"""Flows inside a flow: the shared run, and the node of one inner flow, for ``group_by`` and ``window``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import AlreadySubscribed, SubscriptionClosed
from penstock.operators.fanout.shared_run import SharedRun, SubscriberQueue
from penstock.operators.fanout.subscriber import SubscriberNode
from penstock.runtime.failures import Failure
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.operators.fanout.subscriber import SharedNode, SubscriberStage


@node
class InnerNode(SubscriberNode):
    """The flow of one group or window; it can be read once."""

    queue: SubscriberQueue

    @property
    def single_use(self) -> Node:
        return self

    def bound(self, n: int) -> float:
        return self.queue.capacity + n

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:  # noqa: ARG002
        if self.queue.reader is not None or self.queue.closed:
            msg = (
                f"a flow of {self.queue.shared.where} can be read once, and another subscription has read "
                "from it. For several subscribers, put share() or broadcast(n) after it."
            )
            raise AlreadySubscribed(msg)
        return self.queue

    async def decline(self) -> None:
        if self.queue.reader is None and not self.queue.closed:
            await self.queue.shared.leave(self.queue)


class NestedRun(SharedRun):
    """A shared run with one queue for the inner flows, and one queue for each inner flow."""

    def __init__(self, node: SharedNode, flows: int) -> None:
        super().__init__(node)
        self.outer = SubscriberQueue(self, flows)
        self.add(self.outer)

    def remove(self, queue: SubscriberQueue) -> None:
        """Close a queue; with the outer one go all inner flows that are still in it."""
        untaken = self.outer.take(len(self.outer.held)) if queue is self.outer else []
        for flow in untaken:
            self.remove(flow.node.queue)
        super().remove(queue)

    async def close(self, failure: Failure | None = None) -> None:
        """Close; an inner flow that was taken but not read ends with an error behind its items."""
        if failure is None and not self.ended:
            msg = f"the run of {self.where} was closed: no subscriber was left"
            failure = Failure(SubscriptionClosed(msg))
        await super().close(failure)
