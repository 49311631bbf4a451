"""The operators ``take_last`` and ``skip_last``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import positive
from penstock.runtime.node import Node, Site, node
from penstock.runtime.run import LARGEST_SLICE

if TYPE_CHECKING:
    from penstock.operators.attach import Same


def skip_last(count: int) -> Same:
    """Drop the last ``count`` items.

    An item is yielded when ``count`` more have arrived. A position stands before the held items, so no item
    is stored.
    """
    positive("skip_last", "count", count, least=0)
    return attach(lambda node: SkipLast(inputs=(node,), count=count))


def take_last(count: int) -> Same:
    """Yield the last ``count`` items when the flow has completed.

    If there are fewer, all are yielded. If the flow fails, or is drained before its end, nothing is
    yielded. A position stands before the first item that may be among the last, so no item is stored.
    ``take_last(0)`` runs the flow to its end for its side effects.
    """
    positive("take_last", "count", count, least=0)
    return attach(lambda node: TakeLast(inputs=(node,), count=count))


@node
class SkipLast(Node):
    """Holds back ``count`` items, and drops them at the end."""

    operator = "skip_last"

    count: int

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n + self.count)

    def start(self, site: Site) -> ShapingStage:
        return _SkipLastStage(site, self.count)


class _SkipLastStage(ShapingStage):
    def __init__(self, site: Site, count: int) -> None:
        super().__init__(site)
        self._count = count
        self._held: deque[Any] = deque()

    def demand(self, n: int) -> int:
        return n + self._count - len(self._held)

    def take(self, items: list[Any]) -> None:
        held = self._held
        first = self.done - len(held)
        held.extend(items)
        free = max(0, len(held) - self._count)
        self.put([held.popleft() for _ in range(free)], range(first + 1, first + free + 1))


@node
class TakeLast(Node):
    """Yields the last ``count`` items at the end."""

    operator = "take_last"

    count: int

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(max(n, LARGEST_SLICE) + self.count)

    def start(self, site: Site) -> ShapingStage:
        return _TakeLastStage(site, self.count)


class _TakeLastStage(ShapingStage):
    def __init__(self, site: Site, count: int) -> None:
        super().__init__(site)
        self._held: deque[Any] = deque(maxlen=count)

    def demand(self, n: int) -> int:
        return max(n, LARGEST_SLICE)

    def take(self, items: list[Any]) -> None:
        self._held.extend(items)
        self.low = max(self.low, self.done + len(items) - len(self._held))

    def finish(self) -> None:
        self.put(self._held, range(self.done - len(self._held) + 1, self.done + 1))
        self._held.clear()
