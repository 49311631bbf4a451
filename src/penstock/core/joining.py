"""Stages that move several inputs by a rule, whenever their items come; so their order is exact.

They are ``zip``, ``interleave``, ``merge_sorted`` and ``sequence_equal``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Any

from penstock.core.branches import JoinStage, places_of
from penstock.core.node import Node
from penstock.core.notes import Failure, annotate
from penstock.core.run import LARGEST_SLICE, Pace

if TYPE_CHECKING:
    from penstock.core.branches import Branch
    from penstock.core.graph import Site
    from penstock.core.stage import Marks, Stage, States

__all__ = ["Interleave", "JoinNode", "MergeSorted", "SequenceEqual", "Zip"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JoinNode(Node):
    """A node that asks each of several inputs for as much as it is asked for."""

    @property
    def structure(self) -> str:
        """The number of inputs."""
        return f"({len(self.inputs)})"

    def bound(self, n: int) -> float:
        """Return the sum of M_i(n)."""
        return sum(node.bound(n) for node in self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Zip(JoinNode):
    """Tuples of one item of each input; the end with the first input that ends."""

    operator = "zip"

    strict: bool = False

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _ZipStage(site, self)


class _ZipStage(JoinStage):
    """It has no state: the positions of its inputs move together."""

    def __init__(self, site: Site, node: Zip) -> None:
        super().__init__(site)
        self._node = node

    def marks(self) -> Marks:
        places, moved = self.places(), self.start is not None
        return lambda i: places_of(places, [i if moved else 0] * len(places))

    def collect(self, n: int) -> list[Any]:
        count = min(n, *(branch.size - branch.at for branch in self.branches))
        return list(zip(*(branch.take(count) for branch in self.branches), strict=True)) if count else []

    def over(self) -> bool:
        self.throw()
        gone = [branch.ended and not branch.left for branch in self.branches]
        if not self._node.strict or self.run.draining:
            return any(gone)
        if any(gone) and any(branch.left for branch in self.branches):
            short = gone.index(True)
            long = next(k for k, branch in enumerate(self.branches) if branch.left)
            error = ValueError(f"zip(strict=True): input {short} has ended, but input {long} has more items")
            annotate(error, self._node.describe())
            raise error
        return all(gone)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interleave(JoinNode):
    """One item of each input in turn; an input that has ended is passed over."""

    operator = "interleave"
    stateful = True

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _InterleaveStage(site)


class _InterleaveStage(JoinStage):
    """Its state is the input whose turn it is."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._turn: int = site.state or 0
        self._rounds: list[tuple[list[int], int]] = []  # of the last chunk: inputs in turn, how many items

    def marks(self) -> Marks:
        key, places, rounds = self.site.vertex.id, self.places(), tuple(self._rounds)
        following = self._turn

        def at(i: int) -> States:
            counts, turn = [0] * len(places), following
            for turns, total in rounds:
                for k, index in enumerate(turns):
                    counts[index] += _share(min(i, total), k, len(turns))
                if i < total:
                    turn = turns[i % len(turns)]
                    break
                i -= total
            return {**places_of(places, counts), key: turn}

        return at

    def begin(self) -> None:
        self.start = None
        self._rounds = []

    def collect(self, n: int) -> list[Any]:
        out: list[Any] = []
        while len(out) < n and (turns := self._in_turn()):
            width = len(turns)
            total = min(self.branches[index].left * width + k for k, index in enumerate(turns))
            total = min(total, n - len(out))
            if not total:
                break
            part: list[Any] = [None] * total
            for k, index in enumerate(turns):
                part[k::width] = self.branches[index].take(_share(total, k, width))
            self._rounds.append((turns, total))
            self._turn = turns[total % width]
            out += part
        return out

    def _in_turn(self) -> list[int]:
        """Return the inputs that have not ended, beginning with the one whose turn it is."""
        count = len(self.branches)
        turns = ((self._turn + k) % count for k in range(count))
        return [index for index in turns if not self.branches[index].over]

    def over(self) -> bool:
        turns = self._in_turn()
        if not turns:
            return True
        branch = self.branches[turns[0]]
        if branch.failed and branch.failure is not None:
            branch.failure.throw()
        return branch.ended


def _share(total: int, k: int, width: int) -> int:
    """Return how many of ``total`` items in turn are those of the ``k``-th of ``width`` inputs."""
    return (total - k + width - 1) // width


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeSorted(JoinNode):
    """Items of sorted inputs, sorted: the least of the next items, of equals that of the first input."""

    operator = "merge_sorted"

    key: Callable[[Any], Any] | None = None
    reverse: bool = False

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _SortedStage(site, self)


class _Descending:
    """Turns a comparison round, for ``reverse``."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.key == other.key)

    __hash__ = None  # type: ignore[assignment]


class _SortedStage(JoinStage):
    """It has no state: the next items of the inputs are looked at, not taken, so positions stand before them.

    ``_heap`` has the key and the index of each input whose next item is known; ``_unknown`` are the others.
    """

    def __init__(self, site: Site, node: MergeSorted) -> None:
        super().__init__(site)
        self._node = node
        self._heap: list[tuple[Any, int]] = []
        self._unknown = list(range(len(self.branches)))
        self._picks: list[int] = []
        self._plain = node.key is None and not node.reverse
        self._failure: Failure | None = None
        self._pace = Pace()

    def marks(self) -> Marks:
        places, picks = self.places(), tuple(self._picks)

        def at(i: int) -> States:
            counts = Counter(picks[:i])
            return places_of(places, [counts[k] for k in range(len(places))])

        return at

    def begin(self) -> None:
        self.start = None
        self._picks = []

    def collect(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        out: list[Any] = []
        began = self.run.clock.monotonic()
        try:
            self._pick(out, min(n, self._pace.size))
        except Exception as error:
            annotate(error, self._node.describe())
            self._failure = Failure(error)
            if not out:
                raise
        self._pace.took(self.run.clock.monotonic() - began)
        return out

    def _pick(self, out: list[Any], n: int) -> None:
        heap, picks, branches, plain = self._heap, self._picks, self.branches, self._plain
        while len(out) < n and self._look() and heap:
            while True:
                index = heap[0][1]
                branch = branches[index]
                out.append(branch.items[branch.at])
                picks.append(index)
                branch.at += 1
                if branch.at >= branch.size:
                    heappop(heap)
                    self._unknown.append(index)
                    break
                item = branch.items[branch.at]
                heapreplace(heap, (item if plain else self._key(item), index))
                if len(out) >= n:
                    break

    def _look(self) -> bool:
        """Look at the next items of the inputs; false if one of them is not there yet."""
        waiting: list[int] = []
        for index in self._unknown:
            branch = self.branches[index]
            if branch.left:
                heappush(self._heap, (self._key(branch.items[branch.at]), index))
            elif not branch.over:
                waiting.append(index)
        self._unknown = waiting
        return not waiting

    def _key(self, item: Any) -> Any:
        """Return what an item is compared by."""
        node = self._node
        try:
            key = item if node.key is None else node.key(item)
        except StopIteration as error:
            msg = "the key function of merge_sorted raised StopIteration"
            raise RuntimeError(msg) from error
        return _Descending(key) if node.reverse else key

    def over(self) -> bool:
        waiting = [self.branches[index] for index in self._unknown]
        failed = next((branch.failure for branch in waiting if branch.failed), None)
        if failed is not None:
            failed.throw()
        return any(branch.ended for branch in waiting) or not (waiting or self._heap)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequenceEqual(JoinNode):
    """One item: whether two inputs have equal items, and as many."""

    operator = "sequence_equal"
    stateful = True

    equal: Callable[[Any, Any], object] | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002  it compares as fast as it can, whatever was asked for
        """Return M_1(256) + M_2(256)."""
        return JoinNode.bound(self, LARGEST_SLICE)

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _EqualStage(site, self)


class _EqualStage(JoinStage):
    """Its state says whether the answer was given; the positions of the inputs stand behind equal items."""

    def __init__(self, site: Site, node: SequenceEqual) -> None:
        super().__init__(site)
        self._node = node
        self._pace = Pace()
        self._answered = self.done = bool(site.state)

    def marks(self) -> Marks:
        key, places, answered, last = (
            self.site.vertex.id,
            self.places(),
            self._answered,
            self.start is not None,
        )
        none = [0] * len(places)
        return lambda i: {**places_of(places, none), key: answered and (i > 0 or not last)}

    def ask(self, n: int) -> None:  # noqa: ARG002  one item is asked for, but many are needed
        for branch in self.branches:
            branch.want(LARGEST_SLICE)

    def collect(self, n: int) -> list[Any]:  # noqa: ARG002  there is one item at the most
        left, right = self.branches
        while count := min(left.left, right.left, self._pace.size):
            began = self.run.clock.monotonic()
            if not self._compare(left, right, count):
                return self._answer(equal=False)
            self._pace.took(self.run.clock.monotonic() - began)
            if self.run.strained():
                break
        if (left.over and (right.left or right.over)) or (right.over and left.left):
            return self._answer(equal=left.over and right.over)
        return []

    def _compare(self, left: Branch, right: Branch, count: int) -> bool:
        """Move both inputs behind equal items; false if there are others among the next ``count``."""
        equal = self._node.equal
        try:
            for _ in range(count):
                one, other = left.items[left.at], right.items[right.at]
                if not (equal(one, other) if equal is not None else one == other):
                    return False
                left.at += 1
                right.at += 1
        except StopIteration as error:
            msg = "the function of sequence_equal raised StopIteration"
            raised = RuntimeError(msg)
            annotate(raised, self._node.describe())
            raise raised from error
        except Exception as error:
            annotate(error, self._node.describe())
            raise
        return True

    def _answer(self, *, equal: bool) -> list[Any]:
        self._answered = True
        self.finish()
        return [equal]

    def over(self) -> bool:
        self.throw()
        return self.run.draining and any(branch.ended for branch in self.branches)
