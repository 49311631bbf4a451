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

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["Throttle", "throttle"]


SLACK = 1e-6
"""The part of an item that may be missing to a whole one: sums of times are not exact."""


def throttle(rate: float, burst: int = 1, *, per: float = 1.0) -> Same:
    """Let ``rate`` items pass in ``per`` seconds, by asking for no more than that; none is lost.

    A token bucket: it holds ``burst`` tokens at first and at most, and ``rate / per`` flow into it each
    second; an item takes one. So any ``t`` seconds see no more than ``burst + t * rate / per`` items. What
    waits, waits upstream: nothing is held here. That it is the end is learned when the next item would be
    allowed. A resumed run begins with a full bucket.

    What RxPY calls ``throttle_first`` and ``throttle_with_timeout`` drop items: see ``sample``, ``debounce``.
    """
    tokens = seconds_for("throttle", "rate", rate) / seconds_for("throttle", "per", per)
    positive("throttle", "burst", burst)
    return attach(lambda node: Throttle(inputs=(node,), rate=tokens, burst=burst))


@node
class Throttle(Node):
    """Upstream is asked for no more than a token bucket holds: ``rate`` tokens flow into it per second."""

    operator = "throttle"

    rate: float
    burst: int

    def start(self, site: Site) -> Stage[Any]:
        """Start with a full bucket."""
        return _ThrottleStage(site, self)


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
        self._waiting = True  # that is: upstream still thinks that its last chunk is being read
        while (allowed := self._fill(now := loop.time())) < 1:
            seconds = max((1 - self._tokens) / self._rate, ulp(now))  # less would be no time at all
            await self._gate.wait(now + seconds)
        self._waiting, self._count = False, 0
        items = await self.upstream.request(min(n, allowed))
        self._fill(loop.time())
        self._tokens -= len(items)
        self._count = len(items)
        return items

    def _fill(self, now: float) -> int:
        """Add the tokens that have flowed in; return how many whole ones there are."""
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return int(self._tokens + SLACK)
