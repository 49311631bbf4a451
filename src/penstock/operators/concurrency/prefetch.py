"""The operators ``prefetch`` and ``limit_demand``: fetch ahead with few large requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.operators.concurrency.buffer import Buffer
from penstock.runtime.arguments import at, positive
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import node

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.operators.concurrency.buffer import BufferStage
    from penstock.runtime.upstream import Upstream


def prefetch(count: int) -> Same:
    """Request ``count`` items ahead, and more when three quarters of them were taken.

    Like ``buffer``, but upstream sees few large requests instead of one for each item that is taken.
    """
    positive("prefetch", "count", count)
    return attach(lambda node: Prefetch(inputs=(node,), capacity=count, low=three_quarters(count)))


def limit_demand(high: int, low: int | None = None) -> Same:
    """Request ``high`` items first, and ``low`` more each time ``low`` of them were taken.

    The sizes of downstream's requests do not matter.

    Args:
        high: The most items that are requested from upstream and not taken yet.
        low: How many to request again, three quarters of ``high`` by default. 0 requests all of ``high``
            again when the last item was taken.
    """
    positive("limit_demand", "high", high)
    low = three_quarters(high) if low is None else low
    positive("limit_demand", "low", low, least=0)
    if low > high:
        msg = f"limit_demand(high={high}, low={low}){at()}: low must be at most high"
        raise GraphError(msg)
    return attach(lambda node: LimitDemand(inputs=(node,), capacity=high, low=low or high))


def three_quarters(count: int) -> int:
    """Return three quarters of ``count``, rounded up."""
    return count - count // 4


@node
class Prefetch(Buffer):
    """``capacity`` items are requested first, and ``low`` more each time ``low`` of them were taken."""

    operator = "prefetch"

    low: int

    def at_once(self, n: int) -> int:  # noqa: ARG002  upstream sees only requests of the sizes that it promises
        return 0

    def feeder(self, upstream: Upstream[Any], stage: BufferStage) -> Feeder:
        return _Replenished(upstream, self.capacity, stage.wake, self.low)


class LimitDemand(Prefetch):
    """The same with both limits chosen by the user."""

    operator = "limit_demand"


class _Replenished(Feeder):
    """Counts items that were taken as room only when there are ``low`` of them."""

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
