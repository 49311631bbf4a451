"""What ``batch`` is with a weight for each item, and where the last list must be full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.shape.gathering import GatheringNode, GatheringStage
from penstock.operators.shape.sliding import Sliding, SlidingStage
from penstock.runtime.node import Site, node

if TYPE_CHECKING:
    from penstock.runtime.stage import Stage


def weight_of(value: float) -> float:
    """Return the weight of an item that a function returned, or raise ``ValueError``."""
    if value >= 0:
        return value
    msg = f"batch(by=…): the weight of an item must be a number, not negative; this one is {value!r}"
    raise ValueError(msg)


@node
class BatchBy(GatheringNode):
    """Gathers lists in which the sum of ``function(item)`` is at most ``size``."""

    operator = "batch"

    size: float

    def start(self, site: Site) -> Stage[Any]:
        return _BatchByStage(site, self)


class _BatchByStage(GatheringStage):
    def __init__(self, site: Site, node: BatchBy) -> None:
        super().__init__(site, node)
        self._size = node.size
        self._sum: float = 0

    def take(self, items: list[Any]) -> None:
        size = self._size
        for number, item in enumerate(items, self.done):
            try:
                weight = weight_of(self.calls.function(item))
            except BaseException as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)
                continue
            if self.unfinished and self._sum + weight > size:
                self.close(number)
            self.unfinished.append(item)
            self._sum += weight
            if self._sum >= size:
                self.close(number + 1)

    def close(self, low: int) -> None:
        super().close(low)
        self._sum = 0


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
