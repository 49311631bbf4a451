"""What operators share that gather items in lists by calling a function with each item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.functions import Plain
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.runtime.node import Site


@node
class GatheringNode(Node):
    """Gathers lists of any length; ``function(item)`` decides where one ends."""

    function: Callable[[Any], Any]

    def bound(self, n: int) -> float:  # noqa: ARG002  a list may hold any number of items
        return math.inf

    @property
    def skippable(self) -> bool:
        return True


class GatheringStage(ShapingStage):
    """Holds the unfinished list. ``take`` appends to it, and calls ``close`` to deliver it."""

    def __init__(self, site: Site, node: GatheringNode) -> None:
        super().__init__(site)
        self.calls = Plain.of(node, node.function)
        self.unfinished: list[Any] = []

    def demand(self, n: int) -> int:
        return n

    def close(self, low: int) -> None:
        """Put the list and begin another; ``low`` is the first input that is still needed after it."""
        done, self.unfinished = self.unfinished, []
        self.put([done], [low])

    def finish(self) -> None:
        if self.unfinished:
            self.close(self.done)
