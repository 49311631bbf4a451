"""The operator ``window``: a flow for every ``size`` items."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow
from penstock.operators.fanout.nested import InnerNode, NestedRun
from penstock.operators.fanout.shared_run import SubscriberQueue
from penstock.operators.fanout.subscriber import SharedNode, decline_above
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.fanout.subscriber import SubscriberStage

T = TypeVar("T")


def window(size: int) -> Callable[[Flow[T]], Flow[Flow[T]]]:
    """Emit a flow for every ``size`` items; the last one may have fewer.

    Unlike a list of ``batch``, a window is emitted with its first item. Its other items follow on demand of
    its subscriber, or when the next window is requested. A window can be subscribed to once, in any task or
    run. An unread window keeps its items; if it is closed early, its other items are dropped. An error of
    upstream reaches the present window and the request for the next one.
    """
    positive("window", "size", size)
    return attach(lambda node: Window(inputs=(node,), capacity=size, overflow=Overflow.WAIT))


@node
class Window(SharedNode):
    """Emits a flow for every ``capacity`` items."""

    operator = "window"

    def bound(self, n: int) -> float:
        """Return M_up(n · capacity) + capacity; the items of an emitted window count as delivered."""
        return self.inputs[0].bound(n * self.capacity) + self.capacity

    def enter(self, stage: SubscriberStage) -> SubscriberQueue:  # noqa: ARG002  each one has its own run
        return WindowRun(self).outer

    async def decline(self) -> None:
        await decline_above(self)


class InnerWindow(InnerNode):
    """The flow of one window."""

    operator = "window"


class WindowRun(NestedRun):
    """The shared run of one ``window``."""

    def __init__(self, node: Window) -> None:
        super().__init__(node, sys.maxsize)  # never full: it starts only as many windows as are requested
        self.node = node
        self.window: SubscriberQueue | None = None
        self.missing = 0  # how many items the present window still lacks

    def wanted(self) -> int:
        """Return how many items start the requested windows, or fill the demand of the present one."""
        windows = self.outer.demand
        rest = self.missing if self.window is not None else 0
        start = rest + (windows - 1) * self.node.capacity + 1 if windows else 0
        return max(start, min(rest, self.window.demand) if self.window is not None else 0)

    def distribute(self, items: list[Any]) -> None:
        """Fill one window after the other."""
        at = 0
        while at < len(items):
            if self.window is None and self.outer.closed:
                return
            window = self.window or self._open()
            part = items[at : at + self.missing]
            at += len(part)
            self.missing -= len(part)
            window.put(part)
            if not self.missing:
                window.end()
                self.window = None
                if window in self.queues:
                    self.queues.remove(window)

    def _open(self) -> SubscriberQueue:
        size = self.node.capacity
        self.window, self.missing = SubscriberQueue(self, size), size
        self.queues.append(self.window)
        self.outer.put([flow_of(InnerWindow(origin=self.node.origin, queue=self.window))])
        return self.window
