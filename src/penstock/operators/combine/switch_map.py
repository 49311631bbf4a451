"""The operator ``switch_map``: the items of the latest item's flow."""

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


def switch_map(function: Callable[[T], Flow[U]], *, order: str | None = None) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to a flow and yield the items of the latest flow; each item ends the flow before.

    Items that the ended flow had fetched but not delivered are dropped. So if all items are ready, hardly
    any flow but the last one yields much. It completes when its input and the present flow have completed.
    An error of either is raised at once. A position holds where the present item stands and where its flow
    stands.

    Args:
        function: Returns a flow. For the same item it must build the same graph.
        order: The loosest order of the flows that ``function`` may return, as for ``concat_map``.
    """
    return flattening(SwitchMap, function, order)


class SwitchMap(FlatteningNode):
    """The items of the flow that ``function`` builds from the latest item."""

    operator = "switch_map"
    own_order = Order.LOSSY

    @property
    def repeatable(self) -> bool:
        """False: timing decides whether the present flow or a new one yields the next item."""
        return False


@runs(SwitchMap)
class _SwitchMapStage(PresentFlowStage):
    def prepare(self) -> None:
        """End the present flow if there is a new item, and start the flow of that one."""
        if self.outer.left and not self.run.draining:
            self.present_next()

    def ask(self, n: int) -> None:
        self.outer.want(1)
        if self.present is not None:
            self.present.want(n)
