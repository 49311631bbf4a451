"""How a flow is consumed to its end: each asks by slow start, and closes its subscription."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import NoItem
from penstock.fusion import drive as drivers
from penstock.runtime.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.abc import Ledger, Sink
    from penstock.document import Document
    from penstock.ingest.into import Delivered

__all__ = ["Terminals"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
D = TypeVar("D")

_MISSING: Any = object()


class Terminals(Stream[T_co]):
    """The terminals."""

    __slots__ = ()

    async def to_list(self: Terminals[T]) -> list[T]:
        """Return all items; needs memory for all of them."""
        items: list[T] = []
        await drivers.for_each(self.node, items.append)
        return items

    @overload
    async def first(self) -> T_co: ...
    @overload
    async def first(self, default: D) -> T_co | D: ...
    async def first(self, default: Any = _MISSING) -> Any:
        """Return the first item and close.

        Raises:
            NoItem: there was none, and no default was given.
        """
        return _one(await drivers.first(self.node), default)

    @overload
    async def last(self) -> T_co: ...
    @overload
    async def last(self, default: D) -> T_co | D: ...
    async def last(self, default: Any = _MISSING) -> Any:
        """Return the last item.

        Raises:
            NoItem: there was none, and no default was given.
        """
        kept: deque[Any] = deque(maxlen=1)
        await drivers.for_each(self.node, kept.append)
        return _one(list(kept), default)

    async def count(self) -> int:
        """Return how many items there are."""
        return await drivers.count(self.node)

    async def reduce(self, function: Callable[[U, T_co], U], seed: U) -> U:
        """Fold all items from the left, beginning with ``seed``."""
        return await drivers.reduce(self.node, function, seed)

    async def for_each(self, function: Callable[[T_co], object]) -> None:
        """Call ``function(item)`` for every item."""
        await drivers.for_each(self.node, function)

    async def for_each_async(
        self, function: Callable[[T_co], Awaitable[object]], concurrency: int = 8
    ) -> None:
        """Call ``await function(item)`` for every item, ``concurrency`` of them at a time, as they come.

        No item is taken from upstream before a call is free for it. The first error ends it: the calls
        under way are cancelled, and it is raised when they have ended.
        """
        from penstock.operators.concurrency.map_async import each_of

        await drivers.count(each_of(self.node, function, concurrency))

    async def run(self) -> None:
        """Run to the end for the effects along the way, keeping nothing."""
        await drivers.count(self.node)

    async def into(
        self: Terminals[Document] | Terminals[Any],
        sink: Sink,
        *,
        ledger: Ledger | None = None,
        key: str = "default",
        commit_every: int = 1000,
    ) -> Delivered:
        """Stream documents (or the completed documents of an event stream) into a sink, effectively once.

        With a ledger, the run resumes where the last one committed; this call *is* the checkpoint.

        Raises:
            GraphError: a checkpoint stands upstream: two authorities would disagree after a crash.
        """
        from penstock.ingest.into import deliver

        return await deliver(self.node, sink, ledger=ledger, key=key, commit_every=commit_every)


def _one(items: list[Any], default: Any) -> Any:
    if items:
        return items[0]
    if default is _MISSING:
        msg = "the flow completed without an item; pass a default if that is no error"
        raise NoItem(msg)
    return default
