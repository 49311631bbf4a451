"""The operator ``with_latest_from``: each item with the latest items of other flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.combine_latest import LatestNode, LatestStage
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")


@overload
def with_latest_from(a: Joinable[A], /) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...
@overload
def with_latest_from(a: Joinable[A], b: Joinable[B], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def with_latest_from(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def with_latest_from(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def with_latest_from(*others: Joinable[Any]) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def with_latest_from(*others: Joinable[Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield each item of this flow in a tuple with the latest items of ``others``.

    Items that arrive before each of the others has yielded one are dropped. It completes when this flow
    completes, and closes the others at once; it also completes as soon as one of the others completes
    without an item. An error of any flow is raised at once. A position stands before the latest items,
    and a resumed run reads them again.
    """
    nodes = nodes_of("with_latest_from", others)
    return attach(lambda node: WithLatestFrom(inputs=(node, *nodes)))


@node
class WithLatestFrom(LatestNode):
    """Each item of the first input with the latest items of the others."""

    operator = "with_latest_from"


@runs(WithLatestFrom)
class _WithLatestStage(LatestStage):
    """The position of the first input moves with its items; of the others the latest item is remembered."""

    def __init__(self, site: Site, _: WithLatestFrom) -> None:
        super().__init__(site, first=1)

    def advance(self) -> None:
        while self.holding:
            branch = self.holding.popleft()
            if branch.left and branch.index in self.remembered:
                branch.at = branch.size - 1
                self.remember(branch.index)

    def collect(self, n: int) -> list[Any]:
        first = self.inputs[0]
        if self.reread:
            return []
        if self.absent:
            first.take(first.left)  # there is nothing to pair these items with
            return []
        items = first.take(n)
        self.steps = [0] * len(items)
        others = tuple(self.latest[1:])
        return [(item, *others) for item in items]

    def over(self) -> bool:
        self.throw()
        return self.missing() or self.inputs[0].ended
