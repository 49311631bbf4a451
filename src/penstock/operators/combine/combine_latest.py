"""The operators ``combine_latest`` and ``zip_latest``: tuples of the latest items of several flows."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.arguments import flag_for
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.input import Input, Place
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, States

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")

NONE: Any = object()
"""The latest item of an input that has yielded none."""


@overload
def combine_latest() -> Callable[[Flow[T]], Flow[tuple[T]]]: ...
@overload
def combine_latest(a: Joinable[A], /) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...
@overload
def combine_latest(a: Joinable[A], b: Joinable[B], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def combine_latest(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def combine_latest(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def combine_latest(*others: Joinable[Any]) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def combine_latest(*others: Joinable[Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield a tuple of the latest items of all flows each time one of them yields an item.

    The first tuple comes when each flow has yielded an item. Items replaced by a newer one before that are
    dropped, later ones never. It completes when all flows have completed, or as soon as one completes
    without an item. Flows that have items ready take turns.

    A position holds no items: it stands before the latest item of each flow, and a resumed run reads these
    again first. As in any run, timing decides which items meet after that.
    """
    nodes = nodes_of("combine_latest", others)
    return attach(lambda node: CombineLatest(inputs=(node, *nodes)))


@overload
def zip_latest(
    a: Joinable[A], /, *, partial: bool = True, default: None = None
) -> Callable[[Flow[T]], Flow[tuple[T | None, A | None]]]: ...
@overload
def zip_latest(
    a: Joinable[A], /, *, partial: bool = True, default: D
) -> Callable[[Flow[T]], Flow[tuple[T | D, A | D]]]: ...
@overload
def zip_latest(
    *others: Joinable[Any], partial: bool = True, default: Any = None
) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def zip_latest(
    *others: Joinable[Any], partial: bool = True, default: Any = None
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield tuples of the latest items of all flows, from the first item on.

    This is ``combine_latest`` with the name and the defaults of aiostream.

    Args:
        others: The flows whose latest items follow in each tuple.
        partial: If true, the first tuple comes with the first item of any flow, and ``default`` stands for
            the others. If false, it comes when each flow has yielded an item, as in ``combine_latest``.
        default: Stands for a flow that has yielded no item yet.
    """
    flag_for("zip_latest", partial=partial)
    nodes = nodes_of("zip_latest", others)
    return attach(lambda node: ZipLatest(inputs=(node, *nodes), partial=partial, default=default))


@node
class LatestNode(JoinNode):
    """A node that remembers one item of each of several inputs."""

    own_order = Order.TIMED
    stateful = True
    relies_on_order = True

    def bound(self, n: int) -> float:
        """Return the sum of M_i(n) + 1: one more item of each input may wait for those of the others."""
        return JoinNode.bound(self, n) + len(self.inputs)

    @property
    def obstacle(self) -> Node | None:
        """This node, if a resumed run might read other items than those that were the latest."""
        above = next((found for node in self.inputs if (found := node.obstacle)), None)
        return above or (None if all(node.repeatable for node in self.inputs) else self)

    @property
    def repeatable(self) -> bool:
        """False: timing decides which input yields the next item."""
        return False


@node
class CombineLatest(LatestNode):
    """A tuple of the latest items of all inputs each time one of them yields an item.

    If ``partial``, tuples are filled up with ``default`` until all inputs have yielded an item.
    """

    operator = "combine_latest"

    default: Any = None
    partial: bool = False


@node
class ZipLatest(CombineLatest):
    """The same with the name and the defaults of aiostream."""

    operator = "zip_latest"


class LatestStage(JoinStage):
    """Remembers the latest item of each input from number ``first`` on, and where it stands.

    Its state lists the inputs whose latest item a resumed run reads again. ``reread`` are those that are
    not read yet. ``steps`` are the inputs of the items that went into the last chunk: ``lead`` steps without
    an output, then one for each output. ``holding`` are the inputs that hold items, in their turns.
    """

    def __init__(self, site: Site, missing: Any = NONE, *, first: int = 0) -> None:
        super().__init__(site)
        count = len(self.inputs)
        self.remembered = range(first, count)
        self.latest: list[Any] = [missing] * count
        self.origins: list[Place | None] = [None] * count
        self.reread: set[int] = set(site.state or ())
        self.absent = len(self.remembered) if missing is NONE else 0  # inputs that have yielded no item
        self.steps: list[int] = []
        self.lead = 0
        self.holding: deque[Input] = deque()
        self._silent: list[Input] = []  # those that have ended, and perhaps yielded no item
        self._before: tuple[Place | None, ...] = ()  # the origins before the last chunk

    def arrived(self, one: Input) -> None:
        if one.ended:
            self._silent.append(one)
        else:
            self.holding.append(one)

    def prepare(self) -> None:
        """Read again what the latest items were, as far as it has arrived."""
        for index in sorted(self.reread):
            branch = self.inputs[index]
            if branch.left:
                self.remember(index)
            if branch.over:
                self.reread.discard(index)  # the item is gone
        if not self.reread:
            self.advance()
        self._before, self.steps, self.lead = tuple(self.origins), [], 0

    def advance(self) -> None:
        """Move on to newer items that yield no output."""

    def remember(self, index: int) -> None:
        """Make the next item of an input its latest one."""
        branch = self.inputs[index]
        self.origins[index] = branch.page, branch.at
        if self.latest[index] is NONE:
            self.absent -= 1
        self.latest[index] = branch.items[branch.at]
        branch.at += 1
        self.reread.discard(index)

    def marks(self) -> Marks:
        key, reread, remembered = self.site.vertex.id, frozenset(self.reread), self.remembered
        steps, lead, places = tuple(self.steps), self.lead, self.places()
        origins = tuple(self.origins) if self.start is None else self._before

        def at(i: int) -> States:
            counts = Counter(steps[: lead + i] if i else ())
            states: States = {}
            held = set(reread)
            for index, ((page, offset), origin) in enumerate(zip(places, origins, strict=True)):
                count = counts[index]
                if index not in remembered:
                    states.update(page(offset + count))
                elif count:
                    states.update(page(offset + count - 1))
                    held.add(index)
                elif origin is not None:
                    states.update(origin[0](origin[1]))
                    held.add(index)
                else:
                    states.update(page(offset))
            return {**states, key: sorted(held)}

        return at

    def missing(self) -> bool:
        """Whether nothing can follow: an input ended without an item, or was drained before its reread."""
        reread = (self.inputs[index] for index in self.reread)
        self._silent = [one for one in self._silent if self.latest[one.index] is NONE]
        return any(branch.drained and not branch.left for branch in reread) or any(
            one.over and one.index in self.remembered for one in self._silent
        )


@runs(CombineLatest)
class _CombineStage(LatestStage):
    """Takes from the inputs in turn if several have items."""

    def __init__(self, site: Site, node: CombineLatest) -> None:
        super().__init__(site, node.default if node.partial else NONE)

    def collect(self, n: int) -> list[Any]:
        out: list[tuple[Any, ...]] = []
        if self.reread:
            return out
        latest, holding, steps = self.latest, self.holding, self.steps
        while holding and len(out) < n:
            branch = holding.popleft()
            index, at = branch.index, branch.taken
            if at >= branch.size:
                continue
            if self.absent and latest[index] is NONE:
                self.absent -= 1
            latest[index] = branch.items[at]
            branch.taken = at = at + 1
            steps.append(index)
            if not self.absent:
                out.append(tuple(latest))
            if at < branch.size:
                holding.append(branch)
        self.lead = len(steps) - len(out)
        for index in set(steps):
            branch = self.inputs[index]
            self.origins[index] = branch.page, branch.taken - 1
            branch.note()
        return out

    def over(self) -> bool:
        self.throw()
        return self.missing() or not self.alive
