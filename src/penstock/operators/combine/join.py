"""What the operators that join several flows share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

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
