"""A node whose subscribers share one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.operators.concurrency.overflow import Overflow
    from penstock.runtime.node import Order


__all__ = ["Hot"]


CAPACITY = 256
"""How many items a subscriber may lag behind by default; as many as a driver asks for at most."""

_SERVING = {"branches", "hub", "make", "manual", "split"}


@node
class Hot(Node):
    """A subscriber's side of a shared run: no position, and at most ``capacity`` items held for it."""

    hot = True

    capacity: int
    overflow: Overflow

    @property
    def parameters(self) -> dict[str, Any]:
        """What it was asked for, without what only serves the running."""
        found: dict[str, Any] = Node.parameters.__get__(self)
        return {name: value for name, value in found.items() if name not in _SERVING}

    @property
    def order(self) -> Order:
        """The loosest of upstream, this operator, and what an overflow leaves."""
        return self.own_order.loosest(self.overflow.order, *(node.order for node in self.inputs))

    @property
    def skippable(self) -> bool:
        """False: what fails above fails in the shared run, for all."""
        return False

    @property
    def obstacle(self) -> Node:
        """This node itself: where the others are, a position of one subscriber cannot say."""
        return self

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + n."""
        return self.inputs[0].bound(self.capacity) + n
