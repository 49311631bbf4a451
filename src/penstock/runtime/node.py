"""The description of a graph: immutable nodes, each at its place, that know how to start."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from penstock.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.abc import JSON
    from penstock.runtime.run import Run
    from penstock.runtime.skipping import Skipping
    from penstock.runtime.upstream import Upstream


__all__ = ["Node", "Order", "Site", "Vertex", "assembled_at", "node"]


N = TypeVar("N")


class Order(StrEnum):
    """How the items of a flow depend on the schedule of requests (law 5), from strict to loose."""

    EXACT = "exact"
    """The same items in the same order, whatever was requested when."""
    INTERLEAVED = "interleaved"
    """The same multiset; the order of each input is kept."""
    TIMED = "timed"
    """Exact under virtual time with an instant consumer."""
    LOSSY = "lossy"
    """A subsequence."""

    def loosest(self, *others: Order) -> Order:
        """Return the loosest of these."""
        ranks = list(Order)
        return max((self, *others), key=ranks.index)


@dataclass_transform(eq_default=False, kw_only_default=True, frozen_default=True)
def node(cls: type[N]) -> type[N]:
    """Make a subclass of ``Node`` the frozen dataclass that it must be."""
    return dataclass(frozen=True, slots=True, kw_only=True, eq=False)(cls)


@node
class Node(ABC):
    """One operator or source of a graph, as it was asked for.

    Subclasses add their parameters as fields and answer four questions: how do I start, what do I
    hold (``bound``), what of me goes into a position (``stateful``), and how strict is my ``order``.
    """

    operator: ClassVar[str]
    stateful: ClassVar[bool] = False
    """Whether a position holds a state of this node."""
    transparent: ClassVar[bool] = False
    """Whether it may stand behind a checkpoint: it neither holds nor folds items (law 12)."""
    answers: ClassVar[bool] = False
    """Whether it answers all errors above it, so that ``on_error_skip`` does not reach past it."""
    own_order: ClassVar[Order] = Order.EXACT
    hot: ClassVar[bool] = False
    """Whether what stands above runs in a run of its own, so that no position of this one speaks of it."""
    remedy: ClassVar[str] = ""
    """Where this node is an ``obstacle``: why, and what to do instead, for people."""

    inputs: tuple[Node, ...] = ()
    origin: str = ""
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", assembled_at())
        if not self.transparent and any(node.settles for node in self.inputs):
            msg = (
                f"{self.operator} at {self.origin} stands behind a checkpoint, but it holds or folds items, "
                "so that a commit could acknowledge what nobody has received. Put it before the checkpoint; "
                "only map, filter, starmap, flat_map, choose, tap and their like may follow one."
            )
            raise GraphError(msg)

    @abstractmethod
    def start(self, site: Site) -> Upstream[Any]:
        """Return this node running at ``site``; nothing may happen before its first request."""

    def bound(self, n: int) -> float:
        """Return M(n) of law 1: how many source items can be in flight at and above this node."""
        return self.inputs[0].bound(n)

    @property
    def structure(self) -> str:
        """Structural parameters, as they go into the shape of the graph: ``"(2)"``, or nothing."""
        return ""

    @property
    def order(self) -> Order:
        """The order of what leaves this node."""
        return self.own_order.loosest(*(node.order for node in self.inputs))

    @property
    def obstacle(self) -> Node | None:
        """The first node, from here upwards, that cannot give a position; ``None`` if all can."""
        return next((found for node in self.inputs if (found := node.obstacle)), None)

    @property
    def once(self) -> Node | None:
        """The first node, from here upwards, whose input can be read only once; ``None`` if there is none."""
        return next((found for node in self.inputs if (found := node.once)), None)

    @property
    def skippable(self) -> bool:
        """Whether some function, here or above, may fail on an item and go on with the next one."""
        return not self.answers and any(node.skippable for node in self.inputs)

    @property
    def repeatable(self) -> bool:
        """Whether a resumed run begins with the very item that comes next, not just with one of the rest."""
        return all(node.repeatable for node in self.inputs)

    @property
    def settles(self) -> bool:
        """Whether a checkpoint stands at or above this node, with nothing in between that hides it."""
        return any(node.settles for node in self.inputs)

    @property
    def parameters(self) -> dict[str, Any]:
        """What this node was asked for, by the names of its fields; for pictures, never for positions.

        What has the default of its field is left out, as one would when writing the call.
        """
        own = (one for one in fields(self) if one.name not in {"inputs", "origin", "name"})
        asked = ((one.name, getattr(self, one.name), one.default) for one in own)
        return {
            name: value
            for name, value, default in asked
            if value is not None and not (type(value) is type(default) and value == default)
        }

    def describe(self) -> str:
        """Name this operator and where it was assembled, for people."""
        return f"{self.operator} at {self.origin}"


@dataclass(frozen=True, slots=True, eq=False)
class Vertex:
    """A node at its place in one graph; the same node may stand in several places.

    ``id`` is the path of inputs that leads here from the root, the operator's name and structural
    parameters, and the ordinal among the stateful nodes of its path; or the ``name=`` it was given.
    """

    node: Node
    id: str
    ordinal: int
    inputs: tuple[Vertex, ...]

    def walk(self) -> Iterator[Vertex]:
        """Yield this vertex and all above it, sources first."""
        for vertex in self.inputs:
            yield from vertex.walk()
        yield self

    def within(self) -> Iterator[Vertex]:
        """Yield this vertex and all above it that belong to the same run, sources first."""
        for vertex in () if self.node.hot else self.inputs:
            yield from vertex.within()
        yield self

    @property
    def ids(self) -> list[str]:
        """The shape: the ids of all stateful nodes, sources first."""
        return [vertex.id for vertex in self.within() if vertex.node.stateful]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a node is started: its vertex, the run, the states to start from, and what is asked of it.

    ``tracked`` says that downstream holds items and needs a position inside each chunk. ``skipping`` is
    asked, if there is one, when a function of an operator fails on an item.
    """

    vertex: Vertex
    run: Run
    states: Mapping[str, Any]
    tracked: bool = False
    skipping: Skipping | None = None

    @property
    def state(self) -> JSON:
        """The state this node is to start from; ``None`` at the beginning."""
        return self.states.get(self.vertex.id)

    def start(self) -> Upstream[Any]:
        """Start the node that stands here."""
        return self.vertex.node.start(self)

    def input(
        self, index: int = 0, states: Mapping[str, Any] | None = None, *, tracked: bool = True
    ) -> Upstream[Any]:
        """Start an input of this node, from its own states or from others."""
        return self.above(index, states, tracked=tracked).start()

    def above(self, index: int = 0, states: Mapping[str, Any] | None = None, *, tracked: bool = True) -> Site:
        """Return the site of an input of this node."""
        states = self.states if states is None else states
        skipping = None if self.vertex.node.answers else self.skipping
        return Site(self.vertex.inputs[index], self.run, states, tracked, skipping)


def assembled_at() -> str:
    """Return ``file:line`` of the nearest caller outside of Penstock (not counting its testkit)."""
    frame = sys._getframe(1)  # noqa: SLF001  the documented way to look at one frame without building a stack
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        own = module == "penstock" or module.startswith("penstock.")
        if module != "dataclasses" and frame.f_code.co_filename != "<string>" and not own:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "penstock"
