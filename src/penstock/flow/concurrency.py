"""Operators that let work overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import penstock.operators as op
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

    def buffer(self, capacity: int) -> Flow[T_co]:
        """Fetch up to ``capacity`` items ahead of demand."""
        return op.buffer(capacity)(self._flow)
