"""Operators that let work overlap."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import TYPE_CHECKING

import penstock.operators as op

from .entry import (
    Entry,
    a_turn,
    a_while,
    add,
    at_once,
    third,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _map_async_entries() -> Iterator[Entry]:
    for function in (at_once, a_turn, a_while):
        for concurrency, window in ((1, None), (3, None), (2, 2)):
            for ordered in (True, False):
                yield Entry(
                    f"map_async({function.__name__}, {concurrency}, window={window}, ordered={ordered})",
                    lambda s, f=function, c=concurrency, w=window, o=ordered: (
                        s | op.map_async(f, c, ordered=o, window=w)
                    ),
                    model=lambda i: map(add, i),
                    operator="map_async",
                    known={"instant": function is not a_while},
                    bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
                )


async def third_at_once(x: int) -> bool:
    return third(x)


async def third_after_a_turn(x: int) -> bool:
    await asyncio.sleep(0)
    return third(x)


async def third_after_a_while(x: int) -> bool:
    await asyncio.sleep((x * 5) % 4)
    return third(x)


ADDED = functools.partial(operator.add, 100)
"""What ``add`` does, for processes that cannot import this module."""


def _filter_async_entries() -> Iterator[Entry]:
    for function in (third_at_once, third_after_a_turn, third_after_a_while):
        for concurrency, window in ((1, None), (3, None), (2, 2)):
            for ordered in (True, False):
                yield Entry(
                    f"filter_async({function.__name__}, {concurrency}, window={window}, ordered={ordered})",
                    lambda s, f=function, c=concurrency, w=window, o=ordered: (
                        s | op.filter_async(f, c, ordered=o, window=w)
                    ),
                    model=lambda i: filter(third, i),
                    operator="filter_async",
                    known={"instant": function is not third_after_a_while},
                    bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
                )


def _thread_and_process_entries() -> Iterator[Entry]:
    for concurrency, window in ((1, None), (2, 3)):
        for ordered in (True, False):
            yield Entry(
                f"map_thread({concurrency}, window={window}, ordered={ordered})",
                lambda s, c=concurrency, w=window, o=ordered: s | op.map_thread(add, c, ordered=o, window=w),
                model=lambda i: map(add, i),
                operator="map_thread",
                bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
            )
    for window in (None, 3):
        for ordered in (True, False):
            yield Entry(
                f"map_process(0, window={window}, ordered={ordered})",
                lambda s, w=window, o=ordered: s | op.map_process(ADDED, 0, ordered=o, window=w),
                model=lambda i: map(add, i),
                operator="map_process",
                bound=lambda n, w=window: n + (w or 64),
            )


def _lossy_entries() -> Iterator[Entry]:
    for overflow in ("drop_oldest", "drop_newest", "latest", "error"):
        for k in (1, 4, 100):
            yield Entry(
                f"buffer({k}, {overflow})",
                lambda s, k=k, o=overflow: s | op.buffer(k, o),
                model=iter,
                known={"prefetches": True},
                bound=lambda n, k=k: n + 2 * k,
                # with an input that comes all at once it fails, as it should; tests of its own say how
                skip=("cancel_safe", "chunk_invariance", "cold", "settled_by_demand")
                if overflow == "error" and k < 100
                else (),
            )


ENTRIES = [
    *(
        Entry(f"buffer({k})", lambda s, k=k: s | op.buffer(k), model=iter, bound=lambda n, k=k: n + k)
        for k in (1, 4)
    ),
    *_lossy_entries(),
    *(
        Entry(
            f"{name}({k}, {low})",
            lambda s, k=k, low=low, make=make: s | make(k, low),
            model=iter,
            bound=lambda n, k=k: n + k,
        )
        for name, make, k, low in (
            ("prefetch", lambda k, _: op.prefetch(k), 4, 3),
            ("limit_rate", op.limit_rate, 5, 2),
            ("limit_rate", op.limit_rate, 3, 0),
            ("limit_rate", op.limit_rate, 1, None),
        )
    ),
    *_map_async_entries(),
    *_filter_async_entries(),
    *_thread_and_process_entries(),
]
