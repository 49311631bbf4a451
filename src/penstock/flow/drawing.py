"""A graph as SVG."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.flow.picture import Edge, Graph

CHARACTER, LINE, PAD, GAP = 7.2, 16, 10, 28
"""Sizes in the SVG, in pixels: width of a character, height of a line, margin in a box, gap between boxes."""

STYLE = (
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2933}"
    ".box{fill:#f4f7fa;stroke:#7b8794}.source{fill:#e3f4ee;stroke:#2f855a}.slowest{fill:#fde8d8;stroke:#c05621}"
    ".dim{fill:#616e7c}.edge{fill:none;stroke:#7b8794;marker-end:url(#arrow)}"
)


class Drawing:
    """A graph as SVG: sources at the top, one row for each depth, inputs side by side.

    ``labels`` are the lines of each node, and ``slowest`` the nodes to highlight. A node that feeds several
    others stands above the first of the deepest ones.
    """

    def __init__(self, graph: Graph, labels: list[list[str]], slowest: set[int]) -> None:
        self._graph = graph
        self._labels = labels
        self._slowest = slowest
        self._widths = [max(map(len, lines)) * CHARACTER + 2 * PAD for lines in labels]
        self._height = max(map(len, labels)) * LINE + PAD
        self._rows = max(node.depth for node in graph.nodes) + 1
        self._tops = [(self._rows - 1 - n.depth) * (self._height + GAP) + PAD for n in graph.nodes]
        self._inputs: list[list[int]] = [[] for _ in graph.nodes]  # those that stand above a node
        self._place_above()
        self._above: list[float] = []  # the width of all inputs of a node, side by side
        self._spans: list[float] = []  # the width of a node with everything above it
        for key, inputs in enumerate(self._inputs):
            spans = [self._spans[one] for one in inputs]
            self._above.append(sum(spans) + GAP * max(0, len(spans) - 1))
            self._spans.append(max(self._widths[key], self._above[-1]))
        self._centres = self._centred()

    def _place_above(self) -> None:
        placed: set[int] = set()
        for edge in self._graph.edges:
            deepest = self._graph.nodes[edge.source].depth == self._graph.nodes[edge.target].depth + 1
            if deepest and edge.source not in placed:
                placed.add(edge.source)
                self._inputs[edge.target].append(edge.source)

    def _centred(self) -> list[float]:
        """Put each node below the middle of its inputs."""
        lefts = [0.0] * len(self._spans)  # where the span of a node begins
        for key in reversed(range(len(lefts))):
            left = lefts[key] + (self._spans[key] - self._above[key]) / 2
            for one in self._inputs[key]:
                lefts[one] = left
                left += self._spans[one] + GAP
        return [left + span / 2 + PAD for left, span in zip(lefts, self._spans, strict=True)]

    def svg(self) -> str:
        """Return the picture."""
        across = self._spans[-1] + 2 * PAD
        down = self._rows * (self._height + GAP) - GAP + 2 * PAD
        parts = [self._edge(edge) for edge in self._graph.edges]
        for node in self._graph.nodes:
            kind = "box" if self._graph.inputs(node.key) else "source"
            parts += self._box(node.key, "slowest" if node.key in self._slowest else kind)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" '
            f'viewBox="0 0 {across:.0f} {down:.0f}" role="img"><title>A Penstock graph</title>'
            f"<style>{STYLE}</style>"
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker></defs>'
            + "".join(parts)
            + "</svg>"
        )

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
            yield f'<text{style} x="{x:.1f}" y="{y:.1f}">{html.escape(plain(line))}</text>'


def plain(value: str) -> str:
    """Return ``value`` with every character that cannot be printed replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
