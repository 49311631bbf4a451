"""``sliding``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import positive
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.operators.attach import Lists
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Sliding", "sliding"]


def sliding(size: int, step: int = 1, *, partial: bool = False) -> Lists:
    """Gather lists of ``size`` consecutive items, each beginning ``step`` items behind the one before.

    A ``step`` smaller than ``size`` makes them overlap, a larger one leaves items out between them.

    Args:
        size: How many items a list has.
        step: How many items further the next list begins.
        partial: Whether the lists that the end cuts short are given, too: ``sliding(3, 2, partial=True)``
            of ``1 2 3 4`` is ``[1, 2, 3], [3, 4]``. Otherwise only full ones are.

    A position stands before the first item of the next list, so nothing of it is stored.
    """
    positive("sliding", "size", size)
    positive("sliding", "step", step)
    return attach(lambda node: Sliding(inputs=(node,), size=size, step=step, partial=partial))


@node
class Sliding(Node):
    """Lists of ``size`` consecutive items, each beginning ``step`` items behind the one before."""

    operator = "sliding"
    stateful = True

    size: int
    step: int = 1
    partial: bool = False

    def bound(self, n: int) -> float:
        """Return M_up of what ``n`` windows span."""
        return self.inputs[0].bound(max(self.size, self.step) + (n - 1) * self.step)

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _SlidingStage(site, self)


class _SlidingStage(ShapingStage):
    """``_next`` is the number of the input that the next window begins with; ``held`` begins there, too."""

    def __init__(self, site: Site, node: Sliding) -> None:
        super().__init__(site)
        self._node = node
        self._next = self.start
        self._held: list[Any] = []

    def wanted(self, n: int) -> int:
        return self._next + self._node.size + (n - 1) * self._node.step - self.done

    def take(self, items: list[Any]) -> None:
        end = self.done + len(items)
        self._held += items[max(0, self._next - self.done) :]
        size, step = self._node.size, self._node.step
        self._cut(max(0, (end - self._next - size) // step + 1))

    def _cut(self, count: int) -> None:
        """Put ``count`` windows, and forget what no later one needs."""
        held, size, step, first = self._held, self._node.size, self._node.step, self._next
        starts = range(0, count * step, step)
        self.put([held[at : at + size] for at in starts], range(first + step, first + count * step + 1, step))
        self._next = first + count * step
        del held[: count * step]

    def finish(self) -> None:
        if self._node.partial:
            self._cut(math.ceil(len(self._held) / self._node.step))
