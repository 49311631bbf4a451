"""What ``concat_map``, ``flat_map_merge`` and ``switch_map`` share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach, building
from penstock.runtime.arguments import function_for
from penstock.runtime.built_at_runtime import BuildingNode, BuiltFlow
from penstock.runtime.input import Input
from penstock.runtime.node import node
from penstock.runtime.order import order_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.input import Place
    from penstock.runtime.inputs import JoinStage
    from penstock.runtime.node import Node, Site
    from penstock.runtime.order import Order


def flattening(
    kind: type[FlatteningNode], function: Callable[[Any], object], order: str | None, **more: Any
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Check the arguments, and return the operator that adds a node of ``kind``."""
    function_for(kind.operator, function)
    within, build = order_named(kind.operator, order), building(kind.operator, function)
    return attach(lambda node: kind(inputs=(node,), function=build, within=within, **more))


@node
class FlatteningNode(BuildingNode):
    """A node that builds a flow from each item."""

    relies_on_order = True

    function: Callable[[Any], Node]

    @property
    def order(self) -> Order:
        return self.own_order.loosest(BuildingNode.order.__get__(self))

    @property
    def obstacle(self) -> Node | None:
        """This node, if a resumed run might begin with another item than the one it was cut in."""
        above = self.inputs[0]
        return above.obstacle or (None if above.repeatable else self)

    def built(self, site: Site, item: Any, state: JSON) -> BuiltFlow:
        """Build and start the flow of ``item``, at ``state``."""
        return BuiltFlow(site, partial(self.function, item), state, order=self.within)


class InnerFlow(Input):
    """The running flow of one item: the item's number, and where the item stands in its input."""

    __slots__ = ("built", "number", "origin")

    def __init__(self, built: BuiltFlow, origin: Place, join: JoinStage, number: int = 0) -> None:
        super().__init__(built.stage, join, number)
        self.built = built
        self.origin = origin
        self.number = number

    def take(self, n: int) -> list[Any]:
        """Do what an input does, and end with the last item if it is known that none follows."""
        items = super().take(n)
        if items and self.taken >= self.size and self.stage.instant and self.stage.exhausted:
            self.end()
        return items
