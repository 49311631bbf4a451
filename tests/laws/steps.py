"""``Step``, one operator of a random graph, and the steps with operators that ``graphs`` does not name."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op

from .entries_failure import Broken, breaking
from .entries_one_by_one import delayed
from .functions import (
    add,
    growing,
    half,
    lazily,
    links,
    links_later,
    shouted,
    small,
    third,
    third_after_a_while,
    total,
    touch,
    touched,
)
from .models import expanded, flat, mapped_with_state, scanned, through_first, weighed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Step:
    """One operator with its model; ``free``: the order of its input does not matter."""

    name: str
    apply: Callable[[Any], Any]
    model: Callable[[Iterator[Any]], Iterator[Any]]
    free: bool = True
    disorders: bool = False
    folds: bool = False
    closes_early: bool = False
    prefetches: bool = False
    adds: bool = False  # whether it emits items that come from no input


def _same(items: Iterator[Any]) -> Iterator[Any]:
    return items


def _replaced(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        try:
            yield breaking(item)
        except Broken:
            yield -1


def _mended(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        try:
            yield breaking(item)
        except Broken:
            continue


def _folds(name: str, operator: Any, model: Any, **facts: bool) -> Step:
    """Return a step with an operator that yields lists; each is summed, so that the next step gets integers."""
    return Step(
        f"{name}|map(sum)",
        lambda flow: flow | operator | op.map(sum),
        lambda items: map(sum, model(items)),
        free=False,
        folds=True,
        **facts,
    )


def _element_at(index: int) -> Step:
    return Step(
        f"element_at({index}, -1)",
        op.element_at(index, -1),
        lambda items: itertools.islice(itertools.chain(itertools.islice(items, index, index + 1), [-1]), 1),
        free=False,
        closes_early=True,
        adds=True,
    )


def _replacing(operator: Any, model: Any) -> Step:
    name = "map|on_error_skip" if model is _mended else "map|on_error_replace"
    return Step(name, lambda flow: flow | op.map(breaking) | operator, model)


_FIXED = [
    Step("stateful", op.stateful([], growing), mapped_with_state([], growing, None), free=False, folds=True),
    Step("through", op.through(shouted, holds=0), lambda items: map(add, items), prefetches=True),
    Step("expand", op.expand(links), expanded(links), free=False),
    Step("expand(async)", op.expand(links_later), expanded(links), free=False),
    Step(
        "take_while(inclusive)",
        op.take_while(small, inclusive=True),
        through_first(small),
        free=False,
        closes_early=True,
    ),
    Step(
        "take_while_async",
        op.take_while_async(delayed(small, "a turn")),
        lambda items: itertools.takewhile(small, items),
        free=False,
        closes_early=True,
    ),
    Step(
        "skip_while_async",
        op.skip_while_async(delayed(small, "a while")),
        lambda items: itertools.dropwhile(small, items),
        free=False,
    ),
    Step(
        "tap_async",
        op.tap_async(delayed(touch, "a while")),
        lambda items: (x for x in items if x + 1 is not x),
    ),
    Step("scan_async", op.scan_async(delayed(total, "a turn"), 5), scanned(total, 5), free=False),
    Step(
        "filter_async",
        op.filter_async(third_after_a_while, 2),
        lambda items: filter(third, items),
        prefetches=True,
    ),
    Step(
        "intersperse",
        op.intersperse(9),
        lambda items: itertools.islice((y for x in items for y in (9, x)), 1, None),
        free=False,
        adds=True,
    ),
    Step("skip_until(just)", op.skip_until(ps.just(1)), _same),
    Step("take_until(never)", op.take_until(ps.never()), _same, prefetches=True),
    Step("pause_when(just(False))", op.pause_when(ps.just(False)), _same, prefetches=True),
    Step("tap_error", op.tap_error(repr), _same),
    Step("defer", lambda flow: ps.defer(lambda: flow), _same),
    Step("unordered defer", lambda flow: ps.defer(lambda: flow, order="interleaved"), _same, disorders=True),
    Step("window", lambda flow: flow | op.window(2) | op.concat_map(lambda one: one), _same, prefetches=True),
    Step(
        "concat_map(2)",
        op.concat_map(lambda x: ps.from_iterable([*lazily(x)]), 2),
        flat(lazily),
        prefetches=True,
    ),
    Step("materialize", lambda flow: flow | op.materialize() | op.dematerialize(), _same),
    _folds(
        "chunk_by", op.chunk_by(half), lambda items: (list(run) for _, run in itertools.groupby(items, half))
    ),
    _folds("batch(20, by=)", op.batch(20, by=touched), weighed(touched, 20)),
    _folds("batch(20, 1e5, by=)", op.batch(20, 1e5, by=touched), weighed(touched, 20), prefetches=True),
    _replacing(op.on_error_replace(-1, errors=Broken), _replaced),
    _replacing(op.on_error_skip(lambda error, item: None, errors=Broken), _mended),
]

NEWER: list[st.SearchStrategy[Step]] = [
    st.sampled_from(_FIXED),
    st.integers(0, 4).map(_element_at),
    st.integers(1, 4).map(lambda k: Step(f"prefetch({k})", op.prefetch(k), _same, prefetches=True)),
    st.integers(1, 4).map(lambda k: Step(f"limit_demand({k})", op.limit_demand(k), _same, prefetches=True)),
]
"""Steps of which ``graphs`` draws a share: one of the fixed ones, or one with a number."""
