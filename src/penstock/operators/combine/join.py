"""What the operators that join several flows share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    from penstock.runtime.input import Input


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


def take_in_turn(holding: deque[Input], n: int, parts: list[tuple[int, int]]) -> list[Any]:
    """Take up to ``n`` items of inputs that take turns, and append to ``parts``, which ``counted`` reads.

    An input that still has items goes to the end of ``holding``.
    """
    out: list[Any] = []
    while holding and len(out) < n:
        branch = holding.popleft()
        if items := branch.take(n - len(out)):
            parts.append((branch.index, len(items)))
            if out:
                out += items
            else:
                out = items
        if branch.left:
            holding.append(branch)
    return out


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
