"""The description of a graph: immutable nodes, their places in the graph, and how they start."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from penstock.errors import GraphError
from penstock.runtime.arguments import assembled_at, at
from penstock.runtime.cut import DEEPEST, Cut
from penstock.runtime.facts import remember_facts
from penstock.runtime.order import Order
from penstock.runtime.upstream import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.abc import JSON
    from penstock.runtime.policy import RetryPolicy
    from penstock.runtime.run import Run
    from penstock.runtime.skipping import Skipping
    from penstock.runtime.upstream import States, Upstream


N = TypeVar("N")


@dataclass_transform(eq_default=False, kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def node(cls: type[N]) -> type[N]:
    """Make a subclass of ``Node`` a frozen dataclass with slots, as every node is."""
    return dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)(cls)


@node
class Node:
    """One operator or source of a graph, with its parameters.

    A subclass adds its parameters as fields. It says how many items it holds (``bound``), whether a position
    holds a state of it (``stateful``) and how strict its order is (``own_order``). The class of stages that
    runs it is decorated with ``runs``.

    The properties from ``order`` to ``has_checkpoint`` are computed once for each node. They and ``bound``
    may ask the inputs, however many nodes stand above: ``penstock.runtime.facts`` sees to that.
    """

    operator: ClassVar[str]
    stateful: ClassVar[bool] = False
    """Whether a position holds a state of this node."""
    transparent: ClassVar[bool] = False
    """Whether it may stand behind a checkpoint: it neither holds nor folds items (law 12)."""
    catches_errors: ClassVar[bool] = False
    """Whether it handles all errors from above, so that ``on_error_skip`` behind it never sees them."""
    own_order: ClassVar[Order] = Order.EXACT
    shared: ClassVar[bool] = False
    """Whether the nodes above run in another run, so that a position of this run has no states of them."""
    relies_on_order: ClassVar[bool] = False
    """Whether its position is right only if the items from above come in the same order again."""
    restarts: ClassVar[bool] = False
    """Whether it starts the nodes above from their positions, so that these must be right."""
    remedy: ClassVar[str] = ""
    """For a node that has no position: why, and what to do instead, for the error message."""

    inputs: tuple[Node, ...] = ()
    origin: str = ""
    name: str | None = None
    facts: dict[str, Any] = field(init=False, default_factory=dict)
    """What its properties returned, by name."""

    def __init_subclass__(cls) -> None:
        remember_facts(cls)

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", assembled_at(2))  # behind this method and ``__init__``
        if self.inputs and not self.transparent and any(node.has_checkpoint for node in self.inputs):
            msg = (
                f"{self.operator}{at(self.origin)} stands downstream of a checkpoint, but it holds or folds "
                "items, so a commit could acknowledge items that were not received. Put it upstream of the "
                "checkpoint; only map, filter, starmap, flat_map, choose, tap and the like may follow one."
            )
            raise GraphError(msg)

    stage: ClassVar[Callable[[Site, Any], Upstream[Any]]]
    """The class of stages that runs this node; the decorator ``runs`` sets it."""

    def start(self, site: Site) -> Upstream[Any]:
        """Return the stage that runs this node at ``site``; it does nothing before its first request."""
        return type(self).stage(site, self)

    def bound(self, n: int) -> float:
        """Return M(n) of law 1: how many source items can be in flight at and above this node."""
        return self.inputs[0].bound(n)

    @property
    def structure(self) -> str:
        """Parameters that change the shape of positions, as a part of the id: ``"(2)"``, or nothing."""
        return ""

    @property
    def order(self) -> Order:
        """The order of the items that leave this node."""
        return self.own_order.loosest(*(node.order for node in self.inputs))

    @property
    def obstacle(self) -> Node | None:
        """The first node, from here upwards, that has no position; ``None`` if all have one."""
        return next((found for node in self.inputs if (found := node.obstacle)), None)

    @property
    def absent(self) -> bool:
        """Whether a run that starts now has no stage for this node, which then has one input."""
        return False

    @property
    def single_use(self) -> Node | None:
        """The first node, from here upwards, that can be read only once, or ``None``."""
        return next((found for node in self.inputs if (found := node.single_use)), None)

    @property
    def skippable(self) -> bool:
        """Whether a function, here or above, may fail on an item so that ``on_error_skip`` can skip it."""
        return not self.catches_errors and any(node.skippable for node in self.inputs)

    @property
    def repeatable(self) -> bool:
        """Whether a resumed run begins with exactly the item that came next in the earlier run."""
        return all(node.repeatable for node in self.inputs)

    @property
    def has_checkpoint(self) -> bool:
        """Whether a checkpoint stands at or above this node, in the same run."""
        return any(node.has_checkpoint for node in self.inputs)

    def reserve(self, run: Run) -> None:
        """Prepare for ``run``, which makes its first request now: for ``shared`` nodes."""

    async def decline(self) -> None:
        """Handle a run that was closed before its first request: for ``shared`` nodes."""

    def retrying(self, policy: RetryPolicy) -> Node | None:  # noqa: ARG002  for nodes that can
        """Return this node with ``policy`` for its own retries; ``None`` if it does not retry."""
        return None

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields whose value is not the default, by name; for pictures, never for positions."""
        own = (one for one in fields(self) if one.init and one.name not in {"inputs", "origin", "name"})
        asked = ((one.name, getattr(self, one.name), one.default) for one in own)
        return {
            name: value
            for name, value, default in asked
            if value is not None and not (type(value) is type(default) and value == default)
        }

    def describe(self) -> str:
        """Return the operator's name and where it was assembled, for messages."""
        return f"{self.operator}{at(self.origin)}"

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


remember_facts(Node)


@dataclass(slots=True, eq=False)  # read-only, as a site: frozen ones take three times as long to create
class Vertex:
    """A node at one place in the graph of one run; the same node may stand in several places.

    ``id`` names its state in positions: the node's ``name=`` if it has one, otherwise the operator's name,
    its ``structure``, and its number among the nodes that have an id. ``id`` is empty for a node that is no
    part of positions. ``run`` has all vertices of the run, sources first: this one is number ``index``, and
    those above it are the numbers from ``first`` on.

    A ``shared`` node has no inputs here: the nodes above it stand in a graph of their own.
    """

    node: Node
    id: str
    inputs: tuple[Vertex, ...]
    run: list[Vertex]
    first: int
    index: int

    def within(self) -> Sequence[Vertex]:
        """Return all vertices above this one in the same run, sources first, and this one."""
        return self.run[self.first : self.index + 1]

    @property
    def ids(self) -> list[str]:
        """The ids of this vertex and all above it, sources first; a position has a state for each."""
        return [vertex.id for vertex in self.within() if vertex.id]


@dataclass(frozen=True, slots=True)
class Promise:
    """The loosest order of items that ``who``, a node downstream, can bear from flows built at run time.

    ``strict`` says that a looser flow is an error. Otherwise the run only loses its position.
    """

    order: Order
    who: Node
    strict: bool


@dataclass(slots=True, eq=False)
class Site:
    """Where a node is started: its vertex, the run, and the states to start from.

    ``tracked`` says that downstream holds items and needs positions inside each chunk. ``skipping`` is the
    ``on_error_skip`` downstream, if there is one. ``positioned`` says that something downstream needs the
    positions of this node, and ``promise`` which order. ``depth`` is how many stages downstream are called on
    the same Python stack.
    """

    vertex: Vertex
    run: Run
    states: Mapping[str, Any]
    tracked: bool = False
    skipping: Skipping | None = None
    positioned: bool = False
    promise: Promise | None = None
    depth: int = 0

    @property
    def state(self) -> JSON:
        """The state that this node starts from; ``None`` at the beginning."""
        return self.states.get(self.vertex.id)

    def start(self) -> Upstream[Any]:
        """Start the node of this site."""
        if self.depth < DEEPEST:
            return self.vertex.node.start(self)
        return Cut(self)

    def input(
        self, index: int = 0, states: Mapping[str, Any] | None = None, *, tracked: bool = True
    ) -> Upstream[Any]:
        """Start an input of this node, from this site's states unless others are given."""
        return self.above(index, states, tracked=tracked).start()

    def above(self, index: int = 0, states: Mapping[str, Any] | None = None, *, tracked: bool = True) -> Site:
        """Return the site of an input of this node."""
        states, node = self.states if states is None else evaluated(states), self.vertex.node
        skipping = None if node.catches_errors else self.skipping
        positioned = self.positioned or node.restarts
        promise = Promise(Order.EXACT, node, positioned) if node.relies_on_order else self.promise
        vertex, depth = self.vertex.inputs[index], self.depth + 1
        while vertex.node.absent:
            vertex = vertex.inputs[0]
        return Site(vertex, self.run, states, tracked, skipping, positioned, promise, depth)

    def given(self, *inputs: int) -> States:
        """Return the states to start from of some inputs, with all nodes above them."""
        return {
            vertex.id: self.states[vertex.id]
            for index in (inputs if self.states else ())
            for vertex in self.vertex.inputs[index].within()
            if vertex.id in self.states
        }
