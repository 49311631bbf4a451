"""The operator ``sliding``, which gathers overlapping lists."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import flag_for, positive
from penstock.runtime.node import Node, Site, node

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def sliding(size: int, step: int = 1, *, partial: bool = False) -> Callable[[Flow[T]], Flow[list[T]]]:
    """Gather lists of ``size`` items, each beginning ``step`` items after the one before.

    With a ``step`` smaller than ``size`` the lists overlap; with a larger one, the items between them are
    left out. A position stands before the first item of the next list, so no item is stored.

    Args:
        size: How many items a list has.
        step: How many items after the first item of a list the next list begins.
        partial: Whether to yield the shorter lists at the end, too: ``sliding(3, 2, partial=True)`` of
            ``1 2 3 4`` is ``[1, 2, 3], [3, 4]``.
    """
    positive("sliding", "size", size)
    positive("sliding", "step", step)
    flag_for("sliding", partial=partial)
    return attach(lambda node: Sliding(inputs=(node,), size=size, step=step, partial=partial))


@node
class Sliding(Node):
    """Gathers lists of ``size`` items, each beginning ``step`` items after the one before."""

    operator = "sliding"
    stateful = True

    size: int
    step: int = 1
    partial: bool = False

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(max(self.size, self.step) + (n - 1) * self.step)

    def start(self, site: Site) -> SlidingStage:
        return SlidingStage(site, self)


class SlidingStage(ShapingStage):
    """``_next`` is the number of the first input of the next list; ``_held`` begins with that input."""

    def __init__(self, site: Site, node: Sliding) -> None:
        super().__init__(site)
        self._node = node
        self._next = self.start
        self._held: list[Any] = []

    def demand(self, n: int) -> int:
        return self._next + self._node.size + (n - 1) * self._node.step - self.done

    def take(self, items: list[Any]) -> None:
        end = self.done + len(items)
        self._held += items[max(0, self._next - self.done) :]
        size, step = self._node.size, self._node.step
        self._cut(max(0, (end - self._next - size) // step + 1))

    def _cut(self, count: int) -> None:
        """Put ``count`` lists, and drop the inputs that no later list needs."""
        held, size, step, first = self._held, self._node.size, self._node.step, self._next
        starts = range(0, count * step, step)
        self.put([held[at : at + size] for at in starts], range(first + step, first + count * step + 1, step))
        self._next = first + count * step
        del held[: count * step]

    def finish(self) -> None:
        if self._node.partial:
            self._cut(math.ceil(len(self._held) / self._node.step))
