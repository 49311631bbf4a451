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

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import Entry
from .functions import add, third
from .models import batched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import Position, Subscription
    from penstock.operators.fanout.publish import Connection
    from penstock.testing import TestSource


def joined(split: Callable[[Any], tuple[Any, ...]]) -> Callable[[TestSource], Any]:
    """Return the merged branches of ``split``."""

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
    """A published flow that connects for each subscription."""

    __slots__ = ()

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        run = ConnectedRun(self.node, position)
        run.connection = self.connect()
        return run


class ConnectedRun(Running[Any]):
    """A subscription that closes its connection too."""

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
            ("broadcast",),
            lambda s, k=k: (s | op.broadcast(1, capacity=k))[0],
            model=iter,
            bound=lambda n, k=k: k + n,
        )
        for k in cases((1, 256), (1, 4, 256))
    ),
    Entry("broadcast, joined", ("broadcast",), both, model=doubled, bound=lambda n: 2 * (3 + n)),
    Entry(
        "broadcast, lossy",
        ("broadcast",),
        lambda s: (s | op.broadcast(1, capacity=2, overflow="latest"))[0],
        model=iter,
    ),
    Entry(
        "partition, joined",
        ("partition",),
        joined(op.partition(third, capacity=2)),
        model=iter,
        noted="partition",
        bound=lambda n: 2 * (2 + n),
    ),
    Entry(
        "partition, one of two",
        ("partition",),
        lambda s: (s | op.partition(third))[0],
        model=lambda i: filter(third, i),
        noted="partition",
    ),
    Entry(
        "partition_by, joined",
        ("partition_by",),
        joined(op.partition_by(lambda x: x // 2, 3)),
        model=iter,
        noted="partition_by",
    ),
    *(
        Entry(
            f"share(capacity={k})",
            ("share",),
            lambda s, k=k: s | op.share(capacity=k),
            model=iter,
            skip=JOINS,
        )
        for k in cases((1,), (1, 256))
    ),
    Entry(
        "replay(2)", ("replay",), lambda s: s | op.replay(2), model=iter, skip=JOINS, bound=lambda n: 258 + n
    ),
    Entry(
        "cache",
        ("cache",),
        lambda s: s | op.cache(60, limit=20),
        model=iter,
        skip=JOINS,
        bound=lambda n: 256 + 20 + n,
    ),
    *(
        Entry(
            f"window({k})",
            ("window",),
            lambda s, k=k: s | op.window(k) | op.map_async(listed, 1),
            model=batched(k),
            known={"folds": True, "prefetches": True},
        )
        for k in cases((3,), (1, 3, 100))
    ),
    Entry(
        "window(3, within)",
        ("window",),
        lambda s: s | op.window(3, within=1e5) | op.map_async(listed, 1),
        model=batched(3),
        known={"folds": True, "prefetches": True},
    ),
    *(
        Entry(
            f"group_by({limit})",
            ("group_by",),
            lambda s, limit=limit: (
                s | op.group_by(lambda x: x % 3, 3, on_limit=limit) | op.map_async(listed, 8)
            ),
            model=grouped,
            noted="group_by",
            known={"folds": True, "prefetches": True},
        )
        for limit in ("error", "complete_oldest")
    ),
    Entry(
        "group_by, merged",
        ("group_by",),
        lambda s: (
            s
            | op.group_by(lambda x: x % 3, 3, capacity=2)
            | op.flat_map_merge(lambda group: group | op.map(add))
        ),
        model=lambda i: map(add, i),
        noted="group_by",
        known={"prefetches": True},
        # every group raises upstream's error, and flat_map_merge ends at the first
        skip=("prefix",),
    ),
    Entry(
        "window, concatenated",
        ("window",),
        lambda s: s | op.window(2) | op.concat_map(lambda window: window | op.map(add)),
        model=lambda i: map(add, i),
        known={"prefetches": True},
    ),
    Entry("publish", ("publish",), lambda s: Connected((s | op.publish()).node), model=iter, skip=JOINS),
]
