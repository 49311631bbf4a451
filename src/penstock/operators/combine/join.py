"""What the operators that join several flows share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from penstock.runtime.failures import annotate
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.runtime.inputs import Input


@node
class JoinNode(Node):
    """A node that requests from each of several inputs as many items as are requested from it."""

    @property
    def structure(self) -> str:
        return f"({len(self.inputs)})"

    def bound(self, n: int) -> float:
        """Return the sum of M_i(n)."""
        return sum(node.bound(n) for node in self.inputs)


class calling:  # noqa: N801  reads like a statement
    """Within this block a node's function is called: its errors get a note that names the node.

    A stray ``StopIteration`` becomes a ``RuntimeError``.
    """

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StopIteration):
            raised = RuntimeError(f"the function of {self._node.operator} raised StopIteration")
            annotate(raised, self._node.describe())
            raise raised from error
        if isinstance(error, Exception):
            annotate(error, self._node.describe())


def raise_failure(branches: Sequence[Input]) -> None:
    """Raise the first failure among these inputs that has no items in front of it."""
    for branch in branches:
        if branch.failed and branch.failure is not None:
            branch.failure.throw()


def counted(
    parts: Sequence[tuple[int, int]], i: int, following: int | None
) -> tuple[Counter[int], int | None]:
    """Return how many of a chunk's first ``i`` items each input gave, and the input of the next item.

    Args:
        parts: The chunk as (input, number of items) in order.
        i: How many items.
        following: The input of the item behind the whole chunk, if known.
    """
    counts: Counter[int] = Counter()
    for index, count in parts:
        counts[index] += min(i, count)
        if i < count:
            return counts, index
        i -= count
    return counts, following
