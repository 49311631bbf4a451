"""Flows that are built during a run: by ``defer``, ``concat_map``, ``recover`` and similar operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.runtime.failures import calling
from penstock.runtime.graph import position_of, require_resumable, resolve, states_of
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import JSON
    from penstock.runtime.upstream import States, Upstream


@node
class BuildingNode(Node):
    """A node that runs flows built at run time, whose order is no looser than ``within``."""

    stateful = True

    within: Order = Order.EXACT

    def bound(self, n: int) -> float:  # noqa: ARG002  the flows are not known yet
        return float("inf")

    @property
    def order(self) -> Order:
        return self.within.loosest(*(node.order for node in self.inputs))

    @property
    def repeatable(self) -> bool:
        return self.within is Order.EXACT and all(node.repeatable for node in self.inputs)


class BuiltFlow:
    """A flow built at run time for the stage at ``site``, its owner, and started in the owner's run.

    Its *state* is the position of the built flow. The owner stores it as part of its own state, so that a
    resumed run builds the flow again and continues inside it.

    Args:
        site: Where the owner stands.
        build: Returns the graph. The owner is named in a note on errors that it raises.
        state: What ``state_at`` returned in an earlier run; ``None`` starts at the beginning.
        tracked: Whether positions inside its chunks are needed.
        order: The loosest order that the owner promised; ``None`` allows any.

    Raises:
        GraphError: the built flow holds a checkpoint or has a looser order than promised. Neither could
            be checked when the graph was built.
        PositionError: ``state`` belongs to another graph.
    """

    __slots__ = ("_vertex", "stage")

    def __init__(
        self,
        site: Site,
        build: Callable[[], Node],
        state: JSON = None,
        *,
        tracked: bool = True,
        order: Order | None = None,
    ) -> None:
        owner = site.vertex.node
        with calling(owner):
            vertex = resolve(build())
        if order is not None and order.loosest(vertex.node.order) is not order:
            built = vertex.node.order.value
            msg = (
                f"{owner.describe()} promised flows of order {order.value}, but the order of "
                f"{vertex.node.describe()} is {built}. Declare it when the graph is built: "
                f'{owner.operator}(..., order="{built}").'
            )
            raise GraphError(msg)
        if vertex.node.has_checkpoint:
            msg = (
                f"the flow that {owner.describe()} built at run time holds a checkpoint, which is refused "
                f"there. Put the checkpoint behind: {owner.operator}(...) | op.checkpoint(...)."
            )
            raise GraphError(msg)
        states = states_of(vertex, state) if state is not None else {}
        self._vertex = vertex
        self.stage: Upstream[Any] = Site(vertex, site.run, states, tracked, depth=site.depth + 1).start()

    def state_at(self) -> Callable[[int], JSON]:
        """Return a function from ``i`` to the state behind the first ``i`` items of the last chunk.

        The function stays valid. It raises ``NotResumable`` if the built flow cannot give a position.
        """
        marks, state = self.stage.marks(), self.state
        return lambda i: state(marks(i))

    def state(self, states: States) -> JSON:
        """Return ``states``, which came from the marks of the stage, as a position.

        Raises:
            NotResumable: the built flow cannot give a position.
        """
        require_resumable(self._vertex.node, "resuming a flow that was built at run time")
        return position_of(self._vertex, states)
