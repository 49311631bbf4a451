"""``take_until``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import Node, Order, node
from penstock.runtime.stream import node_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["TakeUntil", "take_until"]


def take_until(other: Flow[Any]) -> Same:
    """Complete when ``other`` gives an item, whatever the item is, and close both flows.

    An item that comes in the very moment in which ``other`` gives one is not delivered. An error of
    ``other`` is an error of the whole; that it completes without an item means nothing. A resumed run
    waits for ``other`` from where its own position says, so a timer starts anew.
    """
    signal = node_of("what take_until waits for", other)
    return attach(lambda node: TakeUntil(inputs=(node, signal)))


@node
class TakeUntil(Node):
    """Items of the first input until the second gives one."""

    operator = "take_until"
    own_order = Order.TIMED
    stateful = True

    def bound(self, n: int) -> float:
        """Return M(n) of the first input and M(1) of the second."""
        return self.inputs[0].bound(n) + self.inputs[1].bound(1)

    @property
    def repeatable(self) -> bool:
        """False: whether the first input gives the next item, or the second ends all, is a matter of time."""
        return False

    def start(self, site: Site) -> Stage[Any]:
        """Start both inputs, the second first; their tasks start with the first request."""
        return _TakeUntilStage(site)


class _TakeUntilStage(JoinStage):
    """Its state is whether the second input has given an item."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.done = bool(site.state)
        self._signalled = self.done

    def ask(self, n: int) -> None:
        items, signal = self.branches
        signal.want(1)  # first, so that what is there from the beginning comes before any item
        items.want(n)

    def collect(self, n: int) -> list[Any]:
        items, signal = self.branches
        return [] if signal.left else items.take(n)

    def over(self) -> bool:
        items, signal = self.branches
        self._signalled = signal.left > 0
        if not self._signalled:
            for branch in (items, signal):
                if branch.failed and branch.failure is not None:
                    branch.failure.throw()
        return self._signalled or items.ended

    def marks(self) -> Marks:
        key, places, signalled = self.site.vertex.id, self.places(), self._signalled
        return lambda i: {**places_of(places, (i, 0)), key: signalled}
