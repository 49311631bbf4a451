"""The boxes of a picture: one for each node, or, in a large graph, one for many nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from penstock.flow.picture import Graph

AT_AN_END, BESIDE = 2, 2
"""How many nodes are kept at each end of a chain, and how many inputs on each side of a join."""

MOST_KINDS = 3
"""How many operators a folded box names."""

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its ``lines`` of text, its style, and how many boxes stand between it and the last one."""

    lines: list[str]
    style: str
    depth: int


@dataclass(frozen=True, slots=True)
class Sketch:
    """The boxes of a picture, sources first, and its edges as pairs of numbers of boxes."""

    boxes: list[Box]
    edges: list[tuple[int, int]]


class Folding:
    """Which nodes share a box. Folding only happens while there are more boxes than ``most``.

    ``sources[key]`` and ``targets[key]`` are the neighbours of a node; a source has a lower number than its
    target. A box that holds several nodes is a part of a chain, some inputs of a join, or everything that
    stands high above the subscriber. None of these makes a circle.
    """

    def __init__(self, count: int, edges: Iterable[tuple[int, int]], most: int) -> None:
        self.box_of = list(range(count))
        """For each node the first node that shares its box."""
        self._most = most
        self._edges = list(edges)
        self.sources: list[list[int]] = [[] for _ in range(count)]
        self.targets: list[list[int]] = [[] for _ in range(count)]
        for source, target in self._edges:
            self.sources[target].append(source)
            self.targets[source].append(target)
        for fold in (self._fold_chains, self._fold_inputs, self._fold_heights):
            if len(set(self.box_of)) > most:
                fold()

    def _fold_chains(self) -> None:
        """Keep the ends of each long chain: of nodes that have one input and feed one node."""
        inside = [len(self.sources[key]) == 1 == len(self.targets[key]) for key in range(len(self.box_of))]
        done = [False] * len(inside)
        for key, is_inside in enumerate(inside):
            chain = []
            while is_inside and not done[key]:
                done[key] = True
                chain.append(key)
                [key] = self.targets[key]  # noqa: PLW2901  it walks down
                is_inside = inside[key]  # noqa: PLW2901
            self._share(chain[AT_AN_END:-AT_AN_END])

    def _fold_inputs(self) -> None:
        """Keep the outer inputs of each join; the others, with all that feeds only them, share a box."""
        folded: set[int] = set()
        for join in reversed(range(len(self.sources))):
            inputs = [key for key in self.sources[join] if len(self.targets[key]) == 1]
            middle = [] if join in folded else inputs[BESIDE:-BESIDE]
            if len(middle) > 1:
                feeding = self._feeding_only(middle)
                folded.update(feeding)
                self._share(sorted(feeding))

    def _feeding_only(self, keys: Sequence[int]) -> list[int]:
        """Return these nodes, and those above them that feed nothing else."""
        found = list(keys)
        for key in found:
            found += [one for one in self.sources[key] if len(self.targets[one]) == 1]
        return found

    def _fold_heights(self) -> None:
        """Keep the boxes nearest to the subscriber; those above share a box."""
        depths = self._depths()
        levels = Counter(depths[box] for box in set(self.box_of))
        kept, deepest = 0, 0
        while kept + levels[deepest] < self._most:
            kept += levels[deepest]
            deepest += 1
        self._share([key for key, box in enumerate(self.box_of) if depths[box] >= max(deepest, 1)])

    def _depths(self) -> dict[int, int]:
        """Return for each box how many boxes stand between it and the last one."""
        depths = dict.fromkeys(self.box_of, 0)
        waiting = Counter(source for source, _ in self._between())
        above: dict[int, list[int]] = {}
        for source, target in self._between():
            above.setdefault(target, []).append(source)
        ready = [self.box_of[-1]]
        while ready:
            target = ready.pop()
            for source in above.get(target, ()):
                depths[source] = max(depths[source], depths[target] + 1)
                waiting[source] -= 1
                if not waiting[source]:
                    ready.append(source)
        return depths

    def _between(self) -> list[tuple[int, int]]:
        """Return the edges between boxes, each once."""
        pairs = ((self.box_of[source], self.box_of[target]) for source, target in self._edges)
        return list(dict.fromkeys((source, target) for source, target in pairs if source != target))

    def _share(self, keys: Sequence[int]) -> None:
        for key in keys:
            self.box_of[key] = keys[0]

    def sketch(self, box: Callable[[list[int], int], Box]) -> Sketch:
        """Return the boxes, each made by ``box(nodes, depth)``, and the edges between them."""
        depths = self._depths()
        inside: dict[int, list[int]] = {}
        for key, first in enumerate(self.box_of):
            inside.setdefault(first, []).append(key)
        ranked = sorted(inside, key=lambda first: (-depths[first], first))  # a target follows its sources
        number = {first: at for at, first in enumerate(ranked)}
        boxes = [box(inside[first], depths[first]) for first in ranked]
        return Sketch(boxes, [(number[source], number[target]) for source, target in self._between()])


def sketch_of(
    graph: Graph, labels: Mapping[int, list[str]] | Sequence[list[str]], slowest: set[int], most: int
) -> Sketch:
    """Return the boxes of a graph, at most about ``most`` of them; ``slowest`` nodes are highlighted."""

    def box(nodes: list[int], depth: int) -> Box:
        if len(nodes) > 1:
            style = "folded slowest" if slowest & set(nodes) else "folded"
            return Box(_folded(graph, nodes), style, depth)
        [key] = nodes
        kind = "box" if graph.inputs(key) else "source"
        return Box(labels[key], f"{kind} slowest" if key in slowest else kind, depth)

    edges = ((edge.source, edge.target) for edge in graph.edges)
    return Folding(len(graph.nodes), edges, most).sketch(box)


def _folded(graph: Graph, nodes: list[int]) -> list[str]:
    kinds = Counter(graph.nodes[key].operator for key in nodes).most_common()
    named = [f"{name} {TIMES}{count:,}" if count > 1 else name for name, count in kinds[:MOST_KINDS]]
    if len(kinds) > MOST_KINDS:
        named.append("…")
    return [f"… {len(nodes):,} nodes", " · ".join(named)]
