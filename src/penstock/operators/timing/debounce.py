"""``debounce``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.timing.newest import NewestNode, NewestStage
from penstock.runtime.arguments import seconds_for
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site


def debounce(seconds: float) -> Same:
    """Emit an item when no other came for ``seconds``; drop it if one did.

    At the end the last item is emitted at once. If upstream fails, the waiting item is not emitted, and the
    position stands before it. Upstream is read only while an item is requested, and only that time counts as
    quiet. So with a slow consumer, items that gather upstream follow each other without a pause, and the last
    of them is emitted.
    """
    seconds = seconds_for("debounce", "seconds", seconds)
    return attach(lambda node: Debounce(inputs=(node,), seconds=seconds))


@node
class Debounce(NewestNode):
    """An item is emitted when no other came for ``seconds``."""

    operator = "debounce"

    seconds: float


@runs(Debounce)
class _DebounceStage(NewestStage):
    def __init__(self, site: Site, node: Debounce) -> None:
        super().__init__(site)
        self._seconds = node.seconds

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        self.newest.leave()
        while not self.ended:
            if await self.read():
                break
            self.time_limit.left = self._seconds  # a newer item restarts the quiet time
        self.time_limit.left = None
        return self.newest.take()
