"""The operator ``concat``: the items of several flows, one flow after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.node import node
from penstock.runtime.stage import Stage, behind, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream

T = TypeVar("T")


def concat(*others: Joinable[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Continue with the items of ``others``; each flow starts when the one before has completed."""
    nodes = nodes_of("concat", others)
    return attach(lambda node: Concat(inputs=(node, *nodes)))


@node
class Concat(JoinNode):
    """All items of the first input, then of the next; an input starts when the one before has ended."""

    operator = "concat"
    stateful = True

    def bound(self, n: int) -> float:
        """Return the largest bound of an input."""
        return max((node.bound(n) for node in self.inputs), default=0)


@runs(Concat)
class _ConcatStage(Stage[Any]):
    """Its state is the index of the current input."""

    def __init__(self, site: Site, _: Concat) -> None:
        super().__init__(site)
        self._index: int = site.state or 0
        others = (k for k in range(len(site.vertex.inputs)) if k != self._index)
        self._others: States = site.given(*others)
        self._current = self._start()
        self._done: tuple[Marks, ...] = ()  # of the inputs that have ended

    def _start(self) -> Upstream[Any] | None:
        """Start the input at ``_index``, if there is one."""
        return self.site.input(self._index) if self._index < len(self.site.vertex.inputs) else None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        if self._current is not None:
            yield self._current

    def marks(self) -> Marks:
        key, index, others, done = self.site.vertex.id, self._index, self._others, self._done
        above = self._current.marks() if self._current is not None else None
        return lambda i: {**others, **behind(done), **(above(i) if above else {}), key: index}

    async def _request(self, n: int) -> list[Any]:
        while self._current is not None:
            items = await self._current.request(n)
            if items:
                return items
            self._done = (*self._done, self._current.marks())
            self.run.release(self._current)
            self._current = None
            if not self.run.draining:  # otherwise the input may not have ended by itself
                self._index += 1
                self._current = self._start()
        return []
