"""Operators that make several flows of one, or let several subscribers share one run.

What several subscribers see of each other has tests of its own (``tests/operators/test_fanout.py``); here
each flow is held to the laws alone, or joined again with the others that came out of the same operator.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import penstock.operators as op
from penstock import Connectable
from penstock.runtime.subscription import Running

from .entry import (
    Entry,
    add,
    batched,
    third,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import Position, Subscription
    from penstock.operators.fanout.publish import Connection
    from penstock.testing import TestSource


def joined(split: Callable[[Any], tuple[Any, ...]]) -> Callable[[TestSource], Any]:
    """Return a flow of all that comes out of the branches of ``split``."""

    def factory(source: TestSource) -> Any:
        first, *others = split(source)
        return first | op.merge(*others)

    return factory


def both(source: TestSource) -> Any:
    first, second = source | op.broadcast(2, capacity=3)
    return first | op.merge(second | op.map(add))


def doubled(items: Iterator[int]) -> Iterator[int]:
    return itertools.chain.from_iterable((x, add(x)) for x in items)


class Connected(Connectable[Any]):
    """A published flow whose connection lasts as long as each subscription."""

    __slots__ = ()

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        run = ConnectedRun(self.node, position)
        run.connection = self.connect()
        return run


class ConnectedRun(Running[Any]):
    """A subscription that is closed with its connection."""

    connection: Connection

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            await self.connection.aclose()


async def listed(flow: Any) -> list[Any]:
    result: list[Any] = await flow.to_list()
    return result


def grouped(items: Iterator[int]) -> Iterator[list[int]]:
    groups: dict[int, list[int]] = {}
    for item in items:
        groups.setdefault(item % 3, []).append(item)
    yield from groups.values()


# the second run of two at a time joins the first one at the present; tests of its own say how
JOINS = ("cold",)

ENTRIES = [
    *(
        Entry(
            f"broadcast(1, capacity={k})",
            lambda s, k=k: (s | op.broadcast(1, capacity=k))[0],
            model=iter,
            bound=lambda n, k=k: k + n,
        )
        for k in (1, 4, 256)
    ),
    Entry("broadcast, joined", both, model=doubled, bound=lambda n: 2 * (3 + n)),
    Entry("broadcast, lossy", lambda s: (s | op.broadcast(1, capacity=2, overflow="latest"))[0], model=iter),
    Entry(
        "partition, joined",
        joined(op.partition(third, capacity=2)),
        model=iter,
        operator="partition",
        bound=lambda n: 2 * (2 + n),
    ),
    Entry(
        "partition, one of two",
        lambda s: (s | op.partition(third))[0],
        model=lambda i: filter(third, i),
        operator="partition",
    ),
    Entry(
        "partition_by, joined",
        joined(op.partition_by(lambda x: x // 2, 3)),
        model=iter,
        operator="partition_by",
    ),
    *(
        Entry(f"share(capacity={k})", lambda s, k=k: s | op.share(capacity=k), model=iter, skip=JOINS)
        for k in (1, 256)
    ),
    Entry("replay(2)", lambda s: s | op.replay(2), model=iter, skip=JOINS, bound=lambda n: 258 + n),
    *(
        Entry(
            f"window({k})",
            lambda s, k=k: s | op.window(k) | op.map_async(listed, 1),
            model=batched(k),
            known={"folds": True, "prefetches": True},
        )
        for k in (1, 3, 100)
    ),
    *(
        Entry(
            f"group_by({limit})",
            lambda s, limit=limit: (
                s | op.group_by(lambda x: x % 3, 3, on_limit=limit) | op.map_async(listed, 8)
            ),
            model=grouped,
            operator="group_by",
            known={"folds": True, "prefetches": True},
        )
        for limit in ("error", "complete_oldest")
    ),
    Entry(
        "group_by, merged",
        lambda s: (
            s
            | op.group_by(lambda x: x % 3, 3, capacity=2)
            | op.flat_map_merge(lambda group: group | op.map(add))
        ),
        model=lambda i: map(add, i),
        operator="group_by",
        known={"prefetches": True},
        # upstream's error comes by every group, and flat_map_merge ends with the first that brings it
        skip=("prefix",),
    ),
    Entry(
        "window, concatenated",
        lambda s: s | op.window(2) | op.concat_map(lambda window: window | op.map(add)),
        model=lambda i: map(add, i),
        known={"prefetches": True},
    ),
    Entry("publish", lambda s: Connected((s | op.publish()).node), model=iter, skip=JOINS),
]
