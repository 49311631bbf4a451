"""Compositions that found faults."""

from __future__ import annotations

import itertools

import penstock.operators as op

from .entry import Entry
from .functions import a_turn, a_while, add, spread, total
from .models import batched, flat, scanned, taken

ENTRIES = [
    Entry(
        "scan|flat_map|filter|batch",
        ("scan", "flat_map", "filter", "batch"),
        lambda s: s | op.scan(total, 0) | op.flat_map(spread) | op.filter(lambda p: p[1] != 1) | op.batch(2),
        model=lambda i: batched(2)(p for p in flat(spread)(scanned(total, 0)(i)) if p[1] != 1),
        known={"folds": True},
    ),
    Entry(
        "batch|flat_map|buffer",
        ("batch", "flat_map", "buffer"),
        lambda s: s | op.batch(2) | op.flat_map(lambda b: [*b, -1]) | op.buffer(3),
        model=lambda i: flat(lambda b: [*b, -1])(batched(2)(i)),
        known={"folds": True},
    ),
    Entry(
        "take behind buffer",
        ("buffer", "take"),
        lambda s: s | op.buffer(3) | op.take(4),
        model=taken(4),
        known={"closes_early": True},
    ),
    Entry(
        "map_async|scan|map_async",
        ("map_async", "scan"),
        lambda s: s | op.map_async(a_turn, 2) | op.scan(total, 0) | op.map_async(a_while, 3),
        model=lambda i: map(add, scanned(total, 0)(map(add, i))),
        known={"instant": False},
    ),
    Entry(
        "merge of a buffer and a flat_map",
        ("merge", "buffer", "flat_map"),
        lambda a, b: (a | op.buffer(2)) | op.merge(b | op.flat_map(lambda x: [x, -x])),
        ((1, 2, 3), (10, 20)),
        model=lambda a, b: itertools.chain(a, flat(lambda x: [x, -x])(b)),
    ),
    Entry(
        "concat of merges",
        ("concat", "merge"),
        lambda a, b, c: (a | op.merge(b)) | op.concat(c | op.take(1)),
        ((1, 2), (10, 20), (30, 40)),
        model=lambda a, b, c: itertools.chain(a, b, itertools.islice(c, 1)),
    ),
    Entry(
        "filter that drops everything",
        ("filter",),
        lambda s: s | op.filter(lambda x: x < 0),
        model=lambda i: filter(lambda x: x < 0, i),
    ),
]
