"""Operators that remember how far a run came."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    import penstock.operators as op
    from penstock.abc import Ledger
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Resume"]

T_co = TypeVar("T_co", covariant=True)


class Resume(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def checkpoint(self, ledger: Ledger, *, key: str, every: int = 1) -> Flow[T_co]:
        """Commit positions to a ledger as downstream acknowledges items."""
        return op.checkpoint(ledger, key=key, every=every)(self._flow)

    def dead_letters(self, ledger: Ledger, *, key: str = "dead letters") -> Flow[T_co]:
        """Keep the documents of an event stream that failed for good in a ledger."""
        return op.dead_letters(ledger, key=key)(self._flow)
