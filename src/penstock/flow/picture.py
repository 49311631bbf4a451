"""The picture of a flow: its nodes and edges as plain data, as text, as Mermaid and as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from penstock.redact import redact
from penstock.runtime.graph import resolve

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

CHARACTER, LINE, PAD, GAP = 7.2, 16, 10, 28
"""Sizes in the SVG, in pixels: width of a character, height of a line, margin in a box, gap between boxes."""

STYLE = (
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2933}"
    ".box{fill:#f4f7fa;stroke:#7b8794}.source{fill:#e3f4ee;stroke:#2f855a}.slowest{fill:#fde8d8;stroke:#c05621}"
    ".dim{fill:#616e7c}.edge{fill:none;stroke:#7b8794;marker-end:url(#arrow)}"
)


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

    def max_in_flight(self, n: int = 1) -> float:
        """Return the most source items that can be in flight while ``n`` are requested (law 1)."""
        return self.bound(n)

    def inputs(self, key: int) -> list[GraphNode]:
        """Return the nodes that feed a node, in order."""
        return [self.nodes[edge.source] for edge in self.edges if edge.target == key]

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

    def to_svg(self) -> str:
        """Return a picture as SVG; needs no other library."""
        return _Drawing(self).svg()

    def __str__(self) -> str:
        rows = [(lead + node.title, *_facts(self, node)) for lead, node in _tree(self, len(self.nodes) - 1)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        slowest = self.statistics.bottleneck if self.statistics else None
        return "\n".join([*lines, f"bottleneck: {slowest}"] if slowest else lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.to_svg(), "text/plain": str(self)}


def graph_of(root: Node) -> Graph:
    """Describe the graph that ends with ``root``."""
    vertices = list(resolve(root).walk())
    keys = {id(vertex): key for key, vertex in enumerate(vertices)}
    depths = {id(vertices[-1]): 0}
    for vertex in reversed(vertices):
        depths |= {id(above): depths[id(vertex)] + 1 for above in vertex.inputs}
    edges = [Edge(keys[id(above)], keys[id(vertex)]) for vertex in vertices for above in vertex.inputs]
    nodes = [_described(vertex, keys[id(vertex)], depths[id(vertex)]) for vertex in vertices]
    return Graph(tuple(nodes), tuple(edges), bound=root.bound)


def _described(vertex: Vertex, key: int, depth: int) -> GraphNode:
    node = vertex.node
    return GraphNode(
        key,
        node.operator,
        {name: _shown(value) for name, value in node.parameters.items()},
        node.origin,
        node.name,
        node.order,
        node.obstacle is None,
        vertex.id if node.stateful else None,
        depth,
        node.bound(1),
    )


def _plain(value: str) -> str:
    """Return ``value`` with every character that cannot be printed replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)


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
    result = _plain(result)
    return result if len(result) <= LONGEST else result[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _tree(graph: Graph, key: int, lead: str = "", below: str = "") -> Iterator[tuple[str, GraphNode]]:
    """Yield a node and all nodes above it, each with the lines of the tree before its name."""
    yield lead, graph.nodes[key]
    inputs = graph.inputs(key)
    for i, node in enumerate(inputs, 1):
        corner, line = ("└─ ", "   ") if i == len(inputs) else ("├─ ", "│  ")
        yield from _tree(graph, node.key, below + corner, below + line)


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
        f"busy {_seconds(figures.busy)}",
        f"waited up {_seconds(figures.upstream)}, down {_seconds(figures.idle)}",
    )


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 or not value else f"{value * 1000:.3g} ms"


def _for_mermaid(line: str) -> str:
    """Mermaid's labels take HTML entities, written with # for &."""
    return "".join(c if c.isalnum() or c in " .,:=_-+/()∞…" else f"#{ord(c)};" for c in line)


def _label(graph: Graph, node: GraphNode) -> list[str]:
    lines = [node.title, f"{node.place} · holds {node.holds}"]
    if graph.statistics:
        figures = _figures(node)
        lines += [" · ".join(part for part in figures[:3] if part)]
        lines += [" · ".join(figures[3:])] if figures[3] else []
    return lines


def _slowest(graph: Graph) -> set[int]:
    stage = graph.statistics.slowest if graph.statistics else None
    return set(stage.nodes) if stage else set()


class _Drawing:
    """A graph as SVG: sources at the top, one row for each depth, inputs side by side."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._labels = [_label(graph, node) for node in graph.nodes]
        self._widths = [max(map(len, lines)) * CHARACTER + 2 * PAD for lines in self._labels]
        self._height = max(map(len, self._labels)) * LINE + PAD
        self._rows = max(node.depth for node in graph.nodes) + 1
        self._tops = [(self._rows - 1 - n.depth) * (self._height + GAP) + PAD for n in graph.nodes]
        self._above: list[float] = []  # the width of all inputs of a node, side by side
        self._spans: list[float] = []  # the width of a node with everything above it
        for node in graph.nodes:
            spans = [self._spans[one.key] for one in graph.inputs(node.key)]
            self._above.append(sum(spans) + GAP * max(0, len(spans) - 1))
            self._spans.append(max(self._widths[node.key], self._above[-1]))
        self._centres: dict[int, float] = {}
        self._place(len(graph.nodes) - 1, 0.0)

    def svg(self) -> str:
        across = self._spans[-1] + 2 * PAD
        down = self._rows * (self._height + GAP) - GAP + 2 * PAD
        slowest = _slowest(self._graph)
        parts = [self._edge(edge) for edge in self._graph.edges]
        for node in self._graph.nodes:
            kind = "box" if self._graph.inputs(node.key) else "source"
            parts += self._box(node.key, "slowest" if node.key in slowest else kind)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" '
            f'viewBox="0 0 {across:.0f} {down:.0f}" role="img"><title>A Penstock graph</title>'
            f"<style>{STYLE}</style>"
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker></defs>'
            + "".join(parts)
            + "</svg>"
        )

    def _place(self, key: int, left: float) -> None:
        """Put a node below the middle of its inputs, within the span that begins at ``left``."""
        self._centres[key] = left + self._spans[key] / 2 + PAD
        left += (self._spans[key] - self._above[key]) / 2
        for node in self._graph.inputs(key):
            self._place(node.key, left)
            left += self._spans[node.key] + GAP

    def _edge(self, edge: Edge) -> str:
        x1, y1 = self._centres[edge.source], self._tops[edge.source] + self._height
        x2, y2 = self._centres[edge.target], self._tops[edge.target]
        middle = (y1 + y2) / 2
        curve = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
        return f'<path class="edge" d="{curve}"/>'

    def _box(self, key: int, kind: str) -> Iterator[str]:
        width, top = self._widths[key], self._tops[key]
        left = self._centres[key] - width / 2
        yield (
            f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{self._height}" rx="5"/>'
        )
        for i, line in enumerate(self._labels[key]):
            style = ' class="dim"' if i else ' font-weight="bold"'
            x, y = left + PAD, top + LINE * (i + 1)
            yield f'<text{style} x="{x:.1f}" y="{y:.1f}">{html.escape(_plain(line))}</text>'
