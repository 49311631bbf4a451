"""``throttle``."""

from __future__ import annotations

import asyncio
from collections import deque
from math import ulp
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.runtime.arguments import at, flag_for, positive, seconds_for
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


def throttle(rate: float, *, per: float = 1.0, burst: int = 1, rolling: bool = False) -> Same:
    """Request at most ``rate`` items per ``per`` seconds from upstream, evenly spaced; no item is lost.

    A token bucket: it starts with ``burst`` tokens and never holds more, ``rate / per`` tokens flow in each
    second, and each item takes one. So at most ``burst + t * rate / per`` items pass in any ``t`` seconds:
    with ``burst=1`` one each ``per / rate`` seconds. With a larger ``burst``, ``rate + burst`` items may pass
    in ``per`` seconds.

    With ``rolling=True``, at most ``rate`` items pass in *any* ``per`` seconds (a sliding window), the first
    ``rate`` of them at once. ``rate`` must be a whole number.

    Items wait upstream; none is held here. If upstream does not know that it has ended, the end is noticed
    when the next item would be allowed. A resumed run begins with a full bucket, or an empty window.

    ``throttle_first``, ``sample`` and ``debounce`` (RxPY's ``throttle_with_timeout``) drop items instead.
    """
    tokens = seconds_for("throttle", "rate", rate) / seconds_for("throttle", "per", per)
    positive("throttle", "burst", burst)
    flag_for("throttle", rolling=rolling)
    if not rolling:
        return attach(lambda node: Throttle(inputs=(node,), rate=tokens, burst=burst))
    whole = int(rate) if rate == int(rate) else rate
    positive("throttle", "rate", whole)
    if burst != 1:
        msg = f"throttle(burst={burst}, rolling=True){at()}: a rolling limit lets all of rate through at once"
        raise GraphError(f"{msg}. Leave out one of the two.")
    return attach(lambda node: RollingThrottle(inputs=(node,), rate=int(whole), per=float(per)))


@node
class Throttle(Node):
    """At most as many items are requested as a token bucket holds; ``rate`` tokens flow in per second."""

    operator = "throttle"

    rate: float
    burst: int


@node
class RollingThrottle(Node):
    """At most ``rate`` items are requested in any ``per`` seconds."""

    operator = "throttle"

    rate: int
    per: float


class _LimitedStage(PassingStage):
    """Requests as many items as are allowed, and waits while none is."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._gate = Gate(self.run)
        self._count = 0  # items of the last chunk
        self._waiting = False

    def marks(self) -> Marks:
        above, count = self.upstream.marks(), self._count
        return (lambda i: above(count + i)) if self._waiting else above

    async def _request(self, n: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        self._waiting = True  # the last chunk was received, but upstream has not been asked again
        while (allowed := self._allowed(loop.time())) < 1 and not self.upstream.exhausted:
            await self._gate.wait(self._due(loop.time()))
        self._waiting, self._count = False, 0
        items = await self.upstream.request(min(n, max(allowed, 1)))
        self._count = len(items)
        if items:
            self._took(loop.time(), len(items))
        return items

    def _allowed(self, now: float) -> int:
        """Return how many items may pass at this time."""
        raise NotImplementedError

    def _due(self, now: float) -> float:
        """Return when the next item may pass, if none may pass now."""
        raise NotImplementedError

    def _took(self, now: float, count: int) -> None:
        """Remember that so many items passed."""
        raise NotImplementedError


@runs(Throttle)
class _BucketStage(_LimitedStage):
    def __init__(self, site: Site, node: Throttle) -> None:
        super().__init__(site)
        self._rate = node.rate
        self._burst = node.burst
        self._tokens = float(node.burst)
        self._filled: float | None = None  # when tokens were last added

    def _allowed(self, now: float) -> int:
        """Add the tokens that flowed in; return how many whole tokens there are."""
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return int(self._tokens + SLACK)

    def _due(self, now: float) -> float:
        return now + max((1 - self._tokens) / self._rate, ulp(now))  # less would not change the sum

    def _took(self, now: float, count: int) -> None:
        self._allowed(now)
        self._tokens -= count


@runs(RollingThrottle)
class _RollingStage(_LimitedStage):
    def __init__(self, site: Site, node: RollingThrottle) -> None:
        super().__init__(site)
        self._per = node.per
        self._free = node.rate
        self._passed: deque[tuple[float, int]] = deque()  # when items stop counting, and how many

    def _allowed(self, now: float) -> int:
        while self._passed and self._passed[0][0] <= now:
            self._free += self._passed.popleft()[1]
        return self._free

    def _due(self, now: float) -> float:
        return self._passed[0][0] if self._passed else now

    def _took(self, now: float, count: int) -> None:
        self._passed.append((now + self._per, count))
        self._free -= count
