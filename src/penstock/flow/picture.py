"""The picture of a flow: its nodes and edges as plain data, as text, as Mermaid and as SVG."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from penstock.flow.drawing import Drawing, plain
from penstock.flow.folding import sketch_of
from penstock.redact import redact
from penstock.runtime.facts import bound_of, evaluation
from penstock.runtime.graph import runs_of
from penstock.text import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.abc import StageStatistics, Statistics
    from penstock.runtime.node import Node, Vertex
    from penstock.runtime.order import Order


__all__ = ["Edge", "Graph", "GraphNode", "graph_of"]


LONGEST = 48
"""The most characters of a parameter that are shown."""

SIZED = (list, tuple, dict, set, frozenset, bytes, bytearray, range)
"""The types of parameters of which the size is shown."""

MOST_BOUNDS = 100_000
"""After so many steps the bounds left are not computed: thousands of chained windows would need millions."""

LEVELS = 24
"""How many levels of the tree are shown below each other; what stands deeper follows as a tree of its own."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operator or source of a graph.

    ``key`` is its number in the graph, sources first. ``position_id`` is the name of its state in positions,
    or ``None``. ``origin`` is ``file:line`` of where it was assembled. ``depth`` is the number of operators
    between it and the subscriber. ``figures`` are the statistics of its stage, which fused neighbours share.
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
        """The operator and its parameters, written as a call."""
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"{self.operator}({inside})"

    @property
    def holds(self) -> str:
        """``max_in_flight`` as text; ∞ if there is no limit."""
        return "\N{INFINITY}" if math.isinf(self.max_in_flight) else f"{self.max_in_flight:g}"

    @property
    def place(self) -> str:
        """``origin`` without its folders."""
        return self.origin.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Edge:
    """Items go from the node with key ``source`` to the node with key ``target``."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes and edges of a flow; the last node is the one that subscribers see.

    ``str(graph)`` is a text, ``to_mermaid()`` and ``to_svg()`` are pictures; notebooks show the SVG.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[Edge, ...]
    statistics: Statistics | None = None
    bound: Callable[[int], float] = field(repr=False, compare=False, default=lambda _: math.inf)
    _above: list[list[int]] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        self._above.extend([] for _ in self.nodes)
        for edge in self.edges:
            self._above[edge.target].append(edge.source)

    def max_in_flight(self, n: int = 1) -> float:
        """Return the most source items that can be in flight while ``n`` are requested (law 1)."""
        return self.bound(n)

    def inputs(self, key: int) -> list[GraphNode]:
        """Return the nodes that feed a node, in order."""
        return [self.nodes[source] for source in self._above[key]]

    def with_statistics(self, statistics: Statistics) -> Graph:
        """Return the same graph with the statistics of a run of it.

        Raises:
            ValueError: the statistics are from another graph.
        """
        owners = {key: stage for stage in statistics.stages for key in stage.nodes}
        if not set(owners) <= {node.key for node in self.nodes}:
            here = len(self.nodes)
            msg = f"these statistics are from another graph: it has {max(owners) + 1} nodes, this one {here}"
            raise ValueError(msg)
        nodes = tuple(replace(node, figures=owners.get(node.key)) for node in self.nodes)
        return replace(self, nodes=nodes, statistics=statistics)

    def to_mermaid(self) -> str:
        """Return a Mermaid flowchart (mermaid.js.org), sources at the top."""
        lines = ["flowchart TD"]
        for node in self.nodes:
            label = "<br/>".join(_for_mermaid(line) for line in _label(self, node))
            lines.append(f'    n{node.key}["{label}"]')
        lines += [f"    n{edge.source} --> n{edge.target}" for edge in self.edges]
        slowest = _slowest(self)
        if slowest:
            lines.append("    classDef slowest fill:#fde8d8,stroke:#c05621")
            lines.append(f"    class {','.join(f'n{key}' for key in sorted(slowest))} slowest")
        return "\n".join(lines) + "\n"

    def to_svg(self, most: int | None = 40) -> str:
        """Return a picture as SVG; needs no other library.

        The picture of a graph of more than ``most`` nodes is folded: a box stands for a part of a long chain,
        or for many inputs of a join, and says what it holds. ``None`` draws every node.
        """
        room = len(self.nodes) if most is None else most
        return Drawing(
            sketch_of(self, [_label(self, node) for node in self.nodes], _slowest(self), room)
        ).svg()

    def __str__(self) -> str:
        rows = list(_rows(self))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        slowest = self.statistics.bottleneck if self.statistics else None
        return "\n".join([*lines, f"bottleneck: {slowest}"] if slowest else lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.to_svg(), "text/plain": str(self)}


def graph_of(root: Node) -> Graph:
    """Describe the graph that ends with ``root``.

    Nodes above a shared node are there once, whatever the number of branches that they feed.
    """
    lasts = runs_of(root)
    vertices = [vertex for last in lasts for vertex in last.run]
    keys = {vertex: key for key, vertex in enumerate(vertices)}
    feeding = {last.node: keys[last] for last in lasts}
    edges: list[Edge] = []
    for key, vertex in enumerate(vertices):
        shared = vertex.node.inputs if vertex.node.shared else ()
        sources = [*(keys[above] for above in vertex.inputs), *(feeding[node] for node in shared)]
        edges += [Edge(source, key) for source in sources]
    depths = [0] * len(vertices)
    for edge in reversed(edges):  # a target follows its sources, so its own depth is known
        depths[edge.source] = max(depths[edge.source], depths[edge.target] + 1)
    with evaluation() as known:
        bound_of(root, 1)
        nodes = []
        for key, vertex in enumerate(vertices):
            held = bound_of(vertex.node, 1) if len(known.results) < MOST_BOUNDS else math.inf
            nodes.append(_described(vertex, key, depths[key], held))
    return Graph(tuple(nodes), tuple(edges), bound=root.bound)


def _described(vertex: Vertex, key: int, depth: int, held: float) -> GraphNode:
    node = vertex.node
    return GraphNode(
        key,
        node.operator,
        {name: _shown(value) for name, value in node.parameters.items()},
        node.origin,
        node.name,
        node.order,
        node.obstacle is None,
        vertex.id or None,
        depth,
        held,
    )


def _shown(value: Any) -> str:
    """Return a parameter, short and on one line: the name of a function, the type of an object.

    Of a collection only the size is shown: it may be large, or hold secrets.
    """
    if isinstance(value, Callable):  # type: ignore[arg-type]  # a class for isinstance, a form for mypy
        result = getattr(value, "__qualname__", type(value).__name__).rpartition(".<locals>.")[2]
    elif value is None or isinstance(value, bool | int | float | str | range):
        result = redact(repr(value.value if isinstance(value, Enum) else value))
    elif isinstance(value, SIZED):  # the length of an object of the user may be costly, or an error
        result = f"<{len(value):,} items>"
    else:
        result = type(value).__name__
    result = plain(result)
    return result if len(result) <= LONGEST else result[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _rows(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the text: a tree with the last node on top.

    A node that feeds several others, or stands too deep, has its key in brackets. In all places but one, its
    row says where it is shown.
    """
    fed = Counter(edge.source for edge in graph.edges)
    shown: set[int] = set()
    later = deque([len(graph.nodes) - 1])
    while later:
        first = later.popleft()
        stack = [(first, "", "", 0)]
        while stack:
            key, lead, below, level = stack.pop()
            node = graph.nodes[key]
            deep = level > LEVELS and bool(graph.inputs(key))
            label = f" [{key}]" if deep or fed[key] > 1 or (key == first and level == 0 and shown) else ""
            facts = _facts(graph, node)
            if deep or key in shown:
                where = "shown above" if key in shown else "shown below"
                yield lead + node.title + label, where, *("" for _ in facts[1:])
                later += [key] if where == "shown below" and key not in later else []
                continue
            shown.add(key)
            yield lead + node.title + label, *facts
            inputs = [one.key for one in graph.inputs(key)]
            ends = [("├─ ", "│  ")] * (len(inputs) - 1) + [("└─ ", "   ")]
            rows = zip(inputs, ends, strict=False)
            stack += reversed([(k, below + corner, below + line, level + 1) for k, (corner, line) in rows])


def _facts(graph: Graph, node: GraphNode) -> tuple[str, ...]:
    resumable = "resumable" if node.resumable else "not resumable"
    facts = (node.place, f"holds {node.holds}", node.order.value, resumable)
    return (*facts, *_figures(node)) if graph.statistics else facts


def _figures(node: GraphNode) -> tuple[str, ...]:
    figures = node.figures
    if figures is None:
        return ("not run", "", "", "", "")
    return (
        f"requested {figures.requested:,}",
        f"delivered {figures.delivered:,}",
        f"buffered {figures.buffered:,}" + (f", dropped {figures.dropped:,}" if figures.dropped else ""),
        f"busy {milliseconds(figures.busy)}",
        f"waited up {milliseconds(figures.upstream)}, down {milliseconds(figures.idle)}",
    )


def _for_mermaid(line: str) -> str:
    """Mermaid's labels take HTML entities, written with # for &."""
    return "".join(c if c.isalnum() or c in " .,:=_-+/()∞…" else f"#{ord(c)};" for c in line)


def _label(graph: Graph, node: GraphNode) -> list[str]:
    lines = [node.title, " · ".join(filter(None, (node.place, f"holds {node.holds}")))]
    if graph.statistics:
        figures = _figures(node)
        lines += [" · ".join(part for part in figures[:3] if part)]
        lines += [" · ".join(figures[3:])] if figures[3] else []
    return lines


def _slowest(graph: Graph) -> set[int]:
    stage = graph.statistics.slowest if graph.statistics else None
    return set(stage.nodes) if stage else set()
