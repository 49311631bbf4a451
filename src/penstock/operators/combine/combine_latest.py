"""``combine_latest`` and ``zip_latest``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import Order, node
from penstock.runtime.run import LARGEST_SLICE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks, States

    Place = tuple[Marks, int]


__all__ = ["CombineLatest", "combine_latest", "zip_latest"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")

NONE: Any = object()
"""Stands for the latest item of an input that has given none."""


@overload
def combine_latest() -> Callable[[Flow[T]], Flow[tuple[T]]]: ...
@overload
def combine_latest(a: Flow[A], /) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], c: Flow[C], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def combine_latest(
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def combine_latest(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def combine_latest(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield a tuple of the latest items of all flows whenever one of them gives an item.

    It begins when each has given one; items that a newer one replaces before that are dropped, later ones
    never. It completes when all have completed, or as soon as one completes without an item. Flows that
    have items ready take turns.

    A position holds none of the items: it stands before the latest one of each flow, which a resumed run
    reads again first. Which items meet after that is a matter of time, as ever.
    """
    nodes = nodes_of("combine_latest", others)
    return attach(lambda node: CombineLatest(inputs=(node, *nodes)))


@overload
def zip_latest(
    a: Flow[A], /, *, partial: bool = True, default: None = None
) -> Callable[[Flow[T]], Flow[tuple[T | None, A | None]]]: ...
@overload
def zip_latest(
    a: Flow[A], /, *, partial: bool = True, default: D
) -> Callable[[Flow[T]], Flow[tuple[T | D, A | D]]]: ...
@overload
def zip_latest(
    *others: Flow[Any], partial: bool = True, default: Any = None
) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def zip_latest(
    *others: Flow[Any], partial: bool = True, default: Any = None
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield what ``combine_latest`` does, by aiostream's name and from the first item on.

    Args:
        others: The flows whose latest items follow in each tuple.
        partial: Whether tuples come before all flows have given an item; if false, this is
            ``combine_latest``.
        default: What stands for a flow that has given no item yet.
    """
    nodes = nodes_of("zip_latest", others)
    return attach(lambda node: ZipLatest(inputs=(node, *nodes), partial=partial, default=default))


@node
class LatestNode(JoinNode):
    """A node that remembers one item of each of several inputs."""

    own_order = Order.TIMED
    stateful = True

    def bound(self, n: int) -> float:
        """Return the sum of M_i(n) + 1: of each input one more item may wait for those of the others."""
        return JoinNode.bound(self, n) + len(self.inputs)

    @property
    def obstacle(self) -> Node | None:
        """This node, if a resumed run might not read again the very items that were the latest."""
        above = next((found for node in self.inputs if (found := node.obstacle)), None)
        return above or (None if all(node.repeatable for node in self.inputs) else self)

    @property
    def repeatable(self) -> bool:
        """False: which input gives the next item is a matter of time."""
        return False


@node
class CombineLatest(LatestNode):
    """A tuple of the latest items of all inputs whenever one of them gives an item.

    ``partial`` says that it does not wait until all have given one, and fills up with ``default``.
    """

    operator = "combine_latest"

    default: Any = None
    partial: bool = False

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _CombineStage(site, self.default if self.partial else NONE)


@node
class ZipLatest(CombineLatest):
    """The same by the name, and with the defaults, that aiostream's users know."""

    operator = "zip_latest"


class _LatestStage(JoinStage):
    """``latest`` are the remembered items, ``behind`` the places before them.

    ``_owed`` are the inputs of which a resumed run has yet to read the latest item again.
    ``_steps`` says of which inputs the items were that went into the last chunk, ``_ends`` how many steps
    there were up to each output.
    """

    def __init__(self, site: Site, missing: Any) -> None:
        super().__init__(site)
        count = len(self.branches)
        self.latest: list[Any] = [missing] * count
        self.behind: list[Place | None] = [None] * count
        self.owed: set[int] = set(site.state or ())
        self.absent = count if missing is NONE else 0  # how many inputs have given nothing yet
        self.steps: list[int] = []
        self.ends: list[int] = []
        self._before: tuple[list[Place], list[Place | None]] | None = None

    def begin(self) -> None:
        self.start = self._before = None

    def recall(self) -> bool:
        """Read again what the latest items were; false as long as that is not done."""
        for index in sorted(self.owed):
            branch = self.branches[index]
            if branch.left:
                self.remember(index)
            if branch.over:
                self.owed.discard(index)  # it is not there any more
        return not self.owed

    def note(self) -> None:
        """Begin a chunk: note where everything stands before it."""
        self._before = ([branch.place for branch in self.branches], list(self.behind))
        self.steps, self.ends = [], []

    def remember(self, index: int) -> None:
        """Make the next item of an input the latest one."""
        branch = self.branches[index]
        self.behind[index] = branch.page, branch.at
        if self.latest[index] is NONE:
            self.absent -= 1
        self.latest[index] = branch.items[branch.at]
        branch.at += 1
        self.owed.discard(index)

    def marks(self) -> Marks:
        key, owed, steps, ends = (
            self.site.vertex.id,
            frozenset(self.owed),
            tuple(self.steps),
            tuple(self.ends),
        )
        places, behind = self._places()

        def at(i: int) -> States:
            counts = Counter(steps[: ends[i - 1]] if 0 < i <= len(ends) else ())
            states: States = {}
            held = set(owed)
            for index, (place, before) in enumerate(zip(places, behind, strict=True)):
                page, offset = self.place_of(index, place, before, counts[index])
                states.update(page(offset))
                if self.remembers(index) and (before is not None or counts[index]):
                    held.add(index)
            return {**states, key: sorted(held)}

        return at

    def _places(self) -> tuple[Sequence[Place], Sequence[Place | None]]:
        if self.start is not None and self._before is not None:
            return self._before
        return [branch.place for branch in self.branches], tuple(self.behind)

    def remembers(self, index: int) -> bool:  # noqa: ARG002  for those whose inputs differ
        """Whether the latest item of an input is needed later."""
        return True

    def place_of(self, index: int, place: Place, before: Place | None, count: int) -> Place:
        """Return where an input's position stands behind ``count`` more items of it."""
        page, offset = place
        if not self.remembers(index):
            return page, offset + count
        return (page, offset + count - 1) if count else before or place

    def missing(self) -> bool:
        """Whether an input has ended without an item, or was drained before it gave the latest one again.

        Then nothing can come any more.
        """
        if any(self.branches[index].drained and not self.branches[index].left for index in self.owed):
            return True
        return any(
            branch.over and self.latest[index] is NONE and self.remembers(index)
            for index, branch in enumerate(self.branches)
        )


class _CombineStage(_LatestStage):
    """Takes from the inputs in turn where several have items."""

    def __init__(self, site: Site, missing: Any) -> None:
        super().__init__(site, missing)
        self._turn = 0

    def collect(self, n: int) -> list[Any]:
        if not self.recall():
            return []
        self.note()
        out: list[tuple[Any, ...]] = []
        n = min(n, LARGEST_SLICE)
        count, latest, idle = len(self.branches), self.latest, 0
        while len(out) < n and idle < count:
            index = self._turn
            self._turn = index + 1 if index + 1 < count else 0
            if self.branches[index].left:
                idle = 0
                self.remember(index)
                self.steps.append(index)
                if not self.absent:
                    out.append(tuple(latest))
                    self.ends.append(len(self.steps))
            else:
                idle += 1
        return out

    def over(self) -> bool:
        self.throw()
        return self.missing() or all(branch.ended for branch in self.branches)
