"""A graph as SVG."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.flow.folding import Sketch

CHARACTER, LINE, PAD, GAP = 7.3, 17, 10, 30
"""Sizes in the SVG, in pixels: width of a character, height of a line, margin in a box, gap between boxes."""

SMALLEST = 0.65
"""A picture that is too wide for its page is made smaller to this scale, and scrolls then."""

WIDEST = 50
"""The most characters of a line; a longer one is broken after a comma or a blank, where possible."""

_LIGHT = "--ink:#1f2933;--dim:#52606d;--box:#f4f7fa;--line:#7b8794;--source:#e3f4ee;--start:#2f855a;"
_LIGHT += "--slow:#fde8d8;--hot:#c05621"
_DARK = "--ink:#e4e7eb;--dim:#a3b1c0;--box:#263039;--line:#7b8794;--source:#173a2f;--start:#48a37c;"
_DARK += "--slow:#56301a;--hot:#ed8936"
STYLE = (
    f".penstock-graph{{{_LIGHT};max-width:100%;height:auto}}"
    f"@media(prefers-color-scheme:dark){{.penstock-graph{{{_DARK}}}}}"
    ".penstock-graph text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--ink)}"
    ".penstock-graph .name{font-weight:bold}.penstock-graph .dim{fill:var(--dim)}"
    ".penstock-graph rect{fill:var(--box);stroke:var(--line)}"
    ".penstock-graph .source{fill:var(--source);stroke:var(--start)}"
    ".penstock-graph .folded{stroke-dasharray:4 3}"
    ".penstock-graph .slowest{fill:var(--slow);stroke:var(--hot);stroke-width:2}"
    ".penstock-graph .edge{fill:none;stroke:#7b8794;stroke-width:1.5}"
    ".penstock-graph .head{fill:#7b8794}"
)
"""Boxes have colours of their own, and edges a grey that is seen on white and on black: a notebook may be
dark on a light desktop, which a picture cannot know. The style has no effect on other pictures of a page."""


class Drawing:
    """A sketch as SVG: sources at the top, one row for each depth, inputs side by side.

    A box that feeds several others stands above the first of the deepest ones.
    """

    def __init__(self, sketch: Sketch) -> None:
        self._sketch = sketch
        self._labels = [list(_broken(box.lines)) for box in sketch.boxes]
        self._widths = [max(len(text) for text, _ in lines) * CHARACTER + 2 * PAD for lines in self._labels]
        self._heights = [len(lines) * LINE + PAD for lines in self._labels]
        self._tops = self._rows()
        self._inputs: list[list[int]] = [[] for _ in sketch.boxes]  # those that stand above a box
        self._place_above()
        self._above: list[float] = []  # the width of all inputs of a box, side by side
        self._spans: list[float] = []  # the width of a box with everything above it
        for key, inputs in enumerate(self._inputs):
            spans = [self._spans[one] for one in inputs]
            self._above.append(sum(spans) + GAP * max(0, len(spans) - 1))
            self._spans.append(max(self._widths[key], self._above[-1]))
        self._centres = self._centred()

    def _rows(self) -> list[float]:
        """Return where each box begins. A row is as high as the highest box in it."""
        boxes = self._sketch.boxes
        highest = [0.0] * (max(box.depth for box in boxes) + 1)
        for box, height in zip(boxes, self._heights, strict=True):
            highest[box.depth] = max(highest[box.depth], height)
        bottoms, at = [0.0] * len(highest), float(PAD)
        for depth in reversed(range(len(highest))):
            bottoms[depth] = at + highest[depth]
            at = bottoms[depth] + GAP
        self._down = at - GAP + PAD
        return [bottoms[box.depth] - height for box, height in zip(boxes, self._heights, strict=True)]

    def _place_above(self) -> None:
        placed: set[int] = set()
        boxes = self._sketch.boxes
        for source, target in self._sketch.edges:
            if boxes[source].depth == boxes[target].depth + 1 and source not in placed:
                placed.add(source)
                self._inputs[target].append(source)

    def _centred(self) -> list[float]:
        """Put each box below the middle of its inputs."""
        lefts = [0.0] * len(self._spans)  # where the span of a box begins
        for key in reversed(range(len(lefts))):
            left = lefts[key] + (self._spans[key] - self._above[key]) / 2
            for one in self._inputs[key]:
                lefts[one] = left
                left += self._spans[one] + GAP
        return [left + span / 2 + PAD for left, span in zip(lefts, self._spans, strict=True)]

    def svg(self) -> str:
        """Return the picture."""
        across, down = self._spans[-1] + 2 * PAD, self._down
        parts = [self._edge(source, target) for source, target in self._sketch.edges]
        for key in range(len(self._sketch.boxes)):
            parts += self._box(key)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="penstock-graph" width="{across:.0f}" '
            f'height="{down:.0f}" viewBox="0 0 {across:.0f} {down:.0f}" '
            f'style="min-width:{across * SMALLEST:.0f}px" role="img">'
            f"<title>A Penstock graph</title><style>{STYLE}</style>" + "".join(parts) + "</svg>"
        )

    def _edge(self, source: int, target: int) -> str:
        x1, y1 = self._centres[source], self._tops[source] + self._heights[source]
        x2, y2 = self._centres[target], self._tops[target] - 2
        boxes = self._sketch.boxes
        is_near = boxes[source].depth == boxes[target].depth + 1
        bent = y2 - 6 if is_near else y1 + GAP  # a long edge turns before the next row, which has other boxes
        middle = (y1 + bent) / 2
        curve = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {bent:.1f}"
        curve += "" if is_near else f"V{y2 - 6:.1f}"
        head = f"M{x2 - 4:.1f} {y2 - 7:.1f}h8l-4 8z"
        return f'<path class="edge" d="{curve}"/><path class="head" d="{head}"/>'

    def _box(self, key: int) -> Iterator[str]:
        width, height, top = self._widths[key], self._heights[key], self._tops[key]
        left = self._centres[key] - width / 2
        style = self._sketch.boxes[key].style
        yield (
            f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{height}" rx="5"/>'
        )
        for i, (line, is_name) in enumerate(self._labels[key]):
            kind, y = "name" if is_name else "dim", top + LINE * (i + 1)
            yield f'<text class="{kind}" x="{left + PAD:.1f}" y="{y:.1f}">{html.escape(plain(line))}</text>'


def _broken(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield lines of at most ``WIDEST`` characters, and whether each belongs to the first one."""
    for number, whole in enumerate(lines):
        line, lead = whole, ""
        while len(lead + line) > WIDEST:
            room = WIDEST - len(lead)
            cut = line.rfind(" ", room // 2, room + 1)
            cut = room if cut < 0 else cut
            yield lead + line[:cut].rstrip(), number == 0
            line, lead = line[cut:].lstrip(), "  "
        yield lead + line, number == 0


def plain(value: str) -> str:
    """Return ``value`` with every character that cannot be printed replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
