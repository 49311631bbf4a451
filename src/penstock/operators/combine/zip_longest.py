"""The operator ``zip_longest``: tuples of one item of each flow, to the end of the longest."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

A = TypeVar("A")
B = TypeVar("B")
F = TypeVar("F")
T = TypeVar("T")


@overload
def zip_longest(a: Joinable[A], /) -> Callable[[Flow[T]], Flow[tuple[T | None, A | None]]]: ...
@overload
def zip_longest(a: Joinable[A], /, *, fillvalue: F) -> Callable[[Flow[T]], Flow[tuple[T | F, A | F]]]: ...
@overload
def zip_longest(
    a: Joinable[A], b: Joinable[B], /
) -> Callable[[Flow[T]], Flow[tuple[T | None, A | None, B | None]]]: ...
@overload
def zip_longest(
    a: Joinable[A], b: Joinable[B], /, *, fillvalue: F
) -> Callable[[Flow[T]], Flow[tuple[T | F, A | F, B | F]]]: ...
@overload
def zip_longest(
    *others: Joinable[Any], fillvalue: object = None
) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def zip_longest(*others: Joinable[Any], fillvalue: object = None) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield tuples of the first items of all flows, and so on, to the end of the longest flow.

    ``fillvalue`` stands for the items of flows that have ended. All flows are requested from at the same
    time, for no more items than are requested here.
    """
    nodes = nodes_of("zip_longest", others)
    return attach(lambda node: ZipLongest(inputs=(node, *nodes), fillvalue=fillvalue))


@node
class ZipLongest(JoinNode):
    """Tuples of one item of each input; it ends with the last input that ends."""

    operator = "zip_longest"

    fillvalue: object = None


@runs(ZipLongest)
class _ZipLongestStage(JoinStage):
    """It has no state: an input that has ended stands at its end."""

    def __init__(self, site: Site, node: ZipLongest) -> None:
        super().__init__(site)
        self._fill = node.fillvalue
        self._live: list[bool] = []  # which inputs gave an item to each tuple of the last chunk

    def marks(self) -> Marks:
        places, live = self.places(), self._live if self.start is not None else [False] * len(self.inputs)
        return lambda i: places_of(places, [i if one else 0 for one in live])

    def collect(self, n: int) -> list[Any]:
        if self.waits():
            return []
        live = [not branch.over for branch in self.inputs]
        left = [branch.left for branch, one in builtins.zip(self.inputs, live, strict=True) if one]
        count = min(n, *left) if left else 0
        if not count:
            return []
        self._live = live
        columns = [
            branch.take(count) if one else [self._fill] * count
            for branch, one in builtins.zip(self.inputs, live, strict=True)
        ]
        return list(builtins.zip(*columns, strict=True))

    def over(self) -> bool:
        self.throw()
        drained = any(branch.drained and not branch.left for branch in self.inputs)
        return drained or all(branch.over for branch in self.inputs)
