"""The terminals: methods that consume a flow to its end and close the run."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import NoItem
from penstock.fusion.compiled_terminals import Drive
from penstock.fusion.loops import Emit
from penstock.runtime.arguments import function_for
from penstock.runtime.stream import Stream
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.abc import Ledger, Sink
    from penstock.document import Document
    from penstock.ingest.into import Delivered

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
D = TypeVar("D")

_MISSING: Any = object()


class Terminals(Stream[T_co]):
    """The methods of ``Flow`` that run it."""

    __slots__ = ()

    async def to_list(self: Terminals[T]) -> list[T]:
        """Return all items; needs memory for all of them."""
        items: list[T] = []
        await Drive(self.node, Emit.EACH, items.append).consume()
        return items

    @overload
    async def first(self) -> T_co: ...
    @overload
    async def first(self, default: D) -> T_co | D: ...
    async def first(self, default: Any = _MISSING) -> Any:
        """Return the first item and close the run.

        Raises:
            NoItem: the flow is empty, and no default was given.
        """
        async with Running[Any](self.node) as subscription:
            return _one(await subscription.request(1), default)

    @overload
    async def last(self) -> T_co: ...
    @overload
    async def last(self, default: D) -> T_co | D: ...
    async def last(self, default: Any = _MISSING) -> Any:
        """Return the last item.

        Raises:
            NoItem: the flow is empty, and no default was given.
        """
        kept: deque[Any] = deque(maxlen=1)
        await Drive(self.node, Emit.EACH, kept.append).consume()
        return _one(list(kept), default)

    async def count(self) -> int:
        """Return how many items there are."""
        total: int = await Drive(self.node, Emit.COUNT).consume()
        return total

    async def reduce(self, function: Callable[[U, T_co], U], seed: U) -> U:
        """Fold all items from the left, beginning with ``seed``."""
        function_for("reduce", function)
        total: U = await Drive(self.node, Emit.FOLD, function, seed, terminal="reduce").consume()
        return total

    async def for_each(self, function: Callable[[T_co], object]) -> None:
        """Call ``function(item)`` for every item."""
        function_for("for_each", function)
        await Drive(self.node, Emit.EACH, function, terminal="for_each").consume()

    async def for_each_async(
        self, function: Callable[[T_co], Awaitable[object]], concurrency: int = 8
    ) -> None:
        """Await ``function(item)`` for every item, up to ``concurrency`` calls at a time.

        No item is taken from upstream before a call is free for it. The first error cancels the pending
        calls and is raised when they have ended.
        """
        from penstock.operators.concurrency.map_async import each_of

        await Drive(each_of(self.node, function, concurrency), Emit.COUNT).consume()

    async def run(self) -> None:
        """Run to the end and drop all items, for the side effects of the operators."""
        await Drive(self.node, Emit.COUNT).consume()

    async def into(
        self: Terminals[Document] | Terminals[Any],
        sink: Sink,
        *,
        ledger: Ledger | None = None,
        key: str = "default",
        commit_every: int = 1000,
    ) -> Delivered:
        """Write documents (or the completed documents of an event stream) into a sink, effectively once.

        With a ledger, the run resumes where the last one committed: this call is a checkpoint.

        Raises:
            GraphError: a checkpoint stands upstream; after a crash the two positions could disagree.
        """
        from penstock.ingest.into import deliver

        return await deliver(self.node, sink, ledger=ledger, key=key, commit_every=commit_every)


def _one(items: list[Any], default: Any) -> Any:
    if items:
        return items[0]
    if default is _MISSING:
        msg = "the flow completed without an item; pass a default if it may be empty"
        raise NoItem(msg)
    return default
