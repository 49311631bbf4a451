"""Flows that are built during a run: by ``defer``, ``concat_map``, ``recover`` and similar operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.runtime.failures import calling
from penstock.runtime.graph import require_resumable, resolve, states_of
from penstock.runtime.node import Node, Promise, Site, node
from penstock.runtime.order import Order
from penstock.runtime.positions import Inner, Present, Stored, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.runtime.upstream import Marks, States, Upstream


@node
class BuildingNode(Node):
    """A node that runs flows built at run time, whose order is no looser than ``within``.

    ``None`` states no order. Then they count as exact, and the run checks this where something depends on it.
    """

    stateful = True

    within: Order | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002  the flows are not known yet
        return float("inf")

    @property
    def order(self) -> Order:
        return (self.within or Order.EXACT).loosest(*(node.order for node in self.inputs))

    @property
    def repeatable(self) -> bool:
        return self.within in {None, Order.EXACT} and all(node.repeatable for node in self.inputs)


class BuiltFlow:
    """A flow built at run time for the stage at ``site``, its owner, and started in the owner's run.

    Its *state* is the position of the built flow. The owner stores it as part of its own state, so that a
    resumed run builds the flow again and continues inside it.

    Args:
        site: Where the owner stands.
        build: Returns the graph. The owner is named in a note on errors that it raises.
        state: What ``state_at`` returned in an earlier run; ``None`` starts at the beginning.
        tracked: Whether positions inside its chunks are needed.
        order: The loosest order that the owner promised; ``None`` allows any that nobody downstream minds.

    Raises:
        GraphError: the built flow holds a checkpoint, or has a looser order than was promised or than a
            position downstream needs. None of this could be checked when the graph was built.
        PositionError: ``state`` belongs to another graph.
    """

    __slots__ = ("_vertex", "stage")

    def __init__(
        self,
        site: Site,
        build: Callable[[], Node],
        state: Any = None,
        *,
        tracked: bool = True,
        order: Order | None = None,
    ) -> None:
        owner = site.vertex.node
        with calling(owner):
            vertex = resolve(build())
        promise = site.promise if order is None else Promise(order, owner, strict=True)
        if promise is not None and promise.order.loosest(vertex.node.order) is not promise.order:
            _too_loose(site, promise, vertex.node)
        if vertex.inputs and vertex.node.has_checkpoint:
            msg = (
                f"the flow that {owner.describe()} built at run time holds a checkpoint, which is refused "
                f"there. Put the checkpoint after it: {owner.operator}(...) | op.checkpoint(...)."
            )
            raise GraphError(msg)
        states = states_of(vertex, _read(state)) if state is not None else {}
        self._vertex = vertex
        inner = Site(
            vertex, site.run, states, tracked,
            positioned=site.positioned, promise=promise, depth=site.depth + 1,
        )  # fmt: skip
        self.stage: Upstream[Any] = inner.start()

    def state_at(self) -> Callable[[int], Any]:
        """Return a function from ``i`` to the state behind the first ``i`` items of the last chunk.

        The function stays valid. What it returns becomes JSON when it is part of a position: there may be
        thousands of flows that have built each other.
        """
        marks = self.stage.marks()
        return lambda i: self.state_behind(marks, i)

    def state_behind(self, marks: Marks, i: int) -> Any:
        """Return such a state, from marks of the stage."""
        return _Built(self._vertex, marks, i)

    def state(self, states: States) -> Any:
        """Return ``states``, which came from the marks of the stage, as such a state."""
        return _Built(self._vertex, lambda _: states, 0)


class _Built(Present):
    __slots__ = ()

    def values(self) -> Iterable[tuple[str, Any, str]]:
        require_resumable(self._vertex.node, "resuming a flow that was built at run time")
        return super().values()


def _read(state: Any) -> Any:
    """Return the position in a state: the run itself may start a flow again, without writing JSON."""
    if isinstance(state, Stored):
        return state.position
    return written(state) if isinstance(state, Inner) else state


def _too_loose(site: Site, promise: Promise, built: Node) -> None:
    """Raise ``GraphError`` for a flow of too loose an order, or take the position of the run."""
    owner, who, order = site.vertex.node, promise.who, built.order.value
    declare = f'Declare it when the graph is built: {owner.operator}(..., order="{order}").'
    if who is owner:
        msg = (
            f"{owner.describe()} promised flows of order {promise.order.value}, but the order of "
            f"{built.describe()} is {order}. {declare}"
        )
        raise GraphError(msg)
    msg = (
        f"the position of {who.describe()} needs flows of order {promise.order.value}, but the order of "
        f"{built.describe()}, which {owner.describe()} built, is {order}. {declare}"
    )
    if promise.strict:
        raise GraphError(msg)
    site.run.without_position = msg
