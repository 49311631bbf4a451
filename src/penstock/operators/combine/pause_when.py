"""The operator ``pause_when``: a valve that another flow opens and closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach, nodes_of
from penstock.operators.combine.join import JoinNode, raise_failure
from penstock.runtime.failures import calling
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Joinable, Same
    from penstock.runtime.node import Site
    from penstock.runtime.order import Order
    from penstock.runtime.upstream import Marks

MOST = 64
"""How many signals to request at once; only the last one counts."""


def pause_when(paused: Joinable[bool]) -> Same:
    """Let no item pass while the latest item of ``paused`` is true; no item is lost.

    Items pass until ``paused`` yields its first true item. While it is paused, upstream is not requested, and
    a list that came before waits. A source that cannot wait, such as ``create``, keeps up to its ``capacity``
    items meanwhile, then its ``overflow`` decides. When ``paused`` completes, items pass for good. An error
    of ``paused`` is raised at once. The end of this flow ends the result at once, even while it is
    paused. A run that is drained is not paused any more.

    ``paused`` is read from the first request on, also while no item is requested, up to 64 items ahead. A
    position holds where both flows stand, and whether it is paused.
    """
    nodes = nodes_of("pause_when", (paused,))
    return attach(lambda node: PauseWhen(inputs=(node, *nodes)))


@node
class PauseWhen(JoinNode):
    """The items of the first input, except while the latest item of the second is true."""

    operator = "pause_when"
    stateful = True

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n) + self.inputs[1].bound(MOST)

    @property
    def order(self) -> Order:
        return self.inputs[0].order  # the second input only decides when they come

    @property
    def repeatable(self) -> bool:
        return self.inputs[0].repeatable


@runs(PauseWhen)
class _PauseStage(JoinStage):
    """Its state is whether it is paused."""

    def __init__(self, site: Site, node: PauseWhen) -> None:
        super().__init__(site)
        self._node = node
        self._paused = bool(site.state)

    def marks(self) -> Marks:
        key, paused, moved = self.site.vertex.id, self._paused, self.start is not None
        (page, at), (signals, seen) = self.places()[0], self.inputs[1].place
        return lambda i: {**page(at + (i if moved else 0)), **signals(seen), key: paused}

    def collect(self, n: int) -> list[Any]:
        items, signals = self.inputs
        if signals.left:
            latest = signals.take(signals.left)[-1]
            with calling(self._node):
                self._paused = bool(latest)
        if signals.over:
            self._paused = False
        if self._paused and not self.run.draining:
            return []
        out = items.take(n)
        signals.want(MOST)  # so that the next request knows whether it is paused
        return out

    def over(self) -> bool:
        items, signals = self.inputs
        raise_failure([signals, items])
        return items.ended and not items.left

    def ask(self, n: int) -> None:
        items, signals = self.inputs
        signals.want(MOST)
        if not self._paused or self.run.draining:  # a drained input tells that it has ended
            items.want(n)
