"""A flow around a ``Subscription`` class of anyone's, so that the laws can be checked on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Position, Subscription

__all__ = ["flow_of"]


def flow_of(
    subscribe: Callable[..., Subscription[Any]],
    *,
    order: str = "exact",
    resumable: bool = False,
    exact: bool = False,
    bound: Callable[[int], float] = float,
) -> ForeignFlow:
    """Return a flow whose runs are what ``subscribe`` returns.

    >>> laws.check(lambda source: laws.flow_of(lambda: MySubscription(source)), range(5))

    Args:
        subscribe: Returns a new subscription; called with a position if there is one to start from.
        order: What is promised of the order of items (law 5).
        resumable: Whether its subscriptions give positions, and can start from one (law 10).
        exact: Whether a run that goes on from a position loses nothing and repeats nothing.
        bound: M(n) of law 1; n unless given.
    """
    return ForeignFlow(subscribe, order, resumable, exact, bound)


@dataclass(frozen=True, slots=True)
class ForeignFlow:
    """What ``flow_of`` returns; see there."""

    runs: Callable[..., Subscription[Any]]
    order: str
    resumable: bool
    exact: bool
    bound: Callable[[int], float]

    def max_in_flight(self, n: int = 1) -> float:
        """Return M(n) as it was given."""
        return self.bound(n)

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        """Return a new run."""
        return self.runs() if position is None else self.runs(position)
