"""``flow_of`` builds a flow from any ``Subscription`` class, so that the laws can check that class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Position, Subscription


def flow_of(
    subscribe: Callable[..., Subscription[Any]],
    *,
    order: str = "exact",
    resumable: bool = False,
    bound: Callable[[int], float] = float,
) -> ForeignFlow:
    """Return a flow whose runs are the subscriptions that ``subscribe`` returns.

    >>> laws.check(lambda source: laws.flow_of(lambda: MySubscription(source)), range(5))

    Args:
        subscribe: Returns a new subscription. It is called with a position, or without arguments.
        order: The order of items that is promised (law 5).
        resumable: Whether its subscriptions have positions, and can start from one (law 10).
        bound: M(n) of law 1; by default n.
    """
    return ForeignFlow(subscribe, order, resumable, bound)


@dataclass(frozen=True, slots=True)
class ForeignFlow:
    """The flow that ``flow_of`` returns."""

    runs: Callable[..., Subscription[Any]]
    order: str
    resumable: bool
    bound: Callable[[int], float]

    def max_in_flight(self, n: int = 1) -> float:
        """Return M(n), by the given ``bound``."""
        return self.bound(n)

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        """Return a new run."""
        return self.runs() if position is None else self.runs(position)
