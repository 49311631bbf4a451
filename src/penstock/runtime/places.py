"""The keys of nodes in ``flow.graph()``, for the statistics of a run and of the shared runs that feed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.graph import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.abc import StageStatistics
    from penstock.runtime.node import Node, Vertex
    from penstock.runtime.upstream import Upstream


class Places:
    """The keys of the vertices of some runs; each run is entered once."""

    def __init__(self, root: Node) -> None:
        self._bases: dict[Node, int] = {}
        self._keys: dict[Vertex, int] = {}
        self._entered: set[Vertex] = set()
        base = 0
        for last in runs_of(root):
            self._bases[last.node] = base
            base += len(last.run)

    def enter(self, last: Vertex) -> bool:
        """Add the vertices of a run; ``last`` is its last vertex. Return whether they are new."""
        if last in self._entered:
            return False
        self._entered.add(last)
        base = self._bases.get(last.node)
        if base is not None:
            self._keys.update((vertex, base + vertex.index) for vertex in last.run)
        return True

    def keys(self, vertices: Sequence[Vertex]) -> tuple[int, ...]:
        """Return the keys of those vertices that are in the graph; a flow built at run time is not."""
        return tuple(self._keys[vertex] for vertex in vertices if vertex in self._keys)


def figures(stage: Upstream[Any], places: Places) -> Iterator[StageStatistics]:
    """Yield the statistics of all stages above ``stage``, sources first, then its own."""
    stack = [(stage, False)]
    while stack:
        one, reached = stack.pop()
        if not reached:
            stack.append((one, True))
            stack += [(above, False) for above in reversed(list(one.observed(places)))]
        elif (found := one.measured(places)) is not None:
            yield found
