"""Operators that change how many items there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import penstock.operators as op
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Shape"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")


class Shape(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def flat_map(self, function: Callable[[T_co], Iterable[U]]) -> Flow[U]:
        """Turn each item into the items of ``function(item)``."""
        return op.flat_map(function)(self._flow)

    def take(self, count: int) -> Flow[T_co]:
        """Complete after ``count`` items."""
        return op.take(count)(self._flow)

    def take_while(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Complete before the first item for which ``function(item)`` is false."""
        return op.take_while(function)(self._flow)

    def skip(self, count: int) -> Flow[T_co]:
        """Drop the first ``count`` items."""
        return op.skip(count)(self._flow)

    def skip_while(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Drop items up to the first for which ``function(item)`` is false."""
        return op.skip_while(function)(self._flow)

    def batch(self: Shape[T], size: int, within: float | None = None) -> Flow[list[T]]:
        """Gather lists of ``size`` items; the last, or one that took too long, may be shorter."""
        return op.batch(size, within)(self._flow)

    def unbatch(self: Shape[Iterable[T]]) -> Flow[T]:
        """Turn each item, an iterable, into its items."""
        return op.unbatch()(self._flow)

    def sliding(self: Shape[T], size: int, step: int = 1, *, partial: bool = False) -> Flow[list[T]]:
        """Gather lists of ``size`` consecutive items, each beginning ``step`` items further."""
        return op.sliding(size, step, partial=partial)(self._flow)

    def skip_last(self, count: int) -> Flow[T_co]:
        """Drop the last ``count`` items."""
        return op.skip_last(count)(self._flow)

    def take_last(self, count: int) -> Flow[T_co]:
        """Give the last ``count`` items, at the end."""
        return op.take_last(count)(self._flow)

    def take_until(self, other: Flow[Any]) -> Flow[T_co]:
        """Complete when ``other`` gives an item."""
        return op.take_until(other)(self._flow)

    def split(
        self: Shape[T], where: Callable[[T], object], *, keep: Literal["before", "after"] | None = None
    ) -> Flow[list[T]]:
        """Gather lists of the items between those for which ``where(item)`` is true."""
        return op.split(where, keep=keep)(self._flow)
