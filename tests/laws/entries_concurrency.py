"""Operators that let work overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import penstock.operators as op

from .entry import (
    Entry,
    a_turn,
    a_while,
    add,
    at_once,
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


ENTRIES = [
    *(
        Entry(f"buffer({k})", lambda s, k=k: s | op.buffer(k), model=iter, bound=lambda n, k=k: n + k)
        for k in (1, 4)
    ),
    *_map_async_entries(),
]
