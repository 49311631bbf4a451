"""The operator ``cache``: later subscribers receive the items of an earlier run."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from penstock.errors import BufferOverflow
from penstock.operators.attach import attach
from penstock.operators.fanout.share import CurrentRun, Share, ShareRun
from penstock.operators.fanout.stuck import PATIENCE
from penstock.operators.fanout.subscriber import CAPACITY, limits
from penstock.runtime.arguments import positive, seconds_for
from penstock.runtime.node import node
from penstock.runtime.order import Order

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.failures import Failure


def cache(
    ttl: float | None = None,
    *,
    limit: int = 10_000,
    capacity: int = CAPACITY,
    patience: float | None = PATIENCE,
) -> Same:
    """Run upstream once, and give its items to all subscribers for ``ttl`` seconds after its end.

    The first subscriber begins the run. Each subscriber receives all items, from the first one on. One that
    comes while the run goes on joins it. One that comes within ``ttl`` seconds after its end receives the
    kept items at once. The next one after that begins a new run. An error is not kept.

    A run that all subscribers leave before its end is closed, and its items are not kept: no task goes on
    without a subscriber. So after ``first()`` and ``take(n)`` items are kept only if the source is known to
    have no more: one of a callable, a future, a collection, or of elements over them. ``single()`` and
    ``to_list()`` read the end of any flow.

    All items are kept in memory; they are dropped when a new run begins. The kept items belong to the event
    loop of the run: a subscriber in another loop begins a new run.

    Args:
        ttl: Seconds; ``None`` keeps the items for good.
        limit: The most items that are kept. A longer run fails with ``BufferOverflow``.
        capacity: How many items a subscriber may lag behind before the others wait for it.
        patience: Seconds for which a subscriber that nobody reads may hold the others back, as for ``share``.
    """
    if ttl is not None:
        ttl = seconds_for("cache", "ttl", ttl)
    positive("cache", "limit", limit)
    chosen = limits("cache", capacity, "wait", patience)
    return attach(lambda node: Cache(inputs=(node,), runs=CurrentRun(), replay=limit, ttl=ttl, **chosen))


class CacheRun(ShareRun):
    """The shared run of ``cache``; after its end it keeps the items until ``_expires``."""

    def __init__(self, node: Cache) -> None:
        super().__init__(node)
        self._ttl = node.ttl
        self._limit = node.replay
        self._expires = math.inf

    @property
    def joinable(self) -> bool:
        if self.loop is not asyncio.get_running_loop():
            return False
        if self.ended:
            return self._failure is None and self.loop.time() < self._expires
        return self.closing is None

    def distribute(self, items: list[Any]) -> None:
        if len(self.history) + len(items) > self._limit:
            msg = (
                f"{self.where} keeps at most limit={self._limit} items, but the run has more. Raise limit, "
                "or use share() or replay(count), which do not keep all items."
            )
            raise BufferOverflow(msg)
        super().distribute(items)

    async def close(self, failure: Failure | None = None) -> None:
        """Close; keep the items if they are all that there are, such as the one item of a callable."""
        if failure is None and not self.ended and self.complete():
            self.finish(None)
        await super().close(failure)

    def finish(self, failure: Failure | None) -> None:
        if failure is None and self._ttl is not None and not self.ended:
            self._expires = self.loop.time() + self._ttl
        super().finish(failure)


@node
class Cache(Share):
    """A flow whose subscribers all receive the items of one run, also for some seconds after its end."""

    operator = "cache"
    own_order = Order.EXACT

    ttl: float | None = None

    def begun(self) -> ShareRun:
        return CacheRun(self)
