"""Operators on single items."""

from __future__ import annotations

import penstock.operators as op

from .entry import (
    Entry,
    add,
    changed,
    chosen,
    scanned,
    some,
    tapped,
    third,
    total,
    touch,
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
]
