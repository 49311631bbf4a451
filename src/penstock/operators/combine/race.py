"""The operator ``race``: the items of the first flow that yields one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

T = TypeVar("T")


def race(*others: Joinable[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of the flow that yields one first; the other flows are closed at once.

    A flow that completes without an item loses; if all flows do, the result is empty. (The ``amb`` of
    ReactiveX lets it win.) An error that comes before the first item ends the race: it is raised. If several
    flows are ready at the same moment, the first argument wins. A resumed run continues with the winner and
    starts no other flow.
    """
    nodes = nodes_of("race", others)
    return attach(lambda node: Race(inputs=(node, *nodes)))


@node
class Race(JoinNode):
    """The items of the input that is first to yield one; the others are closed at once."""

    operator = "race"
    own_order = Order.TIMED
    stateful = True


@runs(Race)
class _RaceStage(JoinStage):
    """Its state is the winner, or ``None`` as long as there is none."""

    def __init__(self, site: Site, _: Race) -> None:
        super().__init__(site)
        self._winner: int | None = site.state
        if self._winner is not None:
            self.inputs = [self.inputs[self._winner]]

    def marks(self) -> Marks:
        key, winner, places, moved = self.site.vertex.id, self._winner, self.places(), self.start is not None
        return lambda i: {**places_of(places, [i if moved else 0] * len(places)), key: winner}

    def prepare(self) -> None:
        """Look for the winner; if there is one, release every other input."""
        if self._winner is not None:
            return
        ahead = (k for k, branch in enumerate(self.inputs) if branch.left or branch.failed)
        first = next(ahead, None)
        if first is None or self.inputs[first].failed:
            return
        self._winner = first
        for k, branch in enumerate(self.inputs):
            if k != first:
                branch.release()
        self.inputs = [self.inputs[first]]

    def collect(self, n: int) -> list[Any]:
        return self.inputs[0].take(n) if self._winner is not None else []

    def over(self) -> bool:
        self.throw()
        return all(branch.ended for branch in self.inputs)
