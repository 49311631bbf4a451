"""The operators ``share`` and ``replay``: all subscribers share one run."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.operators.attach import attach
from penstock.operators.fanout.shared_run import SharedRun, SubscriberQueue
from penstock.operators.fanout.stuck import PATIENCE
from penstock.operators.fanout.subscriber import CAPACITY, SharedNode, limits
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.order import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Same
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.operators.fanout.subscriber import Limits, SubscriberStage
    from penstock.runtime.failures import Failure


def share(
    *, capacity: int = CAPACITY, overflow: OverflowName = "wait", patience: float | None = PATIENCE
) -> Same:
    """Share one run among all subscribers; the first one starts it, the last one closes it.

    A subscriber joins with its first request and receives the items that arrive from then on. When the run
    has ended or was closed, the next subscriber starts a new one. An error reaches all subscribers.
    """
    return attach_shared(Share, limits("share", capacity, overflow, patience))


def replay(
    count: int,
    *,
    capacity: int = CAPACITY,
    overflow: OverflowName = "wait",
    patience: float | None = PATIENCE,
) -> Same:
    """Share one run like ``share``; a late subscriber first receives the last ``count`` items.

    A subscriber that joins after the end of upstream, while others still read, receives the last items and
    the end. When all have left, the last items are dropped, and the next subscriber starts a new run.
    """
    positive("replay", "count", count)
    return attach_shared(Replay, limits("replay", capacity, overflow, patience), count)


def attach_shared(kind: type[Share], chosen: Limits, replay: int = 0) -> Callable[[Flow[Any]], Flow[Any]]:
    """Return the operator that puts a node of ``kind`` behind a flow."""
    return attach(lambda node: kind(inputs=(node,), runs=CurrentRun(), replay=replay, **chosen))


class ShareRun(SharedRun):
    """The shared run of ``share``, ``replay`` or ``publish``; ``history`` has the items to replay."""

    open = True

    def __init__(self, node: Share) -> None:
        super().__init__(node)
        self.history: deque[Any] = deque(maxlen=node.replay)
        self.connected = not node.manual
        self._manual = node.manual
        self._failure: Failure | None = None

    @property
    def joinable(self) -> bool:
        """Whether a subscriber may join; after the end, only to receive the last items."""
        ours = self.loop is asyncio.get_running_loop()
        return ours and self.closing is None and (not self.ended or self.history.maxlen != 0)

    def join(self, node: Share) -> SubscriberQueue:
        """Return a new queue, which begins with the items to replay."""
        queue = SubscriberQueue(self, node.capacity, node.overflow)
        if self.history:
            queue.held.put(list(self.history))
        if self.ended:
            queue.end(self._failure)
        else:
            self.add(queue)
        return queue

    def finish(self, failure: Failure | None) -> None:
        self._failure = failure
        super().finish(failure)

    def begin(self) -> None:
        if self.connected:
            super().begin()

    def ask(self) -> None:
        if self.connected:
            super().ask()

    def distribute(self, items: list[Any]) -> None:
        self.history.extend(items)
        super().distribute(items)

    def unused(self) -> bool:
        connection = self._manual and self.connected and not self.ended
        return super().unused() and not connection

    def drain(self) -> bool:
        return not self._manual and super().drain()  # a connection is not drained


class CurrentRun:
    """The shared run that new subscribers join, if there is one."""

    def __init__(self) -> None:
        self._run: ShareRun | None = None

    def get(self, node: Share, *, ended: bool = True) -> ShareRun:
        """Return the run to join, or a new one; ``ended`` says whether a run that has ended will do."""
        run = self._run
        if run is None or not run.joinable or (run.ended and not ended):
            run = self._run = node.begun()
        return run


@node
class Share(SharedNode):
    """A flow whose subscribers share one run, each from the moment at which it joins."""

    operator = "share"
    own_order = Order.TIMED
    manual: ClassVar[bool] = False
    """Whether the run waits for ``connect``."""

    runs: CurrentRun
    replay: int = 0

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(self.capacity) + self.replay + n

    def begun(self) -> ShareRun:
        """Return a new shared run."""
        return ShareRun(self)

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:  # noqa: ARG002  each subscriber may join
        return self.runs.get(self).join(self)


class Replay(Share):
    """The node of ``replay``."""

    operator = "replay"
