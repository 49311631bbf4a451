"""The operator ``interleave``: one item of each flow in turn."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode, raise_failure
from penstock.runtime.inputs import JoinStage, places_of
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
    """Its state is the input whose turn it is."""

    def __init__(self, site: Site, _: Interleave) -> None:
        super().__init__(site)
        self._turn: int = site.state or 0
        self._picks: list[int] = []  # the inputs of the items of the last chunk

    def marks(self) -> Marks:
        key, places, picks, following = self.site.vertex.id, self.places(), tuple(self._picks), self._turn

        def at(i: int) -> States:
            counts = Counter(picks[:i])
            states = places_of(places, [counts[k] for k in range(len(places))])
            return {**states, key: picks[i] if i < len(picks) else following}

        return at

    def begin(self) -> None:
        self.start = None
        self._picks = []

    def collect(self, n: int) -> list[Any]:
        out: list[Any] = []
        while len(out) < n and (turns := self._in_turn()):
            width = len(turns)
            total = min(self.inputs[index].left * width + k for k, index in enumerate(turns))
            total = min(total, n - len(out))
            if not total:
                break
            part: list[Any] = [None] * total
            for k, index in enumerate(turns):
                part[k::width] = self.inputs[index].take(len(part[k::width]))
            self._picks += islice(cycle(turns), total)
            self._turn = turns[total % width]
            out += part
        return out

    def _in_turn(self) -> list[int]:
        """Return the inputs that have not ended, in the order of their turns."""
        count = len(self.inputs)
        turns = ((self._turn + k) % count for k in range(count))
        return [index for index in turns if not self.inputs[index].over]

    def over(self) -> bool:
        turns = self._in_turn()
        if not turns:
            return True
        branch = self.inputs[turns[0]]
        raise_failure([branch])
        return branch.ended
