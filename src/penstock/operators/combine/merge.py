"""The operator ``merge``: the items of several flows as they arrive."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode, counted, raise_failure, take_in_turn
from penstock.runtime.arguments import flag_for, positive
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.input import Input
    from penstock.runtime.node import Node, Site, Vertex
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

    def takes_over(self, other: Node) -> bool:
        """Return whether a stage of this node may run ``other``, one of its inputs, too."""
        if not isinstance(other, Merge) or self.concurrency is not None or other.concurrency is not None:
            return False
        return other.delay_errors == self.delay_errors


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """A merge that a stage runs: its own node, or one that was taken over from the merge ``below``."""

    vertex: Vertex
    below: _Joined | None = None
    branch: int = 0
    """Which input of the merge below it is."""


class _Tree:
    """The merges that one stage runs, and the inputs of them all, as if they were inputs of one merge.

    So an item passes one stage, however deep merges are nested. In a position each merge has its state.
    """

    def __init__(self, site: Site, node: Merge) -> None:
        self.sites: list[Site] = []
        self.merges = [own := _Joined(site.vertex)]
        self._places: list[tuple[_Joined, int]] = []  # of each input
        self._found: dict[tuple[_Joined, int], _Joined | int] = {}
        left = [(site, own, i) for i in reversed(range(len(site.vertex.inputs)))]
        while left:
            below, joined, branch = left.pop()
            above = below.above(branch)
            vertex = above.vertex
            if node.takes_over(vertex.node):
                one = _Joined(vertex, joined, branch)
                self._found[joined, branch] = one
                self.merges.append(one)
                left += [(above, one, i) for i in reversed(range(len(vertex.inputs)))]
            else:
                self._found[joined, branch] = len(self.sites)
                self._places.append((joined, branch))
                self.sites.append(replace(above, depth=site.depth + 1))

    def first(self, states: Mapping[str, Any]) -> int | None:
        """Return the input of the next item, which the states of the merges tell; ``None`` if unknown."""
        here: _Joined | int = self.merges[0]
        while isinstance(here, _Joined):
            branch = (states.get(here.vertex.id) or {}).get("next")
            if branch is None:
                return None
            here = self._found[here, branch]
        return here

    def states(self, following: int | None) -> States:
        """Return the states of the merges, if the next item is that of the input ``following``."""
        states: States = {one.vertex.id: {"next": None} for one in self.merges}
        here, branch = (None, 0) if following is None else self._places[following]
        while here is not None:
            states[here.vertex.id] = {"next": branch}
            branch, here = here.branch, here.below
        return states


@runs(Merge)
class _MergeStage(JoinStage):
    """Takes from the branches in turn, so that a busy one cannot starve the others.

    ``_holding`` are the branches that hold items, in their turns; ``_begun`` is how many were asked.

    Its state is the branch of the next item if that is known, otherwise ``None``. A resumed run begins with
    that branch, because downstream may have stopped in the middle of the item.
    """

    def __init__(self, site: Site, node: Merge) -> None:
        self._tree = _Tree(site, node)
        super().__init__(site)
        self._most = node.concurrency or len(self.inputs)
        self._delays = node.delay_errors
        self._first = self._tree.first(site.states)
        self._holding: deque[Input] = deque()
        self._begun = 0
        self.idle.clear()  # ``ask`` chooses which branches begin
        self._parts: list[tuple[int, int]] = []  # of the last chunk: which branch, how many items

    def sites(self) -> Sequence[Site]:
        return self._tree.sites

    def vertices(self) -> Sequence[Vertex]:
        return [one.vertex for one in reversed(self._tree.merges)]

    def marks(self) -> Marks:
        tree, parts, first, places = self._tree, tuple(self._parts), self._first, self.places()

        def at(i: int) -> States:
            counts, following = counted(parts, i, first)
            return {**places.states(counts), **tree.states(following)}

        return at

    def begin(self) -> None:
        self.start = None
        self._parts = []

    def arrived(self, one: Input) -> None:
        if one.left:
            self._holding.append(one)

    def collect(self, n: int) -> list[Any]:
        """Take up to ``n`` held items, beginning with the branch whose turn it is."""
        if self._first is not None and not self.inputs[self._first].over:
            return self._begin_with(self._first)
        return take_in_turn(self._holding, n, self._parts)

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
        ended = not self.alive
        if ended or not self._delays:
            self.throw()
        return ended

    def ask(self, n: int) -> None:
        """Request from the first ``concurrency`` branches that have not ended."""
        count = len(self.inputs)
        while self._begun < count and self._begun - (count - self.alive) < self._most:
            self.idle[self.inputs[self._begun]] = None
            self._begun += 1
        super().ask(n)
