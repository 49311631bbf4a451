"""``sequence_equal``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import annotate
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import node
from penstock.runtime.run import LARGEST_SLICE, Pace

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.inputs import Input
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["SequenceEqual", "sequence_equal"]


def sequence_equal(
    other: Flow[Any], equal: Callable[[Any, Any], object] | None = None
) -> Callable[[Flow[Any]], Flow[bool]]:
    """Yield one item: whether this flow and ``other`` have equal items, and as many.

    ``False`` comes at the first difference, and both flows are closed. An error is raised when it is
    reached before a difference.

    Args:
        other: The flow to compare with.
        equal: Called with an item of each, says whether they are equal; ``==`` unless given.
    """
    if equal is not None:
        function_for("sequence_equal", equal)
    nodes = nodes_of("sequence_equal", (other,))
    return attach(lambda node: SequenceEqual(inputs=(node, *nodes), equal=equal))


@node
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

    def _compare(self, left: Input, right: Input, count: int) -> bool:
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
