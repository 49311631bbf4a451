"""The operator ``exhaust_map``: a flow from an item, while the items that come meanwhile are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.combine.flattening import FlatteningNode, InnerFlow, flattening
from penstock.operators.combine.join import raise_failure
from penstock.runtime.inputs import JoinStage
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

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
    reads the items behind the present one again, and may map one of them.

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
class _ExhaustMapStage(JoinStage):
    """Its state is that of the present item's flow; the input's position stands before that item.

    ``inputs`` are the input, then the present flow if there is one.
    """

    def __init__(self, site: Site, node: ExhaustMap) -> None:
        super().__init__(site)
        self._node = node
        self._outer = self.inputs[0]
        self._present: InnerFlow | None = None
        self._state: JSON = site.state  # of a resumed run, until its flow is built

    def marks(self) -> Marks:
        key, present, state = self.site.vertex.id, self._present, self._state
        if present is None:
            page, offset = self._outer.place
            return lambda _: {**page(offset), key: state}
        page, offset = present.origin
        (inner, at), moved = self.places()[1], self.start is not None
        return lambda i: {**page(offset), key: present.built.state(inner(at + (i if moved else 0)))}

    def prepare(self) -> None:
        """Leave a flow that has completed; map the next item if no flow runs, and drop the others."""
        outer = self._outer
        if self._present is not None and self._present.over:
            self._present.release()
            self._replace(None)
        if self._present is None and outer.left and not self.run.draining:
            built = self._node.built(self.site, outer.items[outer.at], self._state)
            self._state = None
            self._replace(InnerFlow(built, outer.place, self))
            outer.at += 1
        if self._present is not None and outer.left:
            self.dropped += outer.left
            outer.at = outer.size

    def _replace(self, flow: InnerFlow | None) -> None:
        self._present = flow
        self.inputs = [self._outer] if flow is None else [self._outer, flow]

    def collect(self, n: int) -> list[Any]:
        return self._present.take(n) if self._present is not None else []

    def ask(self, n: int) -> None:
        self._outer.want(1 if self._present is None else MOST)
        if self._present is not None:
            self._present.want(n)

    def over(self) -> bool:
        raise_failure(self.inputs[::-1])
        idle = self.run.draining if self._outer.left else self._outer.ended
        return idle and (self._present is None or self._present.ended)
