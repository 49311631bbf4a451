"""The operator ``interleave``: one item of each flow in turn."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode, raise_failure
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")


def interleave(*others: Joinable[T]) -> Callable[[Flow[T]], Flow[T]]:
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
    """Its state is the input whose turn it is.

    ``_ring`` are the inputs that were not found to have ended; the one at ``_turn`` there is the next.
    """

    def __init__(self, site: Site, _: Interleave) -> None:
        super().__init__(site)
        self._ring = list(range(len(self.inputs)))
        self._turn: int = site.state or 0
        self._picks: list[int] = []  # the inputs of the items of the last chunk

    def marks(self) -> Marks:
        key, places, picks, following = (
            self.site.vertex.id,
            self.places(),
            tuple(self._picks),
            self._following(),
        )

        def at(i: int) -> States:
            counts = Counter(picks[:i])
            return {**places.states(counts), key: picks[i] if i < len(picks) else following}

        return at

    def _following(self) -> int:
        """Return the input whose turn it is; any, if all have ended."""
        return self._ring[self._turn] if self._ring else 0

    def begin(self) -> None:
        self.start = None
        self._picks = []

    def collect(self, n: int) -> list[Any]:
        out: list[Any] = []
        while len(out) < n and self._one_each(out, n):
            if n - len(out) >= len(self._ring):
                self._rounds(out, n)
        return out

    def _one_each(self, out: list[Any], n: int) -> bool:
        """Take one item of each input; return whether none of them must be waited for."""
        ring, picks, inputs, turn = self._ring, self._picks, self.inputs, self._turn
        for _ in range(len(ring)):
            if len(out) >= n:
                break
            index = ring[turn]
            branch = inputs[index]
            if branch.left:
                out.append(branch.items[branch.taken])
                branch.at += 1
                picks.append(index)
                turn += 1
            elif branch.over:
                del ring[turn]
            else:
                self._turn = turn
                return False
            if turn >= len(ring):
                turn = 0
        self._turn = turn
        return bool(ring)

    def _rounds(self, out: list[Any], n: int) -> None:
        """Take as many items of each input as all of them have."""
        ring, width = self._ring, len(self._ring)
        turns = ring[self._turn :] + ring[: self._turn]
        rounds = min((n - len(out)) // width, *(self.inputs[index].left for index in turns))
        if rounds:
            part: list[Any] = [None] * (rounds * width)
            for k, index in enumerate(turns):
                part[k::width] = self.inputs[index].take(rounds)
            self._picks += turns * rounds
            out += part

    def over(self) -> bool:
        if not self._ring:
            return True
        branch = self.inputs[self._following()]
        raise_failure([branch])
        return branch.ended
