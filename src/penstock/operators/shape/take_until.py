"""The operator ``take_until``, which completes when another flow yields an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach, joined
from penstock.operators.shape.until import UntilNode
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import Site, node

if TYPE_CHECKING:
    from penstock.operators.attach import Joinable, Same
    from penstock.runtime.upstream import Marks


def take_until(other: Joinable[Any]) -> Same:
    """Complete when ``other`` yields an item, and close both flows.

    An item that arrives at the same moment as the item of ``other`` is not delivered. If ``other`` fails,
    the flow fails; if ``other`` completes without an item, nothing happens. A resumed run resumes ``other``
    from its own position, so a timer starts again.
    """
    signal = joined("the argument of take_until", other)
    return attach(lambda node: TakeUntil(inputs=(node, signal)))


@node
class TakeUntil(UntilNode):
    """Yields the items of the first input until the second one yields an item."""

    operator = "take_until"

    def start(self, site: Site) -> JoinStage:
        return _TakeUntilStage(site)


class _TakeUntilStage(JoinStage):
    """The state says whether the second input has yielded an item."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.done = bool(site.state)
        self._signalled = self.done

    def ask(self, n: int) -> None:
        items, signal = self.inputs
        signal.want(1)  # first, so that a signal that is ready precedes every item
        items.want(n)

    def collect(self, n: int) -> list[Any]:
        items, signal = self.inputs
        return [] if signal.left else items.take(n)

    def over(self) -> bool:
        items, signal = self.inputs
        self._signalled = signal.left > 0
        if not self._signalled:
            self.throw()
        return self._signalled or items.ended

    def marks(self) -> Marks:
        key, places, signalled = self.site.vertex.id, self.places(), self._signalled
        return lambda i: {**places_of(places, (i, 0)), key: signalled}
