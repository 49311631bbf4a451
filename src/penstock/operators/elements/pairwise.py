"""``pairwise``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.operators.attach import attach
from penstock.operators.shape.sliding import Sliding, _SlidingStage
from penstock.runtime.node import node

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Pairwise", "pairwise"]

T = TypeVar("T")


class Pairs(Protocol):
    """What ``pairwise`` returns: generic in the item."""

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[T, T]]:
        """Attach the operator to a flow."""
        ...


def pairwise() -> Pairs:
    """Pair each item with the one behind it: ``(a, b), (b, c), …``; nothing if there are fewer than two.

    A position stands before the later one of the last pair, so nothing of it is stored.
    """
    return attach(lambda node: Pairwise(inputs=(node,)))


@node
class Pairwise(Sliding):
    """Each item with the one behind it, as a pair."""

    operator = "pairwise"
    stateful = False

    size: int = 2

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _PairwiseStage(site, self)


class _PairwiseStage(_SlidingStage):
    def _cut(self, count: int) -> None:
        held, first = self._held, self._next
        self.put(itertools.pairwise(held), range(first + 1, first + count + 1))
        self._next = first + count
        del held[:count]
