"""``debounce``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.timing.newest import SamplingNode, SamplingStage
from penstock.runtime.arguments import seconds_for
from penstock.runtime.node import node

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Debounce", "debounce"]


def debounce(seconds: float) -> Same:
    """Let an item pass when no other has come for ``seconds``; drop it if one has.

    At the end the last item passes at once. If upstream fails, the item that waits does not pass, and a
    position stands before it. Upstream is read only while an item is asked for, and quiet is time in which
    it was asked and had nothing: with a slow consumer, items that gather upstream follow each other without
    a pause, and the last of them is the one that passes.
    """
    seconds = seconds_for("debounce", "seconds", seconds)
    return attach(lambda node: Debounce(inputs=(node,), seconds=seconds))


@node
class Debounce(SamplingNode):
    """An item goes out when no other has come for ``seconds``."""

    operator = "debounce"

    seconds: float

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _DebounceStage(site, self.seconds)


class _DebounceStage(SamplingStage):
    def __init__(self, site: Site, seconds: float) -> None:
        super().__init__(site)
        self._seconds = seconds

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        self.newest.leave()
        while not self.ended:
            if await self.read():
                break
            self.patience.left = self._seconds  # a newer item: quiet begins again
        self.patience.left = None
        return self.newest.take()
