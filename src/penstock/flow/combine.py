"""Operators that join several flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    import penstock.operators as op
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Combine"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Combine(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def concat(self: Combine[T], *others: Flow[T]) -> Flow[T]:
        """Continue with the items of ``others``, one after the other."""
        return op.concat(*others)(self._flow)

    def merge(self: Combine[T], *others: Flow[T]) -> Flow[T]:
        """Interleave with the items of ``others``, as they come."""
        return op.merge(*others)(self._flow)
