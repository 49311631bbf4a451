"""Operators that make several flows of one, or let several subscribers share one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable

    import penstock.operators as op
    from penstock.core.overflow import OverflowName
    from penstock.flow.flow import Flow
    from penstock.flow.hot import Connectable
else:
    from penstock.flow.late import op

__all__ = ["Fanout"]

T_co = TypeVar("T_co", covariant=True)

CAPACITY = 256


class Fanout(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def broadcast(
        self, count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
    ) -> tuple[Flow[T_co], ...]:
        """Make ``count`` flows that each get every item, of one run of upstream."""
        return op.broadcast(count, capacity=capacity, overflow=overflow)(self._flow)

    def partition(
        self,
        predicate: Callable[[T_co], object],
        *,
        capacity: int = CAPACITY,
        overflow: OverflowName = "wait",
    ) -> tuple[Flow[T_co], Flow[T_co]]:
        """Make two flows: of the items for which ``predicate(item)`` is true, and of all others."""
        return op.partition(predicate, capacity=capacity, overflow=overflow)(self._flow)

    def partition_by(
        self,
        key: Callable[[T_co], object],
        count: int,
        *,
        capacity: int = CAPACITY,
        overflow: OverflowName = "wait",
    ) -> tuple[Flow[T_co], ...]:
        """Make ``count`` flows, and give items with equal ``key(item)`` to the same one."""
        return op.partition_by(key, count, capacity=capacity, overflow=overflow)(self._flow)

    def share(self, *, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Flow[T_co]:
        """Let all subscribers share one run, from the first one to the last."""
        return op.share(capacity=capacity, overflow=overflow)(self._flow)

    def replay(self, count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Flow[T_co]:
        """Share one run, and give those who come late the last ``count`` items first."""
        return op.replay(count, capacity=capacity, overflow=overflow)(self._flow)

    def publish(
        self, *, replay: int = 0, capacity: int = CAPACITY, overflow: OverflowName = "wait"
    ) -> Connectable[T_co]:
        """Share one run that begins with ``connect()``."""
        return op.publish(replay=replay, capacity=capacity, overflow=overflow)(self._flow)
