"""What a graph looks like from outside: its nodes and edges as plain data, also with a run's figures."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sized
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from penstock.redact import redact
from penstock.runtime.graph import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.abc import StageStatistics, Statistics
    from penstock.runtime.node import Node, Order, Vertex


__all__ = ["Edge", "Graph", "GraphNode", "graph_of", "mermaid", "plain", "shown", "svg", "text"]


LONGEST = 48
"""Characters of a parameter that are shown."""

CHARACTER, LINE, PAD, GAP = 7.2, 16, 10, 28
"""Sizes in the SVG, in pixels: a character of 12 px monospace, a line, a box's margin, between boxes."""

STYLE = (
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2933}"
    ".box{fill:#f4f7fa;stroke:#7b8794}.source{fill:#e3f4ee;stroke:#2f855a}.slowest{fill:#fde8d8;stroke:#c05621}"
    ".dim{fill:#616e7c}.edge{fill:none;stroke:#7b8794;marker-end:url(#arrow)}"
)


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
        return mermaid(self)

    def to_svg(self) -> str:
        """Return a picture as SVG, made here: nothing else need be installed."""
        return svg(self)

    def __str__(self) -> str:
        return text(self)

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
        {name: shown(value) for name, value in node.parameters.items()},
        node.origin,
        node.name,
        node.order,
        node.obstacle is None,
        vertex.id if node.stateful else None,
        depth,
        node.bound(1),
    )


def plain(value: str) -> str:
    """Return text with every character that does not print replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)


def shown(value: Any) -> str:
    """Return a parameter, short and on one line: a function by its name, an object by its type.

    Of a collection only the size is told: it may be large, and may hold what is nobody's business.
    """
    if isinstance(value, Callable):  # type: ignore[arg-type]  # a class for isinstance, a form for mypy
        result = getattr(value, "__qualname__", type(value).__name__).rpartition(".<locals>.")[2]
    elif value is None or isinstance(value, bool | int | float | str | range):
        result = redact(repr(value.value if isinstance(value, Enum) else value))
    elif isinstance(value, Sized):
        result = f"<{len(value):,} items>"
    else:
        result = type(value).__name__
    result = plain(result)
    return result if len(result) <= LONGEST else result[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def text(graph: Graph) -> str:
    """Return the graph as a tree: what subscribers see first, what feeds it below."""
    rows = [(lead + node.title, *_facts(graph, node)) for lead, node in _tree(graph)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    slowest = graph.statistics.bottleneck if graph.statistics else None
    return "\n".join([*lines, f"bottleneck: {slowest}"] if slowest else lines)


def _tree(graph: Graph) -> Iterator[tuple[str, GraphNode]]:
    def walk(key: int, here: str, below: str) -> Iterator[tuple[str, GraphNode]]:
        yield here, graph.nodes[key]
        inputs = graph.inputs(key)
        for i, node in enumerate(inputs, 1):
            last = i == len(inputs)
            branch, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
            yield from walk(node.key, below + branch, below + rest)

    yield from walk(graph.nodes[-1].key, "", "")


def _facts(graph: Graph, node: GraphNode) -> tuple[str, ...]:
    facts = (
        node.place,
        f"holds {node.holds}",
        node.order.value,
        "resumable" if node.resumable else "not resumable",
    )
    return (*facts, *_figures(node)) if graph.statistics else facts


def _figures(node: GraphNode) -> tuple[str, ...]:
    figures = node.figures
    if figures is None:
        return ("not run", "", "", "", "")
    return (
        f"requested {figures.requested:,}",
        f"delivered {figures.delivered:,}",
        f"buffered {figures.buffered:,}" + (f", dropped {figures.dropped:,}" if figures.dropped else ""),
        *_times(figures),
    )


def _times(figures: StageStatistics) -> tuple[str, str]:
    waits = f"waited up {_seconds(figures.upstream)}, down {_seconds(figures.idle)}"
    return f"busy {_seconds(figures.busy)}", waits


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 or not value else f"{value * 1000:.3g} ms"


def mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart."""
    lines = ["flowchart TD"]
    for node in graph.nodes:
        label = "<br/>".join(_for_mermaid(line) for line in _label(graph, node))
        lines.append(f'    n{node.key}["{label}"]')
    lines += [f"    n{edge.source} --> n{edge.target}" for edge in graph.edges]
    slowest = _slowest(graph)
    if slowest:
        lines.append("    classDef slowest fill:#fde8d8,stroke:#c05621")
        lines.append(f"    class {','.join(f'n{key}' for key in sorted(slowest))} slowest")
    return "\n".join(lines) + "\n"


def _for_mermaid(line: str) -> str:
    """Mermaid's labels take HTML entities, written with # for &."""
    return "".join(c if c.isalnum() or c in " .,:=_-+/()∞…" else f"#{ord(c)};" for c in line)


def _label(graph: Graph, node: GraphNode) -> list[str]:
    lines = [node.title, f"{node.place} · holds {node.holds}"]
    if graph.statistics:
        figures = _figures(node)
        lines += [" · ".join(part for part in figures[:3] if part)]
        lines += [" · ".join(part for part in figures[3:] if part)] if figures[3] else []
    return lines


def _slowest(graph: Graph) -> set[int]:
    stage = graph.statistics.slowest if graph.statistics else None
    return set(stage.nodes) if stage else set()


def svg(graph: Graph) -> str:
    """Return the graph as SVG: sources on top, one row per step, inputs side by side."""
    labels = {node.key: _label(graph, node) for node in graph.nodes}
    widths = {key: max(map(len, lines)) * CHARACTER + 2 * PAD for key, lines in labels.items()}
    spans = {node.key: _span(graph, node.key, widths) for node in graph.nodes}
    centres: dict[int, float] = {}
    _place(graph, graph.nodes[-1].key, 0.0, spans, centres)
    deepest = max(node.depth for node in graph.nodes)
    height = max(map(len, labels.values())) * LINE + PAD
    top = {node.key: (deepest - node.depth) * (height + GAP) + PAD for node in graph.nodes}
    slowest = _slowest(graph)
    parts = [_edge(centres, top, height, edge.source, edge.target) for edge in graph.edges]
    for node in graph.nodes:
        kind = "slowest" if node.key in slowest else "box" if graph.inputs(node.key) else "source"
        parts += _box(labels[node.key], centres[node.key], top[node.key], widths[node.key], height, kind)
    across, down = spans[graph.nodes[-1].key] + 2 * PAD, (deepest + 1) * (height + GAP) - GAP + 2 * PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" '
        f'viewBox="0 0 {across:.0f} {down:.0f}" role="img"><title>A Penstock graph</title>'
        f"<style>{STYLE}</style>"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker></defs>' + "".join(parts) + "</svg>"
    )


def _span(graph: Graph, key: int, widths: dict[int, float]) -> float:
    """Return how wide a node and all that feeds it is."""
    inputs = graph.inputs(key)
    return max(widths[key], sum(_span(graph, n.key, widths) for n in inputs) + GAP * max(0, len(inputs) - 1))


def _place(graph: Graph, key: int, left: float, spans: dict[int, float], centres: dict[int, float]) -> None:
    """Put a node over the middle of what it takes, and its inputs side by side within that."""
    centres[key] = left + spans[key] / 2 + PAD
    inputs = graph.inputs(key)
    taken = sum(spans[node.key] for node in inputs) + GAP * max(0, len(inputs) - 1)
    left += (spans[key] - taken) / 2
    for node in inputs:
        _place(graph, node.key, left, spans, centres)
        left += spans[node.key] + GAP


def _edge(centres: dict[int, float], top: dict[int, int], height: int, source: int, target: int) -> str:
    x1, y1, x2, y2 = centres[source], top[source] + height, centres[target], top[target]
    middle = (y1 + y2) / 2
    curve = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
    return f'<path class="edge" d="{curve}"/>'


def _box(lines: list[str], centre: float, top: int, width: float, height: int, kind: str) -> list[str]:
    left = centre - width / 2
    parts = [
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height}" rx="5"/>'
    ]
    for i, line in enumerate(lines):
        style = ' class="dim"' if i else ' font-weight="bold"'
        x, y = left + PAD, top + LINE * (i + 1)
        parts.append(f'<text{style} x="{x:.1f}" y="{y:.1f}">{html.escape(plain(line))}</text>')
    return parts
