"""Operators that let work overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import penstock.operators as op
    from penstock.core.overflow import OverflowName
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Concurrency"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Concurrency(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def map_async(
        self,
        function: Callable[[T_co], Awaitable[U]],
        concurrency: int = 8,
        *,
        ordered: bool = True,
        window: int | None = None,
    ) -> Flow[U]:
        """Turn each item into ``await function(item)``, ``concurrency`` at a time."""
        return op.map_async(function, concurrency, ordered=ordered, window=window)(self._flow)

    def filter_async(
        self,
        function: Callable[[T_co], Awaitable[object]],
        concurrency: int = 8,
        *,
        ordered: bool = True,
        window: int | None = None,
    ) -> Flow[T_co]:
        """Keep the items for which ``await function(item)`` is true, ``concurrency`` at a time."""
        return op.filter_async(function, concurrency, ordered=ordered, window=window)(self._flow)

    def map_thread(
        self,
        function: Callable[[T_co], U],
        concurrency: int = 8,
        *,
        ordered: bool = True,
        window: int | None = None,
    ) -> Flow[U]:
        """Turn each item into ``function(item)``, called in ``concurrency`` threads."""
        return op.map_thread(function, concurrency, ordered=ordered, window=window)(self._flow)

    def map_process(
        self,
        function: Callable[[T_co], U],
        processes: int | None = None,
        *,
        ordered: bool = True,
        window: int | None = None,
    ) -> Flow[U]:
        """Turn each item into ``function(item)``, called in worker processes."""
        return op.map_process(function, processes, ordered=ordered, window=window)(self._flow)

    def buffer(self, capacity: int, overflow: OverflowName = "wait") -> Flow[T_co]:
        """Fetch up to ``capacity`` items ahead of demand; ``overflow`` says what a full buffer does."""
        return op.buffer(capacity, overflow)(self._flow)

    def prefetch(self, count: int) -> Flow[T_co]:
        """Ask for ``count`` items ahead, and for more when three quarters of them were taken."""
        return op.prefetch(count)(self._flow)

    def limit_rate(self, high: int, low: int | None = None) -> Flow[T_co]:
        """Ask upstream for ``high`` items first, and for ``low`` more each time so many were taken."""
        return op.limit_rate(high, low)(self._flow)
