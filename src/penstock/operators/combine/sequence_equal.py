"""The operator ``sequence_equal``: whether two flows have equal items."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import calling
from penstock.runtime.functions import Plain
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import node
from penstock.runtime.run import LARGEST_SLICE, Pace
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks


def sequence_equal(
    other: Joinable[Any], equal: Callable[[Any, Any], object] | None = None
) -> Callable[[Flow[Any]], Flow[bool]]:
    """Yield one item: whether this flow and ``other`` have equal items in the same order.

    At the first difference it yields ``False`` and closes both flows. An error that comes before a
    difference is raised.

    Args:
        other: The flow to compare with.
        equal: ``equal(item, other_item)`` returns whether they are equal; ``==`` by default.
    """
    if equal is not None:
        function_for("sequence_equal", equal, "equal")
    nodes = nodes_of("sequence_equal", (other,))
    return attach(lambda node: SequenceEqual(inputs=(node, *nodes), equal=equal))


@node
class SequenceEqual(JoinNode):
    """One item: whether two inputs have equal items in the same order."""

    operator = "sequence_equal"
    stateful = True

    equal: Callable[[Any, Any], object] | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002  it reads ahead of demand
        """Return M_1(256) + M_2(256)."""
        return JoinNode.bound(self, LARGEST_SLICE)


@runs(SequenceEqual)
class _EqualStage(JoinStage):
    """Its state says whether the answer was delivered; its inputs stand behind the equal items."""

    def __init__(self, site: Site, node: SequenceEqual) -> None:
        super().__init__(site)
        self._node = node
        self._equal = None if node.equal is None else Plain.of(node, node.equal)
        self._pace = Pace()
        self._answered = self.done = bool(site.state)

    def marks(self) -> Marks:
        key, places, answered = self.site.vertex.id, self.places(), self._answered
        none, delivered = [0] * len(places), self.start is None
        return lambda i: {**places_of(places, none), key: answered and (i > 0 or delivered)}

    def ask(self, n: int) -> None:  # noqa: ARG002  one output needs many items
        for branch in self.inputs:
            branch.want(LARGEST_SLICE)

    def collect(self, n: int) -> list[Any]:  # noqa: ARG002  there is only one output
        left, right = self.inputs
        while count := min(left.left, right.left, self._pace.size):
            began = self.run.clock.monotonic()
            with calling(self._node):
                if not self._compare(count):
                    return self._answer(equal=False)
            self._pace.took(self.run.clock.monotonic() - began)
            if self.run.strained():
                break
        if (left.over and (right.left or right.over)) or (right.over and left.left):
            return self._answer(equal=left.over and right.over)
        return []

    def _compare(self, count: int) -> bool:
        """Move both inputs behind equal items; return whether the next ``count`` are all equal."""
        left, right = self.inputs
        equal = None if self._equal is None else self._equal.function
        try:
            for _ in range(count):
                one, other = left.items[left.taken], right.items[right.taken]
                if not (equal(one, other) if equal is not None else one == other):
                    return False
                left.taken += 1
                right.taken += 1
        finally:
            left.note()
            right.note()
        return True

    def _answer(self, *, equal: bool) -> list[Any]:
        self._answered = True
        self.finish()
        return [equal]

    def over(self) -> bool:
        self.throw()
        return self.run.draining and any(branch.ended for branch in self.inputs)
