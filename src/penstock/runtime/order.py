"""How strictly a flow keeps the order of its items (law 5)."""

from __future__ import annotations

from enum import StrEnum

from penstock.runtime.arguments import choice_for


class Order(StrEnum):
    """How the items of a flow depend on the schedule of requests (law 5).

    Two things may loosen it: several inputs that take turns, and time. A flow may have both, as the ``merge``
    of a flow that is timed.
    """

    EXACT = "exact"
    """The same items in the same order for every schedule of requests."""
    INTERLEAVED = "interleaved"
    """The same multiset; the order of each input is kept."""
    TIMED = "timed"
    """Exact under virtual time with an instant consumer."""
    LOSSY = "lossy"
    """A subsequence."""
    INTERLEAVED_TIMED = "interleaved and timed"
    """The same multiset under virtual time with an instant consumer."""
    INTERLEAVED_LOSSY = "interleaved and lossy"
    """A part of that multiset."""

    def loosest(self, *others: Order) -> Order:
        """Return the strictest order that allows all that this order and ``others`` allow."""
        if all(other is self for other in others):  # nearly always
            return self
        found = traits(self).union(*map(traits, others))
        found -= {"timed"} if "lossy" in found else set()
        return Order(AND.join(sorted(found)) or "exact")


AND = " and "


def traits(order: str) -> set[str]:
    """Return what loosens an order: ``"interleaved"``, and ``"timed"`` or ``"lossy"``."""
    return set(order.split(AND)) - {"exact"}


def order_named(operator: str, order: str | None) -> Order | None:
    """Return the order of that name, or ``None`` for ``None``; raise ``GraphError`` if there is none."""
    choice_for(operator, "order", order, [*Order, None])
    return None if order is None else Order(order)
