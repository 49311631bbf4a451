"""``window``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import Overflow
from penstock.operators.fanout.group_by import LARGEST
from penstock.operators.fanout.hot import Hot
from penstock.operators.fanout.nested import Inside, NestedRun
from penstock.operators.fanout.shared_run import Place, PlaceStage
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.stream import flow_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Window", "window"]

T = TypeVar("T")


class Windows:
    """What ``window`` returns: generic in the item."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, flow: Flow[T], /) -> Flow[Flow[T]]:
        """Attach it to a flow."""
        return attach(lambda node: Window(inputs=(node,), capacity=self._size, overflow=Overflow.WAIT))(flow)


def window(size: int) -> Windows:
    """Make a flow of flows of ``size`` items each; the last may have fewer.

    Unlike a list of ``batch``, a window comes with its first item, and the others as they are asked for, in
    it or by asking for the next window. Its flow can be subscribed to once, in any task or run. One that is
    not read keeps its items; of one that was closed early the rest is dropped. An error of upstream reaches
    the present window and whoever asks for the next one.
    """
    positive("window", "size", size)
    return Windows(size)


@node
class Window(Hot):
    """One flow for every ``capacity`` items, which are its own."""

    operator = "window"

    def bound(self, n: int) -> float:
        """Return M_up(n · capacity) + capacity; what a window holds that was taken counts as delivered."""
        return self.inputs[0].bound(n * self.capacity) + self.capacity

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that takes windows; the shared run begins with its first request."""
        return PlaceStage(site, lambda _: WindowRun(self).outer)


class InsideWindow(Inside):
    """The flow of one window."""

    operator = "window"


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
        self.outer.give([flow_of(InsideWindow(origin=self.node.origin, place=self.window))])
        return self.window
