"""The operator ``switch_map``: the items of the latest item's flow."""

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
class _SwitchMapStage(JoinStage):
    """Its state is that of the present item's flow; the input's position stands before that item.

    ``branches`` are the input, then the present flow if there is one.
    """

    def __init__(self, site: Site, node: SwitchMap) -> None:
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
        """End the present flow if there is a new item, and start the flow of that one."""
        outer = self._outer
        if outer.left and not self.run.draining:
            built = self._node.built(self.site, outer.items[outer.at], self._state)
            self._replace(InnerFlow(built, outer.place, self))
            self._state = None
            outer.at += 1

    def _replace(self, flow: InnerFlow | None) -> None:
        if self._present is not None:
            self._present.release()
        self._present = flow
        self.inputs = [self._outer] if flow is None else [self._outer, flow]

    def collect(self, n: int) -> list[Any]:
        return self._present.take(n) if self._present is not None else []

    def over(self) -> bool:
        raise_failure(self.inputs[::-1])
        if self._present is not None and self._present.over:
            self._replace(None)
        idle = self.run.draining if self._outer.left else self._outer.ended
        return idle and (self._present is None or self._present.ended)

    def ask(self, n: int) -> None:
        self._outer.want(1)
        if self._present is not None:
            self._present.want(n)
