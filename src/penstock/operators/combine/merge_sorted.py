"""The operator ``merge_sorted``: sorted flows become one sorted flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.arguments import flag_for, function_for
from penstock.runtime.failures import Failure, calling
from penstock.runtime.functions import Plain
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.run import SLICE, Pace
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.input import Input
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")


def merge_sorted(
    *others: Joinable[T], key: Callable[[T], Any] | None = None, reverse: bool = False
) -> Callable[[Flow[T]], Flow[T]]:
    """Merge sorted flows into one sorted flow, like ``heapq.merge``.

    Of equal items, those of earlier flows come first. Nothing is delivered before each flow has yielded an
    item or ended. It is not checked whether the flows are sorted; if they are not, neither is the result.

    Args:
        others: The flows to merge with.
        key: Returns what to compare; called once for each item. By default the item itself is compared.
        reverse: Whether the flows are sorted from the largest item to the smallest.
    """
    if key is not None:
        function_for("merge_sorted", key, "key")
    flag_for("merge_sorted", reverse=reverse)
    nodes = nodes_of("merge_sorted", others)
    return attach(lambda node: MergeSorted(inputs=(node, *nodes), key=key, reverse=reverse))


@node
class MergeSorted(JoinNode):
    """The least of the inputs' next items; of equal items, that of the first input."""

    operator = "merge_sorted"

    key: Callable[[Any], Any] | None = None
    reverse: bool = False


class _Descending:
    """A key that is compared the other way round, for ``reverse``."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.key == other.key)

    __hash__ = None  # type: ignore[assignment]


@runs(MergeSorted)
class _SortedStage(JoinStage):
    """It has no state: it looks at the inputs' next items without taking them.

    ``_heap`` has the key and the index of each input whose next item is known. ``_unknown`` is how many of
    the others may have one, ``_news`` are those that were not looked at since they told something.
    ``_picks`` are the inputs of the items of the last chunk.
    """

    def __init__(self, site: Site, node: MergeSorted) -> None:
        super().__init__(site)
        self._node = node
        self._heap: list[tuple[Any, int]] = []
        self._unknown = len(self.inputs)
        self._news: list[Input] = []
        self._gone = False  # whether an input that is not known has failed, or was drained
        self._picks: list[int] = []
        self._by = Plain.of(node, node.key)
        self._rank: Callable[[Any], Any] | None = None  # the function of ``_by``, for one slice
        self._plain = node.key is None and not node.reverse
        self._failure: Failure | None = None
        self._pace = Pace()

    def marks(self) -> Marks:
        places, picks = self.places(), tuple(self._picks)

        def at(i: int) -> States:
            return places.states(Counter(picks[:i]))

        return at

    def begin(self) -> None:
        self.start = None
        self._picks = []

    def arrived(self, one: Input) -> None:
        self._news.append(one)

    def collect(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        out: list[Any] = []
        began = self.run.clock.monotonic()
        n = min(n, self._pace.size)
        try:
            with calling(self._node):
                self._pick(out, n)
        except BaseException as error:
            self._failure = Failure(error)
            if not out:
                raise
        spent = self.run.clock.monotonic() - began
        if len(out) == n or spent > SLICE:  # a quick slice that is not full says nothing about a larger one
            self._pace.took(spent)
        return out

    def _pick(self, out: list[Any], n: int) -> None:
        heap, picks, branches, plain = self._heap, self._picks, self.inputs, self._plain
        began, self._rank = len(picks), self._by.function
        try:
            while len(out) < n and self._look() and heap:
                while True:
                    index = heap[0][1]
                    branch = branches[index]
                    out.append(branch.items[branch.taken])
                    picks.append(index)
                    branch.taken += 1
                    if branch.taken >= branch.size:
                        heappop(heap)
                        self._unknown += 1
                        break
                    item = branch.items[branch.taken]
                    heapreplace(heap, (item if plain else self._key(item), index))
                    if len(out) >= n:
                        break
        finally:
            for index in set(picks[began:]):
                branches[index].note()

    def _look(self) -> bool:
        """Look at the next items that have arrived; return whether those of all inputs are known."""
        news = self._news
        while news:
            branch = news[-1]
            if branch.left:
                heappush(self._heap, (self._key(branch.items[branch.taken]), branch.index))
                self._unknown -= 1
            elif branch.over:
                self._unknown -= 1
            else:
                self._gone = True
            news.pop()
        return not self._unknown

    def _key(self, item: Any) -> Any:
        """Return what to compare an item by."""
        key = item if self._rank is None else self._rank(item)
        return _Descending(key) if self._node.reverse else key

    def over(self) -> bool:
        self.throw()
        return self._gone or not (self._unknown or self._heap)
