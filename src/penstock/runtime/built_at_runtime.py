"""Flows that are built while a run goes on: by ``defer``, ``concat_map``, ``recover`` and their like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.runtime.failures import annotate
from penstock.runtime.graph import position_of, require_resumable, resolve, states_of
from penstock.runtime.node import Node, Order, Site, node

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import JSON
    from penstock.runtime.upstream import States, Upstream


__all__ = ["BuildingNode", "BuiltFlow"]


@node
class BuildingNode(Node):
    """A node that goes on with a flow built while running, of an order no looser than ``within``."""

    stateful = True

    within: Order = Order.EXACT

    def bound(self, n: int) -> float:  # noqa: ARG002  nobody knows what will be built
        """Return infinity: what will be built is not known yet."""
        return float("inf")

    @property
    def order(self) -> Order:
        """The loosest of the input's, and that of what it builds."""
        return self.within.loosest(*(node.order for node in self.inputs))

    @property
    def repeatable(self) -> bool:
        """Whether the input is, and what is built is exact."""
        return self.within is Order.EXACT and all(node.repeatable for node in self.inputs)


class BuiltFlow:
    """A flow built at run time, started for the stage at ``site``, which owns it.

    Its *state* is a position of its own: JSON that the owner puts into its own state, so that a resumed
    run builds the flow again and goes on inside it.

    Args:
        site: Where the owner stands; what is built belongs to its run and is tracked as ``tracked`` says.
        build: Returns the graph. An error of it is annotated with the owner.
        state: What ``state_at`` gave in an earlier run; ``None`` starts at the beginning.
        tracked: Whether positions inside its chunks are wanted.
        order: The loosest order that the owner can promise for; ``None`` asks for nothing.

    Raises:
        GraphError: what was built holds a checkpoint, which nobody could see when the graph was built, or
            has a looser order than was promised then.
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
        try:
            vertex = resolve(build())
        except StopIteration as stray:
            error = RuntimeError(f"the function of {owner.operator} raised StopIteration")
            annotate(error, owner.describe())
            raise error from stray
        except Exception as error:
            annotate(error, owner.describe())
            raise
        if order is not None and order.loosest(vertex.node.order) is not order:
            came = vertex.node.order.value
            msg = (
                f"{owner.describe()} promised flows whose order is {order.value}, but that of "
                f"{vertex.node.describe()} is {came}. Say so when the graph is built: "
                f'{owner.operator}(..., order="{came}").'
            )
            raise GraphError(msg)
        if vertex.node.settles:
            msg = (
                f"what {owner.describe()} built holds a checkpoint, which nobody could see when the "
                f"graph was built. Put the checkpoint behind: {owner.operator}(...) | op.checkpoint(...)."
            )
            raise GraphError(msg)
        states = states_of(vertex, state) if state is not None else {}
        self._vertex = vertex
        self.stage: Upstream[Any] = Site(vertex, site.run, states, tracked).start()

    def state_at(self) -> Callable[[int], JSON]:
        """Return what gives the state behind the first ``i`` items of the last chunk, valid for ever.

        Calling it raises ``NotResumable`` if what was built cannot give a position.
        """
        marks, state = self.stage.marks(), self.state
        return lambda i: state(marks(i))

    def state(self, states: States) -> JSON:
        """Return the state that says what ``states``, some mark of the stage, says.

        Raises:
            NotResumable: what was built cannot give a position.
        """
        require_resumable(self._vertex.node, "resuming a flow that was built while running")
        return position_of(self._vertex, states)
