"""The operator ``merge``: the items of several flows as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode, counted, raise_failure
from penstock.runtime.arguments import flag_for, positive
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")


def merge(
    *others: Joinable[T], concurrency: int | None = None, delay_errors: bool = False
) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of all flows as they arrive; the order within each flow is kept.

    No flow starves: those with items ready take turns.

    Args:
        others: The flows to merge with.
        concurrency: How many flows may run at once; all by default. When one ends, the next one starts.
        delay_errors: Whether an error waits until all other flows have ended. Otherwise the first error
            ends the whole flow after everything fetched before the error is delivered.
    """
    if concurrency is not None:
        positive("merge", "concurrency", concurrency)
    flag_for("merge", delay_errors=delay_errors)
    nodes = nodes_of("merge", others)
    return attach(
        lambda node: Merge(inputs=(node, *nodes), concurrency=concurrency, delay_errors=delay_errors)
    )


@node
class Merge(JoinNode):
    """The items of all inputs as they arrive, ``concurrency`` inputs at a time."""

    operator = "merge"
    own_order = Order.INTERLEAVED
    stateful = True

    concurrency: int | None = None
    delay_errors: bool = False

    def bound(self, n: int) -> float:
        """Return the sum of the ``concurrency`` largest M_i(n)."""
        return sum(sorted((node.bound(n) for node in self.inputs), reverse=True)[: self.concurrency])


@runs(Merge)
class _MergeStage(JoinStage):
    """Takes from the branches in turn, so that a busy one cannot starve the others.

    Its state is the branch of the next item if that is known, otherwise ``None``. A resumed run begins with
    that branch, because downstream may have stopped in the middle of the item.
    """

    def __init__(self, site: Site, node: Merge) -> None:
        super().__init__(site)
        self._most = node.concurrency or len(self.inputs)
        self._delays = node.delay_errors
        self._first: int | None = (site.state or {}).get("next")
        self._turn = 0
        self._parts: list[tuple[int, int]] = []  # of the last chunk: which branch, how many items

    def marks(self) -> Marks:
        key, parts, first, places = self.site.vertex.id, tuple(self._parts), self._first, self.places()

        def at(i: int) -> States:
            counts, following = counted(parts, i, first)
            states = places_of(places, [counts[k] for k in range(len(places))])
            return {**states, key: {"next": following}}

        return at

    def begin(self) -> None:
        self.start = None
        self._parts = []

    def collect(self, n: int) -> list[Any]:
        """Take up to ``n`` held items, beginning with the branch whose turn it is."""
        branches = self.inputs
        out: list[Any] = []
        if self._first is not None and not branches[self._first].over:
            return self._begin_with(self._first)
        count = len(branches)
        for k in range(self._turn, self._turn + count):
            index = k if k < count else k - count
            branch = branches[index]
            if branch.at < branch.size:
                items = branch.take(n - len(out))
                self._parts.append((index, len(items)))
                self._turn = index + 1 if index + 1 < count else 0
                if out:
                    out += items
                else:
                    out = items
                if len(out) >= n:
                    break
        return out

    def _begin_with(self, index: int) -> list[Any]:
        """Take one item of the branch with which a resumed run begins."""
        out = self.inputs[index].take(1)
        if out:
            self._parts.append((index, 1))
            self._first = None
        return out

    def over(self) -> bool:
        if self._first is not None:  # items of other branches must not go before its item
            first = self.inputs[self._first]
            raise_failure([first])
            if first.drained and not first.left:
                return True
        ended = all(branch.ended for branch in self.inputs)
        if ended or not self._delays:
            self.throw()
        return ended

    def ask(self, n: int) -> None:
        """Request from the first ``concurrency`` branches that have not ended."""
        room = self._most
        for branch in self.inputs:
            if not branch.ended and room:
                room -= 1
                branch.want(n)
