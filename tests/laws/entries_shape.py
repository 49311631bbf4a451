"""Operators that change how many items there are."""

from __future__ import annotations

import itertools

import penstock.operators as op

from .entry import (
    Entry,
    batched,
    lazily,
    small,
    spread,
    taken,
)

ENTRIES = [
    *(
        Entry(f"take({k})", lambda s, k=k: s | op.take(k), model=taken(k), bound=lambda n, k=k: min(n, k))
        for k in (0, 1, 3, 100)
    ),
    Entry("skip(0)", lambda s: s | op.skip(0), model=iter),
    Entry("skip(3)", lambda s: s | op.skip(3), model=lambda i: itertools.islice(i, 3, None)),
    Entry(
        "take_while",
        lambda s: s | op.take_while(small),
        model=lambda i: itertools.takewhile(small, i),
        known={"closes_early": True},
        operator="take_while",
    ),
    Entry(
        "skip_while",
        lambda s: s | op.skip_while(small),
        model=lambda i: itertools.dropwhile(small, i),
        operator="skip_while",
    ),
    Entry(
        "flat_map",
        lambda s: s | op.flat_map(spread),
        model=lambda i: itertools.chain.from_iterable(map(spread, i)),
        operator="flat_map",
        bound=lambda n: 2 * n,
    ),
    Entry(
        "flat_map(lazy)",
        lambda s: s | op.flat_map(lazily),
        model=lambda i: itertools.chain.from_iterable(map(lazily, i)),
        operator="flat_map",
        bound=lambda n: 2 * n,
    ),
    *(
        Entry(
            f"batch({k})",
            lambda s, k=k: s | op.batch(k),
            model=batched(k),
            known={"folds": True},
            bound=lambda n, k=k: n * k + k - 1,
        )
        for k in (1, 3, 100)
    ),
]
