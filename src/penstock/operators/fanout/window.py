"""The operator ``window``: a flow for every ``size`` items, or for the items of some seconds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow
from penstock.operators.fanout.nested import InnerNode, NestedRun
from penstock.operators.fanout.shared_run import SubscriberQueue
from penstock.operators.fanout.subscriber import CAPACITY, SharedNode, decline_above
from penstock.runtime.arguments import at, positive, seconds_for
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stream import flow_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.fanout.subscriber import SubscriberStage
    from penstock.runtime.failures import Failure

T = TypeVar("T")


def window(size: int | None = None, *, within: float | None = None) -> Callable[[Flow[T]], Flow[Flow[T]]]:
    """Emit a flow for every ``size`` items, or for the items of ``within`` seconds, whichever ends first.

    Unlike a list of ``batch``, a window is emitted with its first item. Its other items follow on demand of
    its subscriber, or when the next window is requested. A window can be subscribed to once, in any task or
    run. An unread window keeps its items; if it is closed early, its other items are dropped. An error of
    upstream reaches the present window and the request for the next one.

    Args:
        size: How many items a window has. The last one may have fewer. Without ``size`` the number is not
            limited, but while 256 items of a window are unread, upstream waits until its time is over.
        within: Seconds from the first item of a window to its end. So no window is empty. With ``within``
            the flow's order is *timed*.
    """
    if size is not None:
        positive("window", "size", size)
    elif within is None:
        msg = f"window(){at()} needs a size, a time (within=), or both"
        raise GraphError(msg)
    if within is not None:
        within = seconds_for("window", "within", within)
    return attach(
        lambda node: Window(
            inputs=(node,), capacity=size or CAPACITY, overflow=Overflow.WAIT,
            counted=size is not None, within=within,
        )
    )  # fmt: skip


@node
class Window(SharedNode):
    """Emits a flow for every ``capacity`` items, if these are ``counted``, or for those of some seconds."""

    operator = "window"

    counted: bool = True
    within: float | None = None

    @property
    def order(self) -> Order:
        own = Order.EXACT if self.within is None else Order.TIMED
        return own.loosest(*(node.order for node in self.inputs))

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
        self._timer: asyncio.TimerHandle | None = None

    def wanted(self) -> int:
        """Return how many items start the requested windows, or fill the demand of the present one."""
        windows, window, size = self.outer.demand, self.window, self.node.capacity
        if window is None:
            wanted = (windows - 1) * size + 1 if windows else 0
        elif not self.node.counted:
            wanted = int(min(window.room(), size if windows else window.demand))
        else:
            rest = self.missing
            wanted = max(rest + (windows - 1) * size + 1 if windows else 0, min(rest, window.demand))
        return min(wanted, self.pace.size)

    def full(self) -> list[SubscriberQueue]:
        """Return no queue if a full window ends by itself: then it holds the others back for a time only."""
        return super().full() if self.node.within is None else []

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
                self._end()

    def _open(self) -> SubscriberQueue:
        size, within = self.node.capacity, self.node.within
        self.window = SubscriberQueue(self, size)
        self.missing = size if self.node.counted else sys.maxsize
        self.add(self.window)
        self.outer.put([flow_of(InnerWindow(origin=self.node.origin, queue=self.window))])
        if within is not None:
            self._timer = self.loop.call_later(within, self._expire)
        return self.window

    def _expire(self) -> None:
        """End the present window because its time is over, and ask for the next one if it is wanted."""
        self._end()
        self.withdraw()
        self.ask()

    def _end(self) -> None:
        self._stop_timer()
        window, self.window = self.window, None
        if window is not None:
            window.end()
            self.discard(window)

    def finish(self, failure: Failure | None) -> None:
        self._stop_timer()
        super().finish(failure)

    async def close(self, failure: Failure | None = None) -> None:
        self._stop_timer()
        await super().close(failure)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
