"""Operators on single items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple, overload

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable

    from expression import Option, Result

    import penstock.operators as op
    from penstock.core.notifications import Notification
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Elements"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
C = TypeVar("C")
E = TypeVar("E")
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

    def distinct(self, key: Callable[[T_co], object] | None = None, *, capacity: int) -> Flow[T_co]:
        """Drop items that equal one of the last ``capacity`` different ones."""
        return op.distinct(key, capacity=capacity)(self._flow)

    def cast(self, kind: type[U]) -> Flow[U]:
        """Say that all items are of the type ``kind``; another one is an error."""
        return op.cast(kind)(self._flow)

    @overload
    def unwrap(self: Elements[Result[T, E]], errors: Callable[[E], object]) -> Flow[T]: ...
    @overload
    def unwrap(self: Elements[Result[T, Any]], errors: Literal["raise", "skip"] = "raise") -> Flow[T]: ...
    def unwrap(self: Elements[Result[T, Any]], errors: Any = "raise") -> Flow[T]:
        """Turn each ``Ok(value)`` into ``value``; raise, skip or hand over the errors."""
        return op.unwrap(errors)(self._flow)

    def pairwise(self: Elements[T]) -> Flow[tuple[T, T]]:
        """Pair each item with the one behind it."""
        return op.pairwise()(self._flow)

    def start_with(self: Elements[T], *items: T) -> Flow[T]:
        """Begin with ``items``."""
        return op.start_with(*items)(self._flow)

    def default_if_empty(self: Elements[T], default: T) -> Flow[T]:
        """Give ``default`` if there is no item."""
        return op.default_if_empty(default)(self._flow)

    def switch_if_empty(self: Elements[T], other: Flow[T]) -> Flow[T]:
        """Go on with ``other`` if there is no item."""
        return op.switch_if_empty(other)(self._flow)

    @overload
    def collect(self: Elements[T]) -> Flow[list[T]]: ...
    @overload
    def collect(self: Elements[T], into: Callable[[list[T]], C]) -> Flow[C]: ...
    @overload
    def collect(self: Elements[T], into: Callable[[], C], add: Callable[[C, T], object]) -> Flow[C]: ...
    def collect(self, into: Any = list, add: Any = None) -> Any:
        """Make one item of all items, at the end."""
        return op.collect(into, add)(self._flow)

    def materialize(self: Elements[T]) -> Flow[Notification[T]]:
        """Turn items, the end and a failure into ``Next``, ``Completed`` and ``Failed``."""
        return op.materialize()(self._flow)

    def dematerialize(self: Elements[Notification[T]]) -> Flow[T]:
        """Undo ``materialize``."""
        return op.dematerialize()(self._flow)
