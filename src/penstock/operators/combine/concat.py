"""``concat``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.runtime.node import Node, node
from penstock.runtime.stage import Stage, behind
from penstock.runtime.stream import node_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream


__all__ = ["Concat", "concat"]

T = TypeVar("T")


def concat(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Continue with the items of ``others``; each begins when the one before has completed."""
    nodes = tuple(node_of("what concat continues with", other) for other in others)
    return attach(lambda node: Concat(inputs=(node, *nodes)))


@node
class Concat(Node):
    """All items of the first input, then of the next; an input starts when the one before has ended."""

    operator = "concat"
    stateful = True

    @property
    def structure(self) -> str:
        """The number of inputs."""
        return f"({len(self.inputs)})"

    def bound(self, n: int) -> float:
        """Return the largest bound of an input."""
        return max((node.bound(n) for node in self.inputs), default=0)

    def start(self, site: Site) -> Stage[Any]:
        """Start with the first input, or the one a position names."""
        return _ConcatStage(site)


class _ConcatStage(Stage[Any]):
    """Its state is the index of the current input."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._count = len(site.vertex.inputs)
        self._index: int = site.state or 0
        self._others: States = dict(site.states)
        self._current = site.input(self._index) if self._index < self._count else None
        self._done: tuple[Marks, ...] = ()  # of the inputs that have ended

    def upstreams(self) -> Iterator[Upstream[Any]]:
        if self._current is not None:
            yield self._current

    def marks(self) -> Marks:
        key, index, done = self.site.vertex.id, self._index, self._done
        above = self._current.marks() if self._current is not None else None
        rest = {k: v for k, v in self._others.items() if k != key}
        return lambda i: {**rest, **behind(done), **(above(i) if above else {}), key: index}

    async def _request(self, n: int) -> list[Any]:
        while self._current is not None:
            items = await self._current.request(n)
            if items:
                return items
            self._done = (*self._done, self._current.marks())
            self.run.release(self._current.aclose())
            self._index += 1
            draining = self.run.draining
            self._current = (
                self.site.input(self._index) if self._index < self._count and not draining else None
            )
            if draining:
                self._index -= 1  # that input did not end by itself
        return []
