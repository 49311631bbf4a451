"""The operator ``pairwise``, which pairs each item with the next one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.operators.attach import attach
from penstock.operators.shape.sliding import Sliding, SlidingStage
from penstock.runtime.node import Site, node

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def pairwise() -> Callable[[Flow[T]], Flow[tuple[T, T]]]:
    """Pair each item with the next one: ``(a, b), (b, c), …``.

    A flow of fewer than two items yields no pair. A position stands before the second item of the last
    pair, so no item is stored.
    """
    return attach(lambda node: Pairwise(inputs=(node,)))


@node
class Pairwise(Sliding):
    """Yields each item and the next one as a tuple."""

    operator = "pairwise"
    stateful = False

    size: int = 2

    def start(self, site: Site) -> SlidingStage:
        return _PairwiseStage(site, self)


class _PairwiseStage(SlidingStage):
    def _cut(self, count: int) -> None:
        held, first = self._held, self._next
        self.put(itertools.pairwise(held), range(first + 1, first + count + 1))
        self._next = first + count
        del held[:count]
