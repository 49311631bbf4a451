"""The terminals: methods that consume a flow to its end and close the run."""

from __future__ import annotations

import operator
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import NoItem, TooManyItems
from penstock.fusion.compiled_terminals import Drive
from penstock.fusion.loops import Emit
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.functions import Plain
from penstock.runtime.missing import MISSING
from penstock.runtime.stream import Stream
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from penstock.abc import Ledger, Sink
    from penstock.abc.frames import ArrowTable, PandasFrame, PolarsFrame
    from penstock.document import Document
    from penstock.ingest.into import Delivered
    from penstock.runtime.node import Node

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
D = TypeVar("D")
H = TypeVar("H", bound="Hashable")
K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Terminals(Stream[T_co]):
    """The methods of ``Flow`` that run it."""

    __slots__ = ()

    async def to_list(self: Terminals[T]) -> list[T]:
        """Return all items; needs memory for all of them."""
        items: list[T] = []
        await Drive(self.node, Emit.EACH, items.append).consume()
        return items

    async def to_arrow(self) -> ArrowTable:
        """Return all items as one pyarrow table; needs memory for all of them.

        Documents, and the documents of events, have the columns of a Parquet output, typed as the adapter
        declares. Dictionaries, dataclasses, pydantic models and named tuples are rows by their fields. Any
        other item is the field ``value``. Items become Arrow data in batches.

        Raises:
            MissingExtra: pyarrow is not installed; the message has the command.
            PenstockError: the values of a column have no common type.
        """
        from penstock.sinks.frames import arrow_of

        return await arrow_of(self.node)

    async def to_polars(self) -> PolarsFrame:
        """Return all items as one Polars frame; see ``to_arrow``."""
        from penstock.sinks.frames import polars_of

        return await polars_of(self.node)

    async def to_pandas(self) -> PandasFrame:
        """Return all items as one pandas frame of Arrow types; see ``to_arrow``."""
        from penstock.sinks.frames import pandas_of

        return await pandas_of(self.node)

    async def to_set(self: Terminals[H]) -> set[H]:
        """Return the different items; needs memory for them."""
        items: set[H] = set()
        await Drive(self.node, Emit.EACH, items.add).consume()
        return items

    @overload
    async def to_dict(self: Terminals[T], key: Callable[[T], K]) -> dict[K, T]: ...
    @overload
    async def to_dict(self: Terminals[T], key: Callable[[T], K], value: Callable[[T], V]) -> dict[K, V]: ...
    async def to_dict(
        self, key: Callable[[Any], Any], value: Callable[[Any], Any] | None = None
    ) -> dict[Any, Any]:
        """Return a dictionary of ``key(item)`` to ``value(item)``, or to the item itself.

        If several items have the same key, the last one wins, as in a dict comprehension. To keep all of
        them, use ``group_by``, or ``chunk_by`` for sorted items.
        """
        function_for("to_dict", key, "key")
        if value is not None:
            function_for("to_dict", value, "value")
        found: dict[Any, Any] = {}
        keys, values = Plain(key, "to_dict"), Plain(value, "to_dict")

        def put(item: Any) -> None:
            found[keys.function(item)] = item if value is None else values.function(item)

        await Drive(self.node, Emit.EACH, put).consume()
        return found

    async def head(self: Terminals[T], count: int) -> list[T]:
        """Return the first ``count`` items, or all if there are fewer, and close the run.

        It requests exactly ``count`` items from the flow, and none for ``head(0)``.
        """
        from penstock.operators.shape.take_skip import Take

        positive("head", "count", count, least=0)
        items: list[T] = []
        await Drive(Take(inputs=(self.node,), number=count), Emit.EACH, items.append).consume()
        return items

    @overload
    async def first(self) -> T_co: ...
    @overload
    async def first(self, default: D) -> T_co | D: ...
    async def first(self, default: Any = MISSING) -> Any:
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
    async def last(self, default: Any = MISSING) -> Any:
        """Return the last item.

        Raises:
            NoItem: the flow is empty, and no default was given.
        """
        kept: deque[Any] = deque(maxlen=1)
        await Drive(self.node, Emit.EACH, kept.append).consume()
        return _one(list(kept), default)

    @overload
    async def single(self) -> T_co: ...
    @overload
    async def single(self, default: D) -> T_co | D: ...
    async def single(self, default: Any = MISSING) -> Any:
        """Return the one item of a flow that must have no other.

        It requests one item more to find out.

        Raises:
            NoItem: the flow is empty, and no default was given.
            TooManyItems: there is a second item.
        """
        async with Running[Any](self.node) as subscription:
            items = await subscription.request(2)
            if len(items) == 1:
                items += await subscription.request(1)
            if len(items) > 1:
                msg = "the flow has more than one item; use first() if any of them will do"
                raise TooManyItems(msg)
            return _one(items, default)

    async def any(self, predicate: Callable[[T_co], object] | None = None) -> bool:
        """Return whether ``predicate(item)`` is true for any item; without one, whether any item is true.

        It closes the run at the first such item. Until then it requests more and more items at a time, up to
        256, as ``async for`` does; a source may have produced those that follow the item.
        """
        from penstock.operators.elements.filter import AnyOf

        predicate = bool if predicate is None else predicate
        function_for("any", predicate, "predicate")
        return await _some(AnyOf(inputs=(self.node,), function=predicate))

    async def all(self, predicate: Callable[[T_co], object] | None = None) -> bool:
        """Return whether ``predicate(item)`` is true for all items, or all are true without a predicate.

        It closes the run at the first item for which that is false. It requests items like ``any``.
        """
        from penstock.operators.elements.filter import AllOf

        predicate = bool if predicate is None else predicate
        function_for("all", predicate, "predicate")
        return not await _some(AllOf(inputs=(self.node,), function=predicate))

    async def count(self) -> int:
        """Return how many items there are."""
        total: int = await Drive(self.node, Emit.COUNT).consume()
        return total

    @overload
    async def reduce(self: Terminals[T], function: Callable[[T, T], T]) -> T: ...
    @overload
    async def reduce(self, function: Callable[[U, T_co], U], seed: U) -> U: ...
    async def reduce(self, function: Callable[[Any, Any], Any], seed: Any = MISSING) -> Any:
        """Fold all items from the left: ``total = function(total, item)``.

        The first total is ``seed``, or the first item if there is no seed.

        Raises:
            NoItem: the flow is empty, and no seed was given.
        """
        function_for("reduce", function)
        emit = Emit.FOLD_ITEMS if seed is MISSING else Emit.FOLD
        total = await Drive(self.node, emit, function, seed, terminal="reduce").consume()
        if total is MISSING:
            msg = "reduce of a flow without an item; pass a seed if it may be empty"
            raise NoItem(msg)
        return total

    @overload
    async def sum(self: Terminals[int]) -> int: ...
    @overload
    async def sum(self: Terminals[T]) -> T | int: ...
    @overload
    async def sum(self: Terminals[T], start: U) -> T | U: ...
    async def sum(self: Terminals[Any], start: Any = 0) -> Any:
        """Return ``start`` plus all items, added from the left."""
        return await Drive(self.node, Emit.FOLD, operator.add, start).consume()

    @overload
    async def min(self, key: Callable[[T_co], Any] | None = None) -> T_co: ...
    @overload
    async def min(self, key: Callable[[T_co], Any] | None = None, *, default: D) -> T_co | D: ...
    async def min(self, key: Callable[[Any], Any] | None = None, *, default: Any = MISSING) -> Any:
        """Return the smallest item, by ``key(item)`` if a key is given; the first of several equal ones.

        Raises:
            NoItem: the flow is empty, and no default was given.
        """
        return await _best("min", self.node, operator.lt, key, default)

    @overload
    async def max(self, key: Callable[[T_co], Any] | None = None) -> T_co: ...
    @overload
    async def max(self, key: Callable[[T_co], Any] | None = None, *, default: D) -> T_co | D: ...
    async def max(self, key: Callable[[Any], Any] | None = None, *, default: Any = MISSING) -> Any:
        """Return the largest item, by ``key(item)`` if a key is given; the first of several equal ones.

        Raises:
            NoItem: the flow is empty, and no default was given.
        """
        return await _best("max", self.node, operator.gt, key, default)

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
    if default is MISSING:
        msg = "the flow completed without an item; pass a default if it may be empty"
        raise NoItem(msg)
    return default


async def _some(node: Node) -> bool:
    """Return whether a graph yields an item, and close the run at the first one."""
    async with aclosing(Drive(node, Emit.ITERATE).iterate()) as items:
        async for _ in items:
            return True
    return False


async def _best(
    name: str,
    node: Node,
    better: Callable[[Any, Any], bool],
    key: Callable[[Any], Any] | None,
    default: Any,
) -> Any:
    """Return the first item that no other item is ``better`` than, by its key."""
    if key is None:
        best = await Drive(
            node, Emit.FOLD_ITEMS, lambda best, item: item if better(item, best) else best, MISSING
        ).consume()
        return _one([] if best is MISSING else [best], default)
    function_for(name, key, "key")
    keys = Plain(key, name)

    def fold(best: tuple[Any, Any] | None, item: Any) -> tuple[Any, Any]:
        rank = keys.function(item)
        return (rank, item) if best is None or better(rank, best[0]) else best

    found = await Drive(node, Emit.FOLD, fold, None).consume()
    return _one([] if found is None else [found[1]], default)
