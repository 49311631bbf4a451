"""``Flow``: the cold, immutable description of a stream, and its fluent face.

The operators stand above this module in the layers, and their functions are the catalogue; the methods
here are thin, so that type checkers infer lambdas and editors complete them after the dot.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from aioreactive import AsyncObservable

from penstock.core import bridge, drivers
from penstock.core.graph import resolve
from penstock.core.subscription import Running
from penstock.errors import NoItem

if TYPE_CHECKING:
    from aioreactive import AsyncObserver
    from aioreactive.types import CloseAsync, SendAsync, ThrowAsync
    from expression import Option
    from expression.system import AsyncDisposable

    import penstock.operators as op
    from penstock.abc import Ledger, Position, Sink, Subscription
    from penstock.core.delivery import Delivered
    from penstock.core.node import Node, Order
    from penstock.core.policy import RetryPolicy
    from penstock.document import Document
else:

    class _Late:
        """The operators, found when they are called: they import this module."""

        def __getattr__(self, name: str) -> Any:
            return getattr(sys.modules["penstock.operators"], name)

    op = _Late()

__all__ = ["Flow"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")
D = TypeVar("D")
Ts = TypeVarTuple("Ts")

_MISSING: Any = object()


class Flow(AsyncObservable[T_co]):
    """A stream that runs when somebody subscribes, afresh each time.

    Compose with ``flow | op.map(f)``, with ``expression.pipe``, or with the methods. Consume with
    ``subscribe()`` and ``request(n)``, with ``async for``, with a terminal such as ``to_list()``, or as
    an aioreactive ``AsyncObservable``.
    """

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    def __repr__(self) -> str:
        names = " | ".join(vertex.node.operator for vertex in resolve(self.node).walk())
        return f"<{type(self).__name__} {names}>"

    # -- running ---------------------------------------------------------------------------------

    def subscribe(self, position: Position | None = None) -> Subscription[T_co]:
        """Return a new run, from the beginning or from a ``position`` of an earlier one.

        Nothing happens before its first request. Use it as an async context manager.

        Raises:
            PositionError: the position belongs to another graph; the message says what differs.
            NotResumable: a position was given, and a node of this flow cannot use one.
        """
        return Running(self.node, position)

    def __aiter__(self) -> AsyncIterator[T_co]:
        return drivers.iterate(self.node)

    def chunked(self, size: int) -> AsyncGenerator[T_co, None]:
        """Iterate like ``async for``, but always request ``size`` items instead of choosing by slow start."""
        return drivers.iterate(self.node, size)

    async def subscribe_async(
        self,
        send: SendAsync[Any] | AsyncObserver[Any] | None = None,
        throw: ThrowAsync | None = None,
        close: CloseAsync | None = None,
    ) -> AsyncDisposable:
        """Drive an aioreactive observer; dispose what this returns to end the run."""
        return await bridge.observe(self.node, bridge.as_observer(send, throw, close))

    # -- what it promises ------------------------------------------------------------------------

    @property
    def order(self) -> Order:
        """How the items depend on the schedule of requests (law 5)."""
        return self.node.order

    @property
    def resumable(self) -> bool:
        """Whether a subscription has a position."""
        return self.node.obstacle is None

    @property
    def exact(self) -> bool:
        """Whether a resumed run loses nothing and repeats nothing."""
        return self.resumable

    def max_in_flight(self, n: int = 1) -> float:
        """Return how many source items can be in flight while ``n`` are requested (law 1)."""
        return self.node.bound(n)

    # -- composing -------------------------------------------------------------------------------

    def __or__(self, step: Callable[[Flow[T_co]], R]) -> R:
        return step(self)

    def map(self, function: Callable[[T_co], U]) -> Flow[U]:
        """Turn each item into ``function(item)``."""
        return op.map(function)(self)

    def starmap(self: Flow[tuple[*Ts]], function: Callable[[*Ts], U]) -> Flow[U]:
        """Turn each item, a tuple, into ``function(*item)``."""
        return op.starmap(function)(self)

    def filter(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Keep the items for which ``function(item)`` is true."""
        return op.filter(function)(self)

    def choose(self, function: Callable[[T_co], Option[U]]) -> Flow[U]:
        """Keep the values of those items for which ``function(item)`` is ``Some(value)``."""
        return op.choose(function)(self)

    def tap(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Call ``function(item)`` for its effect and pass the item on."""
        return op.tap(function)(self)

    def enumerate(self, start: int = 0) -> Flow[tuple[int, T_co]]:
        """Pair each item with its index."""
        return op.enumerate(start)(self)

    def scan(self, function: Callable[[U, T_co], U], seed: U, *, name: str | None = None) -> Flow[U]:
        """Yield each intermediate result of folding from the left."""
        return op.scan(function, seed, name=name)(self)

    def distinct_until_changed(self, key: Callable[[T_co], object] | None = None) -> Flow[T_co]:
        """Drop items that equal the one before."""
        return op.distinct_until_changed(key)(self)

    def flat_map(self, function: Callable[[T_co], Iterable[U]]) -> Flow[U]:
        """Turn each item into the items of ``function(item)``."""
        return op.flat_map(function)(self)

    def take(self, count: int) -> Flow[T_co]:
        """Complete after ``count`` items."""
        return op.take(count)(self)

    def take_while(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Complete before the first item for which ``function(item)`` is false."""
        return op.take_while(function)(self)

    def skip(self, count: int) -> Flow[T_co]:
        """Drop the first ``count`` items."""
        return op.skip(count)(self)

    def skip_while(self, function: Callable[[T_co], object]) -> Flow[T_co]:
        """Drop items up to the first for which ``function(item)`` is false."""
        return op.skip_while(function)(self)

    def batch(self: Flow[T], size: int) -> Flow[list[T]]:
        """Gather lists of ``size`` items; the last may be shorter."""
        return op.batch(size)(self)

    def concat(self: Flow[T], *others: Flow[T]) -> Flow[T]:
        """Continue with the items of ``others``, one after the other."""
        return op.concat(*others)(self)

    def merge(self: Flow[T], *others: Flow[T]) -> Flow[T]:
        """Interleave with the items of ``others``, as they come."""
        return op.merge(*others)(self)

    def map_async(
        self,
        function: Callable[[T_co], Awaitable[U]],
        concurrency: int = 8,
        *,
        ordered: bool = True,
        window: int | None = None,
    ) -> Flow[U]:
        """Turn each item into ``await function(item)``, ``concurrency`` at a time."""
        return op.map_async(function, concurrency, ordered=ordered, window=window)(self)

    def buffer(self, capacity: int) -> Flow[T_co]:
        """Fetch up to ``capacity`` items ahead of demand."""
        return op.buffer(capacity)(self)

    def retry(self, policy: RetryPolicy | None = None, *, attempts: int | None = None) -> Flow[T_co]:
        """Start upstream again from its position when it fails."""
        return op.retry(policy, attempts=attempts)(self)

    def where(self, function: Callable[[Document], object]) -> Flow[T_co]:
        """Skip the documents of an event stream for which ``function(document)`` is false."""
        return op.where(function)(self)

    def batch_progress(self, every: int = 1000) -> Flow[T_co]:
        """Say how far an event stream is, every so many documents."""
        return op.batch_progress(every)(self)

    def checkpoint(self, ledger: Ledger, *, key: str, every: int = 1) -> Flow[T_co]:
        """Commit positions to a ledger as downstream acknowledges items."""
        return op.checkpoint(ledger, key=key, every=every)(self)

    # -- terminals -------------------------------------------------------------------------------

    async def to_list(self: Flow[T]) -> list[T]:
        """Return all items; needs memory for all of them."""
        items: list[T] = []
        await drivers.consume(self.node, items.extend)
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
        kept: list[Any] = []

        def keep(items: list[Any]) -> None:
            kept[:] = items[-1:]

        await drivers.consume(self.node, keep)
        return _one(kept, default)

    async def count(self) -> int:
        """Return how many items there are."""
        return await drivers.consume(self.node, len)

    async def reduce(self, function: Callable[[U, T_co], U], seed: U) -> U:
        """Fold all items from the left, beginning with ``seed``."""
        return await drivers.reduce(self.node, function, seed)

    async def for_each(self, function: Callable[[T_co], object]) -> None:
        """Call ``function(item)`` for every item."""

        def handle(items: list[Any]) -> None:
            for item in items:
                function(item)

        await drivers.consume(self.node, handle)

    async def run(self) -> None:
        """Run to the end for the effects along the way, keeping nothing."""
        await drivers.consume(self.node, len)

    async def into(
        self: Flow[Document] | Flow[Any],
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
        from penstock.core.delivery import deliver

        return await deliver(self.node, sink, ledger=ledger, key=key, commit_every=commit_every)


def _one(items: list[Any], default: Any) -> Any:
    if items:
        return items[0]
    if default is _MISSING:
        msg = "the flow completed without an item; pass a default if that is no error"
        raise NoItem(msg)
    return default
