"""The operator ``exhaust_map``: a flow from an item, while the items that come meanwhile are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.operators.combine.flattening import FlatteningNode, flattening
from penstock.operators.combine.present_flow import PresentFlowStage
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow

T = TypeVar("T")
U = TypeVar("U")

MOST = 64
"""How many items to request at once while a flow runs; all of them are dropped."""


def exhaust_map(
    function: Callable[[T], Flow[U]], *, order: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Map an item to a flow and yield its items; drop the items that come while this flow runs.

    The next item that comes after the flow has completed is mapped again. If all items are ready, only the
    first one is mapped. Items come only while something is requested from the result. It completes when its
    input and the present flow have completed. An error of either is raised at once. ``statistics`` counts
    the drops.

    A position holds where the present item stands and where its flow stands. A run resumed inside that flow
    reads the items after the present one again, and may map one of them.

    Args:
        function: Returns a flow. For the same item it must build the same graph.
        order: The loosest order of the flows that ``function`` may return, as for ``concat_map``.
    """
    return flattening(ExhaustMap, function, order)


class ExhaustMap(FlatteningNode):
    """The items of the flow that ``function`` builds from an item that comes while no flow runs."""

    operator = "exhaust_map"
    own_order = Order.LOSSY

    @property
    def repeatable(self) -> bool:
        """False: timing decides which item is mapped next."""
        return False


@runs(ExhaustMap)
class _ExhaustMapStage(PresentFlowStage):
    def prepare(self) -> None:
        """Leave a flow that has completed; map the next item if no flow runs, and drop the others."""
        outer = self.outer
        if self.present is not None and self.present.over:
            self.replace(None)
        if self.present is None and outer.left and not self.run.draining:
            self.present_next()
        if self.present is not None and outer.left:
            self.dropped += outer.left
            outer.at = outer.size

    def ask(self, n: int) -> None:
        self.outer.want(1 if self.present is None else MOST)
        if self.present is not None:
            self.present.want(n)
