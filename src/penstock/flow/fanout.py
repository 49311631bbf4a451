"""Operators that make several flows of one, or let several subscribers share one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import penstock.operators as op
    from penstock.core.overflow import OverflowName
    from penstock.flow.flow import Flow
    from penstock.flow.hot import Connectable, GroupedFlow
else:
    from penstock.flow.late import op

__all__ = ["Fanout"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
K = TypeVar("K", bound="Hashable")

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

    def group_by(
        self,
        key: Callable[[T_co], K],
        max_groups: int = 256,
        *,
        capacity: int = 64,
        on_limit: Literal["error", "complete_oldest"] = "error",
        patience: float | None = 30.0,
    ) -> Flow[GroupedFlow[K, T_co]]:
        """Make a flow of one flow per key, which has the items with that ``key(item)``, and the ``key``."""
        return op.group_by(key, max_groups, capacity=capacity, on_limit=on_limit, patience=patience)(
            self._flow
        )

    def window(self: Fanout[T], size: int) -> Flow[Flow[T]]:
        """Make a flow of flows of ``size`` items each; the last may have fewer."""
        return op.window(size)(self._flow)
