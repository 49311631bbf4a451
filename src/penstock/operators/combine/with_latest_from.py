"""``with_latest_from``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.combine_latest import NONE, LatestNode, _LatestStage
from penstock.runtime.node import node

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["WithLatestFrom", "with_latest_from"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")


@overload
def with_latest_from(a: Flow[A], /) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...
@overload
def with_latest_from(a: Flow[A], b: Flow[B], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def with_latest_from(
    a: Flow[A], b: Flow[B], c: Flow[C], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def with_latest_from(
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def with_latest_from(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def with_latest_from(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield each item of this flow in a tuple with the latest items of ``others``.

    Items that come before each of the others has given one are dropped. It completes with this flow,
    and closes the others at once, or as soon as one of the others completes without an item. An error of
    any flow is raised at once. A position stands before the latest items, which a resumed run reads again.
    """
    nodes = nodes_of("with_latest_from", others)
    return attach(lambda node: WithLatestFrom(inputs=(node, *nodes)))


@node
class WithLatestFrom(LatestNode):
    """Each item of the first input with the latest items of the others."""

    operator = "with_latest_from"

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _WithLatestStage(site)


class _WithLatestStage(_LatestStage):
    """The first input moves as it is read; of the others the latest is remembered."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, NONE)
        self.absent -= 1  # nobody waits for the latest of the first

    def remembers(self, index: int) -> bool:
        return index > 0

    def collect(self, n: int) -> list[Any]:
        if not self.recall():
            return []
        first = self.branches[0]
        for index, branch in enumerate(self.branches):
            if index and branch.left:
                branch.at = branch.size - 1
                self.remember(index)
        self.note()
        if self.absent:
            first.take(first.left)  # as long as one of the others has given nothing, there is nothing to pair
            return []
        items = first.take(n)
        self.steps = [0] * len(items)
        self.ends = list(range(1, len(items) + 1))
        rest = tuple(self.latest[1:])
        return [(item, *rest) for item in items]

    def over(self) -> bool:
        self.throw()
        return self.missing() or self.branches[0].ended
