"""How strictly a flow keeps the order of its items (law 5)."""

from __future__ import annotations

from enum import StrEnum

from penstock.runtime.arguments import choice_for


class Order(StrEnum):
    """How the items of a flow depend on the schedule of requests (law 5), from strict to loose."""

    EXACT = "exact"
    """The same items in the same order for every schedule of requests."""
    INTERLEAVED = "interleaved"
    """The same multiset; the order of each input is kept."""
    TIMED = "timed"
    """Exact under virtual time with an instant consumer."""
    LOSSY = "lossy"
    """A subsequence."""

    def loosest(self, *others: Order) -> Order:
        """Return the loosest of this order and ``others``."""
        if all(other is self for other in others):  # nearly always
            return self
        ranks = list(Order)
        return max((self, *others), key=ranks.index)


def order_named(operator: str, order: str | None) -> Order | None:
    """Return the order of that name, or ``None`` for ``None``; raise ``GraphError`` if there is none."""
    choice_for(operator, "order", order, [*Order, None])
    return None if order is None else Order(order)
