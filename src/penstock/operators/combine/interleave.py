"""The operator ``interleave``: one item of each flow in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode, raise_failure
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States


__all__ = ["Interleave", "interleave"]

T = TypeVar("T")


def interleave(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Yield one item of each flow in turn (round robin), in an order that does not depend on time.

    Flows that have ended are skipped. If the flow whose turn it is has no item ready, all wait for it. An
    error is raised when it is its flow's turn.
    """
    nodes = nodes_of("interleave", others)
    return attach(lambda node: Interleave(inputs=(node, *nodes)))


@node
class Interleave(JoinNode):
    """One item of each input in turn; inputs that have ended are skipped."""

    operator = "interleave"
    stateful = True


@runs(Interleave)
class _InterleaveStage(JoinStage):
    """Its state is the input whose turn it is."""

    def __init__(self, site: Site, _: Interleave) -> None:
        super().__init__(site)
        self._turn: int = site.state or 0
        self._rounds: list[tuple[list[int], int]] = []  # of the last chunk: inputs in turn, how many items

    def marks(self) -> Marks:
        key, places, rounds = self.site.vertex.id, self.places(), tuple(self._rounds)
        following = self._turn

        def at(i: int) -> States:
            counts, turn = [0] * len(places), following
            for turns, total in rounds:
                for k, index in enumerate(turns):
                    counts[index] += _share(min(i, total), k, len(turns))
                if i < total:
                    turn = turns[i % len(turns)]
                    break
                i -= total
            return {**places_of(places, counts), key: turn}

        return at

    def begin(self) -> None:
        self.start = None
        self._rounds = []

    def collect(self, n: int) -> list[Any]:
        out: list[Any] = []
        while len(out) < n and (turns := self._in_turn()):
            width = len(turns)
            total = min(self.branches[index].left * width + k for k, index in enumerate(turns))
            total = min(total, n - len(out))
            if not total:
                break
            part: list[Any] = [None] * total
            for k, index in enumerate(turns):
                part[k::width] = self.branches[index].take(_share(total, k, width))
            self._rounds.append((turns, total))
            self._turn = turns[total % width]
            out += part
        return out

    def _in_turn(self) -> list[int]:
        """Return the inputs that have not ended, in the order of their turns."""
        count = len(self.branches)
        turns = ((self._turn + k) % count for k in range(count))
        return [index for index in turns if not self.branches[index].over]

    def over(self) -> bool:
        turns = self._in_turn()
        if not turns:
            return True
        branch = self.branches[turns[0]]
        raise_failure([branch])
        return branch.ended


def _share(total: int, k: int, width: int) -> int:
    """Return how many of ``total`` items come from the ``k``-th of ``width`` inputs that take turns."""
    return (total - k + width - 1) // width
