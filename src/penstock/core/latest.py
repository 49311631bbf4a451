"""Stages that remember the latest item of an input: ``combine_latest`` and its like.

What they give depends on when items come, so their order is timed. No item is in a position: an input's
position stands *before* the latest item that is remembered of it, and the state lists those inputs, so that
a resumed run reads these items again, silently, before anything else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.branches import JoinStage
from penstock.core.joining import JoinNode
from penstock.core.node import Node, Order
from penstock.core.run import LARGEST_SLICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.core.branches import Place
    from penstock.core.graph import Site
    from penstock.core.stage import Marks, Stage, States

__all__ = ["CombineLatest", "WithLatestFrom"]

NONE: Any = object()
"""Stands for the latest item of an input that has given none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZipLatest(CombineLatest):
    """The same by the name, and with the defaults, that aiostream's users know."""

    operator = "zip_latest"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WithLatestFrom(LatestNode):
    """Each item of the first input with the latest items of the others."""

    operator = "with_latest_from"

    def start(self, site: Site) -> Stage[Any]:
        """Start the inputs; their tasks start with the first request."""
        return _WithLatestStage(site)


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


class _WithLatestStage(_LatestStage):
    """The first input moves as it is read; of the others the latest is remembered."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, NONE)
        self.absent -= 1  # nobody waits for the latest of the first

    def remembers(self, index: int) -> bool:
        return index > 0

    def collect(self, n: int) -> list[Any]:
        if not self.recall():
            return []
        first = self.branches[0]
        for index, branch in enumerate(self.branches):
            if index and branch.left:
                branch.at = branch.size - 1
                self.remember(index)
        self.note()
        if self.absent:
            first.take(first.left)  # as long as one of the others has given nothing, there is nothing to pair
            return []
        items = first.take(n)
        self.steps = [0] * len(items)
        self.ends = list(range(1, len(items) + 1))
        rest = tuple(self.latest[1:])
        return [(item, *rest) for item in items]

    def over(self) -> bool:
        self.throw()
        return self.missing() or self.branches[0].ended
