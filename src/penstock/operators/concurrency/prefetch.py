"""``prefetch`` and ``limit_rate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.operators.concurrency.buffer import Buffer, BufferStage
from penstock.runtime.arguments import positive
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import node

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Upstream


__all__ = ["LimitRate", "Prefetch", "limit_rate", "prefetch"]


def prefetch(count: int) -> Same:
    """Ask for ``count`` items ahead, and for more only when three quarters of them were taken.

    Like ``buffer``, but upstream sees few large requests instead of one for each item that leaves.
    """
    positive("prefetch", "count", count)
    return attach(lambda node: Prefetch(inputs=(node,), capacity=count, low=three_quarters(count)))


def limit_rate(high: int, low: int | None = None) -> Same:
    """Ask for ``high`` items first and for ``low`` more each time ``low`` were taken, whatever is requested.

    Args:
        high: The most items that upstream is asked for and that were not taken yet.
        low: How many to ask for again, three quarters of ``high`` by default; 0 is all of ``high``, when
            the last of them was taken.
    """
    positive("limit_rate", "high", high)
    low = three_quarters(high) if low is None else low
    positive("limit_rate", "low", low, least=0)
    if low > high:
        msg = f"limit_rate(high={high}, low={low}): low may not be more than high, or nothing would be asked"
        raise GraphError(msg)
    return attach(lambda node: LimitRate(inputs=(node,), capacity=high, low=low or high))


def three_quarters(count: int) -> int:
    """Return three quarters, rounded up."""
    return count - count // 4


@node
class Prefetch(Buffer):
    """Upstream is asked for ``capacity`` items first, and for ``low`` more whenever so many were taken."""

    operator = "prefetch"

    low: int

    def start(self, site: Site) -> Stage[Any]:
        """Start the buffer; its task starts with the first request."""
        return _PrefetchStage(site, self)


class LimitRate(Prefetch):
    """The same, by the name under which the limits are chosen by hand."""

    operator = "limit_rate"


class _PrefetchStage(BufferStage):
    def __init__(self, site: Site, node: Prefetch) -> None:
        self._low = node.low
        super().__init__(site, node.capacity)

    def _feed_from(self, upstream: Upstream[Any], capacity: int) -> Feeder:
        return _Replenished(upstream, capacity, self._ready.open, self._low)


class _Replenished(Feeder):
    """Keeps what was taken from counting as room until it is worth a request."""

    def __init__(self, stage: Upstream[Any], capacity: int, ready: Callable[[], None], low: int) -> None:
        super().__init__(stage, capacity, ready)
        self._low = low
        self._received = 0

    def room(self) -> int:
        taken = self._received - len(self.held)
        return self._capacity - len(self.held) - taken % self._low

    def put(self, items: list[Any]) -> None:
        self._received += len(items)
        super().put(items)
