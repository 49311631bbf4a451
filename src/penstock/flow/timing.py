"""Operators that look at the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    import penstock.operators as op
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Timing"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")


class Timing(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def throttle(self, rate: float, burst: int = 1, *, per: float = 1.0) -> Flow[T_co]:
        """Let ``rate`` items pass in ``per`` seconds, by asking for no more than that."""
        return op.throttle(rate, burst, per=per)(self._flow)

    def debounce(self, seconds: float) -> Flow[T_co]:
        """Let an item pass when no other has come for ``seconds``."""
        return op.debounce(seconds)(self._flow)

    def sample(self, every: float | Flow[Any]) -> Flow[T_co]:
        """Let the newest item pass every so many seconds, or whenever another flow gives an item."""
        return op.sample(every)(self._flow)

    def delay(self, seconds: float, capacity: int = 256) -> Flow[T_co]:
        """Let each item pass ``seconds`` after it came."""
        return op.delay(seconds, capacity)(self._flow)

    def timeout(
        self: Timing[T],
        *,
        each: float | None = None,
        first: float | None = None,
        fallback: Flow[T] | None = None,
    ) -> Flow[T]:
        """Fail if upstream gives nothing for too long, or go on with ``fallback``."""
        if fallback is None:
            return op.timeout(each=each, first=first)(self._flow)
        return op.timeout(each=each, first=first, fallback=fallback)(self._flow)

    def timestamp(self) -> Flow[tuple[float, T_co]]:
        """Pair each item with the Unix time at which it came."""
        return op.timestamp()(self._flow)

    def elapsed(self) -> Flow[tuple[float, T_co]]:
        """Pair each item with the seconds since the item before."""
        return op.elapsed()(self._flow)

    def keep_alive(self, seconds: float, item: U) -> Flow[T_co | U]:
        """Insert ``item`` whenever upstream had nothing for ``seconds``."""
        return op.keep_alive(seconds, item)(self._flow)
