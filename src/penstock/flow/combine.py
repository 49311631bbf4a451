"""Operators that join several flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable

    import penstock.operators as op
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Combine"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


class Combine(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def concat(self: Combine[T], *others: Flow[T]) -> Flow[T]:
        """Continue with the items of ``others``, one after the other."""
        return op.concat(*others)(self._flow)

    def merge(
        self: Combine[T], *others: Flow[T], max_concurrent: int | None = None, delay_errors: bool = False
    ) -> Flow[T]:
        """Interleave with the items of ``others``, as they come."""
        return op.merge(*others, max_concurrent=max_concurrent, delay_errors=delay_errors)(self._flow)

    def concat_map(self, function: Callable[[T_co], Flow[U]], *, order: str = "exact") -> Flow[U]:
        """Yield the items of the flow of each item, one flow after the other."""
        return op.concat_map(function, order=order)(self._flow)

    def flat_map_merge(
        self, function: Callable[[T_co], Flow[U]], concurrency: int = 8, *, order: str = "exact"
    ) -> Flow[U]:
        """Yield the items of the flow of each item, ``concurrency`` flows at a time."""
        return op.flat_map_merge(function, concurrency, order=order)(self._flow)

    def switch_map(self, function: Callable[[T_co], Flow[U]], *, order: str = "exact") -> Flow[U]:
        """Yield the items of the flow of the latest item."""
        return op.switch_map(function, order=order)(self._flow)

    def interleave(self: Combine[T], *others: Flow[T]) -> Flow[T]:
        """Take turns with ``others``, one item each."""
        return op.interleave(*others)(self._flow)

    def merge_sorted(
        self: Combine[T], *others: Flow[T], key: Callable[[T], Any] | None = None, reverse: bool = False
    ) -> Flow[T]:
        """Merge with ``others``, all of them sorted, into one sorted flow."""
        return op.merge_sorted(*others, key=key, reverse=reverse)(self._flow)

    def race(self: Combine[T], *others: Flow[T]) -> Flow[T]:
        """Go on with this flow or one of ``others``, whichever gives an item first."""
        return op.race(*others)(self._flow)

    def sequence_equal(
        self, other: Flow[Any], equal: Callable[[Any, Any], object] | None = None
    ) -> Flow[bool]:
        """Yield one item: whether this flow and ``other`` have equal items."""
        return op.sequence_equal(other, equal)(self._flow)

    @overload
    def zip(self, *, strict: bool = False) -> Flow[tuple[T_co]]: ...
    @overload
    def zip(self, a: Flow[A], /, *, strict: bool = False) -> Flow[tuple[T_co, A]]: ...
    @overload
    def zip(self, a: Flow[A], b: Flow[B], /, *, strict: bool = False) -> Flow[tuple[T_co, A, B]]: ...
    @overload
    def zip(
        self, a: Flow[A], b: Flow[B], c: Flow[C], /, *, strict: bool = False
    ) -> Flow[tuple[T_co, A, B, C]]: ...
    @overload
    def zip(
        self, a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /, *, strict: bool = False
    ) -> Flow[tuple[T_co, A, B, C, D]]: ...
    @overload
    def zip(self, *others: Flow[Any], strict: bool = False) -> Flow[tuple[Any, ...]]: ...
    def zip(self, *others: Flow[Any], strict: bool = False) -> Flow[Any]:
        """Pair the items with those of ``others``; end with the shortest."""
        return op.zip(*others, strict=strict)(self._flow)

    @overload
    def combine_latest(self, a: Flow[A], /) -> Flow[tuple[T_co, A]]: ...
    @overload
    def combine_latest(self, a: Flow[A], b: Flow[B], /) -> Flow[tuple[T_co, A, B]]: ...
    @overload
    def combine_latest(self, a: Flow[A], b: Flow[B], c: Flow[C], /) -> Flow[tuple[T_co, A, B, C]]: ...
    @overload
    def combine_latest(
        self, a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /
    ) -> Flow[tuple[T_co, A, B, C, D]]: ...
    @overload
    def combine_latest(self, *others: Flow[Any]) -> Flow[tuple[Any, ...]]: ...
    def combine_latest(self, *others: Flow[Any]) -> Flow[Any]:
        """Yield the latest items of all flows whenever one gives an item."""
        return op.combine_latest(*others)(self._flow)

    @overload
    def with_latest_from(self, a: Flow[A], /) -> Flow[tuple[T_co, A]]: ...
    @overload
    def with_latest_from(self, a: Flow[A], b: Flow[B], /) -> Flow[tuple[T_co, A, B]]: ...
    @overload
    def with_latest_from(self, a: Flow[A], b: Flow[B], c: Flow[C], /) -> Flow[tuple[T_co, A, B, C]]: ...
    @overload
    def with_latest_from(
        self, a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /
    ) -> Flow[tuple[T_co, A, B, C, D]]: ...
    @overload
    def with_latest_from(self, *others: Flow[Any]) -> Flow[tuple[Any, ...]]: ...
    def with_latest_from(self, *others: Flow[Any]) -> Flow[Any]:
        """Yield each item with the latest items of ``others``."""
        return op.with_latest_from(*others)(self._flow)

    @overload
    def zip_latest(
        self, a: Flow[A], /, *, partial: bool = True, default: None = None
    ) -> Flow[tuple[T_co | None, A | None]]: ...
    @overload
    def zip_latest(
        self, a: Flow[A], /, *, partial: bool = True, default: D
    ) -> Flow[tuple[T_co | D, A | D]]: ...
    @overload
    def zip_latest(
        self, *others: Flow[Any], partial: bool = True, default: Any = None
    ) -> Flow[tuple[Any, ...]]: ...
    def zip_latest(self, *others: Flow[Any], partial: bool = True, default: Any = None) -> Flow[Any]:
        """Yield the latest items of all flows from the first item on, filled up with ``default``."""
        step: Any = op.zip_latest(*others, partial=partial, default=default)
        joined: Flow[Any] = step(self._flow)
        return joined
