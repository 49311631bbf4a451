"""``throttle``."""

from __future__ import annotations

import asyncio
from math import ulp
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.runtime.arguments import positive, seconds_for
from penstock.runtime.node import Node, node
from penstock.runtime.passing import PassingStage
from penstock.runtime.run import Gate
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

SLACK = 1e-6
"""A token counts as whole if this part of it is missing, because sums of times are not exact."""


def throttle(rate: float, burst: int = 1, *, per: float = 1.0) -> Same:
    """Request at most ``rate`` items per ``per`` seconds from upstream; no item is lost.

    A token bucket: it starts with ``burst`` tokens and never holds more, ``rate / per`` tokens flow in each
    second, and each item takes one. So at most ``burst + t * rate / per`` items pass in any ``t`` seconds.
    Items wait upstream; none is held here. The end is noticed when the next item would be allowed. A resumed
    run begins with a full bucket.

    ``throttle_first``, ``sample`` and ``debounce`` (RxPY's ``throttle_with_timeout``) drop items instead.
    """
    tokens = seconds_for("throttle", "rate", rate) / seconds_for("throttle", "per", per)
    positive("throttle", "burst", burst)
    return attach(lambda node: Throttle(inputs=(node,), rate=tokens, burst=burst))


@node
class Throttle(Node):
    """At most as many items are requested as a token bucket holds; ``rate`` tokens flow in per second."""

    operator = "throttle"

    rate: float
    burst: int


@runs(Throttle)
class _ThrottleStage(PassingStage):
    def __init__(self, site: Site, node: Throttle) -> None:
        super().__init__(site)
        self._rate = node.rate
        self._burst = node.burst
        self._tokens = float(node.burst)
        self._filled: float | None = None  # when tokens were last added
        self._gate = Gate(self.run)
        self._count = 0  # items of the last chunk
        self._waiting = False

    def marks(self) -> Marks:
        above, count = self.upstream.marks(), self._count
        return (lambda i: above(count + i)) if self._waiting else above

    async def _request(self, n: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        self._waiting = True  # the last chunk was received, but upstream has not been asked again
        while (allowed := self._fill(now := loop.time())) < 1:
            seconds = max((1 - self._tokens) / self._rate, ulp(now))  # less would not change the sum
            await self._gate.wait(now + seconds)
        self._waiting, self._count = False, 0
        items = await self.upstream.request(min(n, allowed))
        self._fill(loop.time())
        self._tokens -= len(items)
        self._count = len(items)
        return items

    def _fill(self, now: float) -> int:
        """Add the tokens that flowed in; return how many whole tokens there are."""
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return int(self._tokens + SLACK)
