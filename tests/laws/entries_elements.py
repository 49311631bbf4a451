"""Operators on single items."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from expression import Error, Ok

import penstock.operators as op
from penstock.operators.elements.notifications import Completed, Failed, Next
from penstock.sources.trivial import empty
from penstock.testing.script import Planted

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import Entry
from .functions import add, growing, half, remaining, small, some, square, third, total, touch
from .models import changed, chosen, listed, mapped_with_state, or_default, scanned, tapped, unbounded, unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def result(x: int) -> Any:
    return Ok(x + 1) if x % 3 else Error(x)


def told(items: Iterable[Any]) -> Iterator[Any]:
    """Model ``materialize``."""
    try:
        yield from map(Next, items)
    except Planted as error:
        yield Failed(error)
    else:
        yield Completed()


def worded(note: Any) -> Any:
    """Compare notifications of a failure as equal: the laws plant a new error in each run."""
    return Failed if isinstance(note, Failed) else note


def totalled(items: Iterator[int]) -> Iterator[int]:
    yield sum(items) + 1


def _distinct_entries() -> Iterator[Entry]:
    for capacity in cases((2, 100), (1, 2, 100)):
        yield Entry(
            f"distinct(capacity={capacity})",
            ("distinct",),
            lambda s, k=capacity: s | op.distinct(square, capacity=k),
            inputs=((0, 3, 6, 4, 1, 6, 2, 0, 5, 8),),
            model=unseen(square, capacity),
            noted="distinct",
            bound=float,
        )


def _stateful_entries() -> Iterator[Entry]:
    for finish in (None, remaining):
        yield Entry(
            f"stateful(finish={finish and finish.__name__})",
            ("stateful",),
            lambda s, finish=finish: s | op.stateful([], growing, finish),
            model=mapped_with_state([], growing, finish),
            noted="stateful",
            known={"folds": True},
            bound=lambda n: 2 * n,
        )
    yield Entry(
        "take|stateful(finish)|map",
        ("stateful",),
        lambda s: s | op.filter(third) | op.take(3) | op.stateful([], growing, remaining) | op.map(add),
        model=lambda i: map(
            add, mapped_with_state([], growing, remaining)(itertools.islice(filter(third, i), 3))
        ),
        known={"folds": True, "closes_early": True},
    )


def _empty_entries() -> Iterator[Entry]:
    for script in ((), (5, 6, 7)):
        yield Entry(
            f"default_if_empty of {len(script)}",
            ("default_if_empty",),
            lambda s: s | op.filter(small) | op.default_if_empty(9),
            (script,),
            model=lambda i: or_default(9)(filter(small, i)),
            bound=float,
        )
        yield Entry(
            f"switch_if_empty of {len(script)}",
            ("switch_if_empty",),
            lambda a, b: a | op.filter(small) | op.switch_if_empty(b),
            (script, (1, 2, 3)),
            model=lambda a, b: iter([*filter(small, a)] or b),
            bound=float,
        )
    yield Entry(
        "switch_if_empty(empty)",
        ("switch_if_empty",),
        lambda s: empty() | op.switch_if_empty(s),
        model=iter,
    )


ENTRIES = [
    Entry("map", ("map",), lambda s: s | op.map(add), model=lambda i: map(add, i), noted="map"),
    Entry(
        "filter",
        ("filter",),
        lambda s: s | op.filter(third),
        model=lambda i: filter(third, i),
        noted="filter",
    ),
    Entry("choose", ("choose",), lambda s: s | op.choose(some), model=chosen, noted="choose"),
    Entry("tap", ("tap",), lambda s: s | op.tap(touch), model=tapped, noted="tap"),
    Entry(
        "starmap",
        ("starmap",),
        lambda s: s | op.map(lambda x: (x, 1)) | op.starmap(total),
        model=lambda i: (x + 1 for x in i),
        noted="starmap",
    ),
    Entry("enumerate", ("enumerate",), lambda s: s | op.enumerate(5), model=lambda i: enumerate(i, 5)),
    Entry("scan", ("scan",), lambda s: s | op.scan(total, 0), model=scanned(total, 0), noted="scan"),
    Entry(
        "scan without a seed",
        ("scan",),
        lambda s: s | op.scan(total),
        model=lambda i: itertools.accumulate(i, total),
        noted="scan",
    ),
    *_stateful_entries(),
    Entry(
        "distinct_until_changed",
        ("distinct_until_changed",),
        lambda s: s | op.distinct_until_changed(half),
        model=changed(half),
        noted="distinct_until_changed",
    ),
    *_distinct_entries(),
    Entry("cast", ("cast",), lambda s: s | op.cast(int), model=iter, bound=float),
    Entry(
        "unwrap(skip)",
        ("unwrap",),
        lambda s: s | op.map(result) | op.unwrap(errors="skip"),
        model=lambda i: (x + 1 for x in i if x % 3),
        bound=float,
    ),
    Entry(
        "unwrap(function)",
        ("unwrap",),
        lambda s: s | op.map(Error) | op.unwrap(touch),
        model=lambda i: (x for x in tapped(i) if False),
        noted="unwrap",
    ),
    Entry(
        "pairwise",
        ("pairwise",),
        lambda s: s | op.pairwise(),
        model=itertools.pairwise,
        known={"folds": True},
        bound=lambda n: n + 1,
    ),
    Entry(
        "intersperse",
        ("intersperse",),
        lambda s: s | op.intersperse(9),
        model=lambda i: itertools.islice((y for x in i for y in (9, x)), 1, None),
        bound=lambda n: 2 * n,
    ),
    Entry(
        "start_with",
        ("start_with",),
        lambda s: s | op.start_with(8, 9),
        model=lambda i: itertools.chain((8, 9), i),
        bound=float,
    ),
    *_empty_entries(),
    Entry(
        "collect",
        ("collect",),
        lambda s: s | op.collect(),
        model=listed,
        known={"folds": True},
        bound=unbounded,
    ),
    Entry(
        "collect(make, add)",
        ("collect",),
        lambda s: s | op.collect(lambda: [1], lambda c, x: c.append(x + c.pop())) | op.map(sum),
        model=totalled,
        noted="collect",
        known={"folds": True},
    ),
    Entry(
        "materialize",
        ("materialize",),
        lambda s: s | op.materialize(),
        model=told,
        known={"same": worded},
        bound=float,
    ),
    Entry(
        "materialize|dematerialize",
        ("materialize", "dematerialize"),
        lambda s: s | op.materialize() | op.dematerialize(),
        model=iter,
        known={"closes_early": True},
    ),
    Entry(
        "dematerialize",
        ("dematerialize",),
        lambda s: s | op.map(lambda x: Next(x) if x < 4 else Completed()) | op.dematerialize(),
        model=lambda i: itertools.takewhile(small, i),
        known={"closes_early": True},
    ),
]
