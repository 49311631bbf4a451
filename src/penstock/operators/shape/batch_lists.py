"""What ``batch`` is with a weight for each item, and where the last list must be full."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.operators.shape.cutting import ShapingStage
from penstock.operators.shape.sliding import Sliding, SlidingStage
from penstock.runtime.functions import Plain
from penstock.runtime.node import Node, Site, node

if TYPE_CHECKING:
    from penstock.runtime.stage import Stage


@node
class BatchBy(Node):
    """Gathers lists in which the sum of ``function(item)`` is at most ``size``."""

    operator = "batch"

    function: Callable[[Any], float]
    size: float

    def bound(self, n: int) -> float:  # noqa: ARG002  any number of items may have the weight 0
        return math.inf

    @property
    def skippable(self) -> bool:
        return True

    def start(self, site: Site) -> Stage[Any]:
        return _BatchByStage(site, self)


class _BatchByStage(ShapingStage):
    def __init__(self, site: Site, node: BatchBy) -> None:
        super().__init__(site)
        self._node = node
        self._calls = Plain.of(node, node.function)
        self._list: list[Any] = []
        self._sum: float = 0

    def demand(self, n: int) -> int:
        return n

    def take(self, items: list[Any]) -> None:
        size = self._node.size
        for number, item in enumerate(items, self.done):
            try:
                weight = self._weight(item)
            except BaseException as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)
                continue
            if self._list and self._sum + weight > size:
                self._close(number)
            self._list.append(item)
            self._sum += weight
            if self._sum >= size:
                self._close(number + 1)

    def _weight(self, item: Any) -> float:
        weight: float = self._calls.function(item)
        if weight >= 0:
            return weight
        msg = f"batch(by=…): the weight of an item must be a number, not negative; this one is {weight!r}"
        raise ValueError(msg)

    def _close(self, low: int) -> None:
        done, self._list, self._sum = self._list, [], 0
        self.put([done], [low])

    def finish(self) -> None:
        if self._list:
            self._close(self.done)


@node
class BatchStrict(Sliding):
    """Gathers lists of ``size`` items; a shorter list at the end is an error."""

    operator = "batch"
    stateful = False

    def start(self, site: Site) -> SlidingStage:
        return _BatchStrictStage(site, self)


class _BatchStrictStage(SlidingStage):
    def finish(self) -> None:
        if self._held:
            msg = (
                f"batch({self._node.size}, strict=True): the flow has completed, "
                f"but the last list has only {len(self._held)} items"
            )
            raise ValueError(msg)
