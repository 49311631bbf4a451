"""From nodes to a running graph: ids, the shape of positions, and starting stages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError, NotResumable, PositionError

if TYPE_CHECKING:
    from penstock.abc import JSON, Position
    from penstock.runtime.node import Node
    from penstock.runtime.run import Run
    from penstock.runtime.skipping import Skipping
    from penstock.runtime.stage import Stage, States


__all__ = ["Site", "Vertex", "position_of", "refuse_once", "require_resumable", "resolve", "states_of"]


VERSION = 1


def refuse_once(node: Node) -> None:
    """Refuse, for a node that starts its upstream again, an upstream that can be read only once."""
    once = node.once
    if once is not None:
        msg = (
            f"{node.describe()} starts its upstream again, but {once.describe()} can be read only "
            "once: pass a function that makes a new iterator each time, rows instead of rows()"
        )
        raise NotResumable(msg)


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


def resolve(root: Node) -> Vertex:
    """Give every node of a graph its id.

    Raises:
        GraphError: two nodes were given the same ``name=``.
    """
    vertex = _resolve(root, "")
    seen: set[str] = set()
    for name in vertex.ids:
        if name in seen:
            msg = f"two operators of this graph have the position id {name!r}: give each its own name="
            raise GraphError(msg)
        seen.add(name)
    return vertex


def _resolve(node: Node, path: str) -> Vertex:
    if len(node.inputs) == 1:
        inputs: tuple[Vertex, ...] = (_resolve(node.inputs[0], path),)
        ordinal = inputs[0].ordinal
    else:
        inputs = tuple(_resolve(child, f"{path}{i}.") for i, child in enumerate(node.inputs))
        ordinal = 0
    own = node.name or f"{path}{node.operator}{node.structure}#{ordinal}"
    return Vertex(node, own, ordinal + node.stateful, inputs)


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

    def start(self) -> Stage[Any]:
        """Start the node that stands here."""
        return self.vertex.node.start(self)

    def input(
        self, index: int = 0, states: Mapping[str, Any] | None = None, *, tracked: bool = True
    ) -> Stage[Any]:
        """Start an input of this node, from its own states or from others."""
        return self.above(index, states, tracked=tracked).start()

    def above(self, index: int = 0, states: Mapping[str, Any] | None = None, *, tracked: bool = True) -> Site:
        """Return the site of an input of this node."""
        states = self.states if states is None else states
        skipping = None if self.vertex.node.answers else self.skipping
        return Site(self.vertex.inputs[index], self.run, states, tracked, skipping)


def require_resumable(root: Node, who: str) -> None:
    """Raise ``NotResumable`` if some node at or above ``root`` cannot give a position."""
    obstacle = root.obstacle
    if obstacle is not None:
        remedy = obstacle.remedy and f": {obstacle.remedy}"
        msg = f"{who} needs a position, but {obstacle.describe()} cannot give one{remedy}"
        raise NotResumable(msg)


def position_of(root: Vertex, states: States) -> Position:
    """Wrap states as a position: plain JSON that shares nothing with the running graph.

    Raises:
        PositionError: the state of some operator is not JSON.
    """
    nodes: dict[str, Any] = {}
    for vertex in root.walk():
        if vertex.node.stateful:
            try:
                nodes[vertex.id] = json.loads(json.dumps(states.get(vertex.id)))
            except (TypeError, ValueError) as error:
                msg = (
                    f"the state of {vertex.node.describe()} is not JSON, so no position can be taken: "
                    f"{error}. Keep it to numbers, strings, booleans, None, lists and dicts with string keys."
                )
                raise PositionError(msg) from error
    return {"v": VERSION, "nodes": nodes}


def states_of(root: Vertex, position: Position) -> States:
    """Unwrap a position, refusing one that belongs to another graph and saying what differs."""
    if not isinstance(position, Mapping) or position.get("v") != VERSION or "nodes" not in position:
        msg = f"this is not a position of version {VERSION}: {str(position)[:200]}"
        raise PositionError(msg)
    nodes = position["nodes"]
    wanted = root.ids
    if set(nodes) != set(wanted):
        added = ", ".join(i for i in wanted if i not in nodes) or "nothing"
        gone = ", ".join(i for i in nodes if i not in set(wanted)) or "nothing"
        msg = (
            f"this position belongs to another graph: the flow has {added} that the position lacks, "
            f"and lacks {gone} that the position has. Start without it, or build the flow it came from."
        )
        raise PositionError(msg)
    return {key: value for key, value in nodes.items() if value is not None}
