"""The base of operators that wait for the first item of another flow, the *signal*."""

from __future__ import annotations

from penstock.runtime.node import Node, node
from penstock.runtime.order import Order


@node
class UntilNode(Node):
    """Its first input has the items, the second one is the signal; the state says whether that has come."""

    own_order = Order.TIMED
    stateful = True

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n) + self.inputs[1].bound(1)

    @property
    def repeatable(self) -> bool:
        return False  # in a resumed run the signal may arrive before the next item
