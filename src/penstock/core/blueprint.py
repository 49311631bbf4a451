"""What a graph looks like from outside: its nodes and edges as plain data, also with a run's figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from penstock.core import drawing
from penstock.core.graph import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.abc import StageStatistics, Statistics
    from penstock.core.graph import Vertex
    from penstock.core.node import Node, Order

__all__ = ["Edge", "Graph", "GraphNode", "graph_of"]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operator or source of a graph.

    ``key`` is its number in the graph, sources first; ``position_id`` the name of its state in positions,
    ``None`` if it has none. ``origin`` is ``file:line`` of where it was assembled, ``depth`` the number of
    operators between it and the subscriber. ``figures`` are those of the stage it ran in, which fused
    neighbours share, if the graph was made with statistics.
    """

    key: int
    operator: str
    parameters: Mapping[str, str]
    origin: str
    name: str | None
    order: Order
    resumable: bool
    position_id: str | None
    depth: int
    max_in_flight: float
    figures: StageStatistics | None = None

    @property
    def title(self) -> str:
        """The operator and its parameters, as one would write the call."""
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"{self.operator}({inside})"

    @property
    def holds(self) -> str:
        """``max_in_flight``, as text: ∞ where nothing bounds it."""
        return "\N{INFINITY}" if math.isinf(self.max_in_flight) else f"{self.max_in_flight:g}"

    @property
    def place(self) -> str:
        """``file:line`` without the folders."""
        return self.origin.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Edge:
    """Items go from the node with key ``source`` to the one with key ``target``."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes and edges of a flow; the last node is what subscribers see.

    It shows itself: ``str(graph)`` as text, ``to_mermaid()``, ``to_svg()``, and in a notebook as a picture.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[Edge, ...]
    statistics: Statistics | None = None
    bound: Callable[[int], float] = field(repr=False, compare=False, default=lambda _: math.inf)

    def max_in_flight(self, n: int = 1) -> float:
        """Return how many source items can be in flight while ``n`` are requested (law 1)."""
        return self.bound(n)

    def inputs(self, key: int) -> list[GraphNode]:
        """Return the nodes that feed a node, in order."""
        return [self.nodes[edge.source] for edge in self.edges if edge.target == key]

    def with_statistics(self, statistics: Statistics) -> Graph:
        """Return the same graph with the figures of a run of it.

        Raises:
            ValueError: the statistics are those of another graph.
        """
        owners = {key: stage for stage in statistics.stages for key in stage.nodes}
        if not set(owners) <= {node.key for node in self.nodes}:
            here = len(self.nodes)
            msg = f"these statistics are of another graph: it has {max(owners) + 1} nodes, this one {here}"
            raise ValueError(msg)
        nodes = tuple(replace(node, figures=owners.get(node.key)) for node in self.nodes)
        return replace(self, nodes=nodes, statistics=statistics)

    def to_mermaid(self) -> str:
        """Return a Mermaid flowchart (mermaid.js.org), from the sources down."""
        return drawing.mermaid(self)

    def to_svg(self) -> str:
        """Return a picture as SVG, made here: nothing else need be installed."""
        return drawing.svg(self)

    def __str__(self) -> str:
        return drawing.text(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.to_svg(), "text/plain": str(self)}


def graph_of(root: Node) -> Graph:
    """Describe the graph that ends with ``root``."""
    vertices = list(resolve(root).walk())
    keys = {id(vertex): key for key, vertex in enumerate(vertices)}
    depths = {id(vertices[-1]): 0}
    edges: list[Edge] = []
    for vertex in reversed(vertices):
        for above in vertex.inputs:
            depths[id(above)] = depths[id(vertex)] + 1
    for vertex in vertices:
        edges += [Edge(keys[id(above)], keys[id(vertex)]) for above in vertex.inputs]
    nodes = tuple(_described(vertex, keys[id(vertex)], depths[id(vertex)]) for vertex in vertices)
    return Graph(nodes, tuple(edges), bound=root.bound)


def _described(vertex: Vertex, key: int, depth: int) -> GraphNode:
    node = vertex.node
    return GraphNode(
        key,
        node.operator,
        {name: drawing.shown(value) for name, value in node.parameters.items()},
        node.origin,
        node.name,
        node.order,
        node.obstacle is None,
        vertex.id if node.stateful else None,
        depth,
        node.bound(1),
    )
