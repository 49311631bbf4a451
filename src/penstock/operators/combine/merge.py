"""``merge``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.runtime.arguments import positive
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import Node, Order, node

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.inputs import Input
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks, States


__all__ = ["Merge", "merge"]

T = TypeVar("T")


def merge(
    *others: Flow[T], max_concurrent: int | None = None, delay_errors: bool = False
) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of all flows as they come; the order within each is kept, and none starves.

    Args:
        others: The flows to merge with.
        max_concurrent: How many flows may run at once, all unless given. The first ones start, and
            whenever one ends, the next one does.
        delay_errors: Whether an error waits until all other flows have ended. Otherwise the first error
            ends the whole as soon as everything that had been fetched before it is delivered.
    """
    if max_concurrent is not None:
        positive("merge", "max_concurrent", max_concurrent)
    nodes = nodes_of("merge", others)
    return attach(
        lambda node: Merge(inputs=(node, *nodes), max_concurrent=max_concurrent, delay_errors=delay_errors)
    )


@node
class Merge(Node):
    """Items of all inputs as they come, ``max_concurrent`` of them at a time; each input keeps its order."""

    operator = "merge"
    own_order = Order.INTERLEAVED
    stateful = True

    max_concurrent: int | None = None
    delay_errors: bool = False

    @property
    def structure(self) -> str:
        """The number of inputs."""
        return f"({len(self.inputs)})"

    def bound(self, n: int) -> float:
        """Return the sum of M_i(n), of the largest ``max_concurrent`` of them."""
        return sum(sorted((node.bound(n) for node in self.inputs), reverse=True)[: self.max_concurrent])

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _MergeStage(site, self)


class _MergeStage(JoinStage):
    """Takes from the branches in turn, so that a busy one cannot starve the others.

    Its state is the branch of the next item where that is known (``None`` elsewhere): a resumed run begins
    with that one, because what stands behind may have been cut in the middle of it.
    """

    def __init__(self, site: Site, node: Merge) -> None:
        super().__init__(site)
        self._most = node.max_concurrent or len(self.branches)
        self._delays = node.delay_errors
        self._first: int | None = (site.state or {}).get("next")
        self._turn = 0
        self._parts: list[tuple[int, int]] = []  # of the last chunk: which branch, how many items

    def marks(self) -> Marks:
        key, parts, first, places = self.site.vertex.id, tuple(self._parts), self._first, self.places()

        def at(i: int) -> States:
            counts = [0] * len(places)
            following = first
            for k, count in parts:
                counts[k] = min(i, count)
                if i < count:
                    following = k
                    break
                i -= count
            return {**places_of(places, counts), key: {"next": following}}

        return at

    def begin(self) -> None:
        self.start = None
        self._parts = []

    def collect(self, n: int) -> list[Any]:
        """Take up to ``n`` held items, beginning with the branch whose turn it is."""
        branches = self.branches
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
        """Take one item of the branch that a resumed run has to begin with."""
        out = self.branches[index].take(1)
        if out:
            self._parts.append((index, 1))
            self._first = None
        return out

    def over(self) -> bool:
        if self._first is not None and self._cut_off(self.branches[self._first]):
            return True
        failed = next((branch.failure for branch in self.branches if branch.failed), None)
        ended = all(branch.ended for branch in self.branches)
        if failed is not None and (ended or not self._delays):
            failed.throw()
        return ended

    @staticmethod
    def _cut_off(first: Input) -> bool:
        """Whether the branch to begin with was drained before its item came; raise what it failed with.

        What the others hold cannot go before that item, so it stays for the next run.
        """
        if first.failed and first.failure is not None:
            first.failure.throw()
        return first.drained and not first.left

    def ask(self, n: int) -> None:
        """Let the first branches that have not ended ask, as many as may run at once."""
        room = self._most
        for branch in self.branches:
            if not branch.ended and room:
                room -= 1
                branch.want(n)
