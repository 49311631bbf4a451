"""Operators on single items."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable

    from expression import Option

    import penstock.operators as op
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Elements"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
Ts = TypeVarTuple("Ts")


class Elements(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def map(self, function: Callable[[T_co], U]) -> Flow[U]:
        """Turn each item into ``function(item)``."""
        return op.map(function)(self._flow)

    def starmap(self: Elements[tuple[*Ts]], function: Callable[[*Ts], U]) -> Flow[U]:
        """Turn each item, a tuple, into ``function(*item)``."""
        return op.starmap(function)(self._flow)

    def filter(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Keep the items for which ``function(item)`` is true."""
        return op.filter(function)(self._flow)

    def choose(self, function: Callable[[T_co], Option[U]]) -> Flow[U]:
        """Keep the values of those items for which ``function(item)`` is ``Some(value)``."""
        return op.choose(function)(self._flow)

    def tap(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Call ``function(item)`` for its effect and pass the item on."""
        return op.tap(function)(self._flow)

    def enumerate(self, start: int = 0) -> Flow[tuple[int, T_co]]:
        """Pair each item with its index."""
        return op.enumerate(start)(self._flow)

    def scan(self, function: Callable[[U, T_co], U], seed: U, *, name: str | None = None) -> Flow[U]:
        """Yield each intermediate result of folding from the left."""
        return op.scan(function, seed, name=name)(self._flow)

    def distinct_until_changed(self, key: Callable[[T_co], object] | None = None) -> Flow[T_co]:
        """Drop items that equal the one before."""
        return op.distinct_until_changed(key)(self._flow)
