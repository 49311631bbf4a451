"""The operator ``zip``: tuples of one item of each flow."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.arguments import flag_for
from penstock.runtime.failures import annotate
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
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")


@overload
def zip(*, strict: bool = False) -> Callable[[Flow[T]], Flow[tuple[T]]]: ...  # noqa: A001
@overload
def zip(a: Joinable[A], /, *, strict: bool = False) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...  # noqa: A001
@overload
def zip(  # noqa: A001
    a: Joinable[A], b: Joinable[B], /, *, strict: bool = False
) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def zip(  # noqa: A001
    a: Joinable[A], b: Joinable[B], c: Joinable[C], /, *, strict: bool = False
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def zip(  # noqa: A001
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], /, *, strict: bool = False
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def zip(*others: Joinable[Any], strict: bool = False) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...  # noqa: A001
def zip(*others: Joinable[Any], strict: bool = False) -> Callable[[Flow[Any]], Flow[Any]]:  # noqa: A001  the field's name
    """Yield tuples of the first items of all flows, then of the second items, and so on.

    It completes with the shortest flow and closes the others at once; items they had fetched beyond that
    are dropped. All flows are requested from at the same time, for no more items than are requested here.

    Args:
        others: The flows whose items follow in each tuple.
        strict: Whether flows of different lengths are a ``ValueError``. To find out, all flows are
            requested from until the lengths are known.
    """
    flag_for("zip", strict=strict)
    nodes = nodes_of("zip", others)
    return attach(lambda node: Zip(inputs=(node, *nodes), strict=strict))


@node
class Zip(JoinNode):
    """Tuples of one item of each input; it ends with the first input that ends."""

    operator = "zip"

    strict: bool = False


@runs(Zip)
class _ZipStage(JoinStage):
    """It has no state, because the positions of its inputs move together."""

    def __init__(self, site: Site, node: Zip) -> None:
        super().__init__(site)
        self._node = node

    def marks(self) -> Marks:
        places, moved = self.places(), self.start is not None
        return lambda i: places_of(places, [i if moved else 0] * len(places))

    def collect(self, n: int) -> list[Any]:
        if self.waits() or self.alive < len(self.inputs):
            return []
        count = min(n, *(branch.left for branch in self.inputs))
        return list(builtins.zip(*(branch.take(count) for branch in self.inputs), strict=True))

    def over(self) -> bool:
        self.throw()
        ended = self.alive < len(self.inputs)
        if not ended or not self._node.strict or self.run.draining:
            return ended
        if any(branch.left for branch in self.inputs):
            short = next(k for k, branch in enumerate(self.inputs) if branch.ended)
            long = next(k for k, branch in enumerate(self.inputs) if branch.left)
            error = ValueError(f"zip(strict=True): input {short} has ended, but input {long} has more items")
            annotate(error, self._node.describe())
            raise error
        return not self.alive
