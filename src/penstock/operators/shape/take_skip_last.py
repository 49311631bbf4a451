"""``take_last`` and ``skip_last``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import positive
from penstock.runtime.node import Node, node
from penstock.runtime.run import LARGEST_SLICE

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["SkipLast", "TakeLast", "skip_last", "take_last"]


def skip_last(count: int) -> Same:
    """Drop the last ``count`` items; each item is given when ``count`` more have come.

    A position stands before the items that are held back, so nothing of them is stored.
    """
    positive("skip_last", "count", count, least=0)
    return attach(lambda node: SkipLast(inputs=(node,), count=count))


def take_last(count: int) -> Same:
    """Give the last ``count`` items, or all if there are fewer, when the flow has completed.

    Nothing is given if it fails, or is drained before its end. A position stands before the first item
    that might be among the last, so nothing of them is stored; ``take_last(0)`` runs to the end for the
    effects along the way.
    """
    positive("take_last", "count", count, least=0)
    return attach(lambda node: TakeLast(inputs=(node,), count=count))


@node
class SkipLast(Node):
    """All but the last ``count`` items."""

    operator = "skip_last"

    count: int

    def bound(self, n: int) -> float:
        """Return M_up(n + count)."""
        return self.inputs[0].bound(n + self.count)

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _SkipLastStage(site, self.count)


class _SkipLastStage(ShapingStage):
    def __init__(self, site: Site, count: int) -> None:
        super().__init__(site)
        self._count = count
        self._held: deque[Any] = deque()

    def wanted(self, n: int) -> int:
        return n + self._count - len(self._held)

    def take(self, items: list[Any]) -> None:
        held = self._held
        first = self.done - len(held)
        held.extend(items)
        free = max(0, len(held) - self._count)
        self.put([held.popleft() for _ in range(free)], range(first + 1, first + free + 1))


@node
class TakeLast(Node):
    """The last ``count`` items, at the end."""

    operator = "take_last"

    count: int

    def bound(self, n: int) -> float:
        """Return M_up(max(n, 256) + count): it reads in chunks of up to 256 until the end."""
        return self.inputs[0].bound(max(n, LARGEST_SLICE) + self.count)

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _TakeLastStage(site, self.count)


class _TakeLastStage(ShapingStage):
    def __init__(self, site: Site, count: int) -> None:
        super().__init__(site)
        self._held: deque[Any] = deque(maxlen=count)

    def wanted(self, n: int) -> int:
        return max(n, LARGEST_SLICE)

    def take(self, items: list[Any]) -> None:
        self._held.extend(items)
        self.low = max(self.low, self.done + len(items) - len(self._held))

    def finish(self) -> None:
        self.put(self._held, range(self.done - len(self._held) + 1, self.done + 1))
        self._held.clear()
