"""The operator ``skip_until``, which drops items until another flow yields one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach, joined
from penstock.operators.shape.until import UntilNode
from penstock.runtime.inputs import JoinStage, places_of
from penstock.runtime.node import Site, node

if TYPE_CHECKING:
    from penstock.operators.attach import Joinable, Same
    from penstock.runtime.upstream import Marks


def skip_until(other: Joinable[Any]) -> Same:
    """Drop items until ``other`` yields an item; then close ``other`` and keep all items.

    An item that arrives at the same moment as the item of ``other`` is kept. If ``other`` fails, the flow
    fails. If ``other`` completes without an item, all items are dropped. A resumed run resumes ``other``
    from its own position, so a timer starts again.
    """
    signal = joined("the argument of skip_until", other)
    return attach(lambda node: SkipUntil(inputs=(node, signal)))


@node
class SkipUntil(UntilNode):
    """Yields the items of the first input from the moment on when the second one yields an item."""

    operator = "skip_until"

    def start(self, site: Site) -> JoinStage:
        return _SkipUntilStage(site)


class _SkipUntilStage(JoinStage):
    """The state says whether the second input has yielded an item."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._open = bool(site.state)

    def ask(self, n: int) -> None:
        items, signal = self.inputs
        if not self._open:
            signal.want(1)  # first, so that a signal that is ready precedes every item
        items.want(n)

    def collect(self, n: int) -> list[Any]:
        items, signal = self.inputs
        if not self._open and signal.left:
            self._open = True
            signal.release()
        if self._open:
            return items.take(n)
        self.dropped += items.left
        items.take(items.left)
        return []

    def over(self) -> bool:
        items, signal = self.inputs
        for branch in (items,) if self._open else (items, signal):
            if branch.failed and branch.failure is not None:
                branch.failure.throw()
        return items.ended

    def marks(self) -> Marks:
        key, places, opened = self.site.vertex.id, self.places(), self._open
        return lambda i: {**places_of(places, (i, 0)), key: opened}
