"""Operators on single items."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from expression import Error, Ok

import penstock.operators as op
from penstock.operators.elements.notifications import Completed, Failed, Next
from penstock.sources.trivial import empty
from penstock.testing.script import Planted

from .entry import (
    Entry,
    add,
    changed,
    chosen,
    lone,
    scanned,
    small,
    some,
    tapped,
    third,
    total,
    touch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def key(x: int) -> int:
    return (x * x) % 7


def unseen(capacity: int) -> Callable[[Iterator[int]], Iterator[int]]:
    """Return the model of ``distinct`` with the key above."""

    def model(items: Iterator[int]) -> Iterator[int]:
        met: OrderedDict[int, None] = OrderedDict()
        for item in items:
            known = key(item) in met
            met[key(item)] = None
            met.move_to_end(key(item))
            if len(met) > capacity:
                met.popitem(last=False)
            if not known:
                yield item

    return model


def result(x: int) -> Any:
    return Ok(x + 1) if x % 3 else Error(x)


def told(items: Iterable[Any]) -> Iterator[Any]:
    """Say what ``materialize`` says."""
    try:
        yield from map(Next, items)
    except Planted as error:
        yield Failed(error)
    else:
        yield Completed()


def worded(note: Any) -> Any:
    """Leave out of a notification which of several like errors it carries."""
    return Failed if isinstance(note, Failed) else note


def listed(items: Iterator[Any]) -> Iterator[list[Any]]:
    yield list(items)


def totalled(items: Iterator[int]) -> Iterator[int]:
    yield sum(items) + 1


def _distinct_entries() -> Iterator[Entry]:
    for capacity in (1, 2, 100):
        yield Entry(
            f"distinct(capacity={capacity})",
            lambda s, k=capacity: s | op.distinct(key, capacity=k),
            inputs=((0, 3, 6, 4, 1, 6, 2, 0, 5, 8),),
            model=unseen(capacity),
            operator="distinct",
            bound=float,
        )


def _empty_entries() -> Iterator[Entry]:
    for script in ((), (5, 6, 7)):
        yield Entry(
            f"default_if_empty of {len(script)}",
            lambda s: s | op.filter(small) | op.default_if_empty(9),
            (script,),
            model=lambda i: iter([*filter(small, i)] or [9]),
            bound=float,
        )
        yield Entry(
            f"switch_if_empty of {len(script)}",
            lambda a, b: a | op.filter(small) | op.switch_if_empty(b),
            (script, (1, 2, 3)),
            model=lambda a, b: iter([*filter(small, a)] or b),
            bound=float,
        )


ENTRIES = [
    Entry("map", lambda s: s | op.map(add), model=lambda i: map(add, i), operator="map"),
    Entry("filter", lambda s: s | op.filter(third), model=lambda i: filter(third, i), operator="filter"),
    Entry("choose", lambda s: s | op.choose(some), model=chosen, operator="choose"),
    Entry("tap", lambda s: s | op.tap(touch), model=tapped, operator="tap"),
    Entry(
        "starmap",
        lambda s: s | op.map(lambda x: (x, 1)) | op.starmap(total),
        model=lambda i: (x + 1 for x in i),
        operator="starmap",
    ),
    Entry("enumerate", lambda s: s | op.enumerate(5), model=lambda i: enumerate(i, 5)),
    Entry("scan", lambda s: s | op.scan(total, 0), model=scanned, operator="scan"),
    Entry(
        "distinct_until_changed",
        lambda s: s | op.distinct_until_changed(lambda x: x // 3),
        model=changed,
        operator="distinct_until_changed",
    ),
    *_distinct_entries(),
    Entry("cast", lambda s: s | op.cast(int), model=iter, bound=float),
    Entry(
        "unwrap(skip)",
        lambda s: s | op.map(result) | op.unwrap(errors="skip"),
        model=lambda i: (x + 1 for x in i if x % 3),
        bound=float,
    ),
    Entry(
        "unwrap(function)",
        lambda s: s | op.map(Error) | op.unwrap(touch),
        model=lambda i: (x for x in tapped(i) if False),
        operator="unwrap",
    ),
    Entry(
        "pairwise",
        lambda s: s | op.pairwise(),
        model=itertools.pairwise,
        known={"folds": True},
        bound=lambda n: n + 1,
    ),
    Entry(
        "start_with",
        lambda s: s | op.start_with(8, 9),
        model=lambda i: itertools.chain((8, 9), i),
        bound=float,
    ),
    *_empty_entries(),
    Entry("switch_if_empty(empty)", lambda s: empty() | op.switch_if_empty(s), model=iter),
    Entry("collect", lambda s: s | op.collect(), model=listed, known={"folds": True}, bound=lone),
    Entry(
        "collect(make, add)",
        lambda s: s | op.collect(lambda: [1], lambda c, x: c.append(x + c.pop())) | op.map(sum),
        model=totalled,
        operator="collect",
        known={"folds": True},
    ),
    Entry("materialize", lambda s: s | op.materialize(), model=told, known={"same": worded}, bound=float),
    Entry(
        "materialize|dematerialize",
        lambda s: s | op.materialize() | op.dematerialize(),
        model=iter,
        known={"closes_early": True},
    ),
    Entry(
        "dematerialize",
        lambda s: s | op.map(lambda x: Next(x) if x < 4 else Completed()) | op.dematerialize(),
        model=lambda i: itertools.takewhile(small, i),
        known={"closes_early": True},
    ),
]
