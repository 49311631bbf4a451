"""``throttle_first``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.timing.newest import MOST
from penstock.runtime.arguments import seconds_for
from penstock.runtime.node import Node, node
from penstock.runtime.order import Order
from penstock.runtime.passing import PassingStage
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

ROUNDING = 1e-9
"""Seconds by which rounding may have shortened a wait."""


def throttle_first(seconds: float) -> Same:
    """Emit an item, then drop the items that come within ``seconds`` after it.

    Of items that come at the same moment, only the first one can be emitted. Upstream is read only while an
    item is requested. A dropped item is settled: a resumed run does not read it again, and it emits the
    first item that comes. ``statistics`` counts the drops.

    To lose no item, use ``throttle``. To emit the newest item instead of the first one, use ``sample``.
    """
    seconds = seconds_for("throttle_first", "seconds", seconds)
    return attach(lambda node: ThrottleFirst(inputs=(node,), seconds=seconds))


@node
class ThrottleFirst(Node):
    """The first item, and each that comes at least ``seconds`` after the one emitted before it."""

    operator = "throttle_first"
    own_order = Order.LOSSY

    seconds: float

    def bound(self, n: int) -> float:  # noqa: ARG002  it emits one item of many
        return self.inputs[0].bound(MOST)


@runs(ThrottleFirst)
class _ThrottleFirstStage(PassingStage):
    """``_before`` and ``_behind`` say where upstream's last chunk stands before and behind the output."""

    def __init__(self, site: Site, node: ThrottleFirst) -> None:
        super().__init__(site, tracked=True)
        self._seconds = node.seconds
        self._open_at: float | None = None  # when the next item may pass; None before the first one
        self._before = self._behind = 0

    def marks(self) -> Marks:
        above, before, behind = self.upstream.marks(), self._before, self._behind
        return lambda i: above(behind if i else before)

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002  one item at a time
        loop = asyncio.get_running_loop()
        self._before = self._behind
        while True:
            if self.run.strained():
                await self.run.breathe()
            self._before = self._behind = 0
            items = await self.upstream.request(MOST)
            self._behind = len(items)
            if not items:
                return []
            now = loop.time()
            if self._open_at is None or now >= self._open_at - ROUNDING:
                self._open_at = now + self._seconds
                self.dropped += len(items) - 1
                return items[:1]
            self.dropped += len(items)
            self._before = self._behind
