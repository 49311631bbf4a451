"""Operators whose work overlaps."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import penstock.operators as op

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import Entry
from .functions import (
    ADD,
    a_turn,
    a_while,
    add,
    at_once,
    third,
    third_after_a_turn,
    third_after_a_while,
    third_at_once,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLS = ((1, None), (3, None), (2, 2))
"""Concurrency and window: one worker, several workers, and a window no larger than the number of workers."""

ORDERED = (True, False)


def _map_async_entries() -> Iterator[Entry]:
    everyday = [
        (at_once, (1, None), True),
        (a_turn, (3, None), True),
        (a_while, (2, 2), True),
        (at_once, (2, 2), False),
        (a_turn, (1, None), False),
        (a_while, (3, None), False),
    ]
    product = itertools.product((at_once, a_turn, a_while), POOLS, ORDERED)
    for function, (concurrency, window), ordered in cases(everyday, product):
        yield Entry(
            f"map_async({function.__name__}, {concurrency}, window={window}, ordered={ordered})",
            ("map_async",),
            lambda s, f=function, c=concurrency, w=window, o=ordered: (
                s | op.map_async(f, c, ordered=o, window=w)
            ),
            model=lambda i: map(add, i),
            noted="map_async",
            known={"instant": function is not a_while},
            bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
        )


def _filter_async_entries() -> Iterator[Entry]:
    everyday = [  # it shares the pool of map_async, which has more entries
        (third_at_once, (1, None), True),
        (third_after_a_turn, (2, 2), True),
        (third_after_a_while, (3, None), False),
    ]
    functions = (third_at_once, third_after_a_turn, third_after_a_while)
    for function, (concurrency, window), ordered in cases(
        everyday, itertools.product(functions, POOLS, ORDERED)
    ):
        yield Entry(
            f"filter_async({function.__name__}, {concurrency}, window={window}, ordered={ordered})",
            ("filter_async",),
            lambda s, f=function, c=concurrency, w=window, o=ordered: (
                s | op.filter_async(f, c, ordered=o, window=w)
            ),
            model=lambda i: filter(third, i),
            noted="filter_async",
            known={"instant": function is not third_after_a_while},
            bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
        )


def _thread_and_process_entries() -> Iterator[Entry]:
    everyday = [((1, None), True), ((2, 3), False)]
    for (concurrency, window), ordered in cases(everyday, itertools.product(((1, None), (2, 3)), ORDERED)):
        yield Entry(
            f"map_thread({concurrency}, window={window}, ordered={ordered})",
            ("map_thread",),
            lambda s, c=concurrency, w=window, o=ordered: s | op.map_thread(add, c, ordered=o, window=w),
            model=lambda i: map(add, i),
            noted="map_thread",
            bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
        )
    for window, ordered in cases([(None, True), (3, False)], itertools.product((None, 3), ORDERED)):
        yield Entry(
            f"map_process(0, window={window}, ordered={ordered})",
            ("map_process",),
            lambda s, w=window, o=ordered: s | op.map_process(ADD, 0, ordered=o, window=w),
            model=lambda i: map(add, i),
            noted="map_process",
            bound=lambda n, w=window: n + (w or 64),
        )


def _lossy_entries() -> Iterator[Entry]:
    everyday = [
        ("drop_oldest", 4),
        ("drop_newest", 1),
        ("latest", 4),
        ("error", 1),
        ("error", 100),
    ]
    product = itertools.product(("drop_oldest", "drop_newest", "latest", "error"), (1, 4, 100))
    for overflow, k in cases(everyday, product):
        yield Entry(
            f"buffer({k}, {overflow})",
            ("buffer",),
            lambda s, k=k, o=overflow: s | op.buffer(k, o),
            model=iter,
            known={"prefetches": True},
            bound=lambda n, k=k: n + 2 * k,
            # it must fail when all items come at once; tests/operators check how
            skip=("cancel_safe", "chunk_invariance", "cold", "settled_by_demand")
            if overflow == "error" and k < 100
            else (),
        )


def _fetching_entries() -> Iterator[Entry]:
    for k in (1, 4):
        yield Entry(
            f"buffer({k})",
            ("buffer",),
            lambda s, k=k: s | op.buffer(k),
            model=iter,
            bound=lambda n, k=k: n + k,
        )
    yield Entry("prefetch", ("prefetch",), lambda s: s | op.prefetch(4), model=iter, bound=lambda n: n + 4)
    for high, low in ((5, 2), (3, 0), (1, None)):
        yield Entry(
            f"limit_demand({high}, {low})",
            ("limit_demand",),
            lambda s, high=high, low=low: s | op.limit_demand(high, low),
            model=iter,
            bound=lambda n, high=high: n + high,
        )


ENTRIES = [
    *_fetching_entries(),
    *_lossy_entries(),
    *_map_async_entries(),
    *_filter_async_entries(),
    *_thread_and_process_entries(),
]
