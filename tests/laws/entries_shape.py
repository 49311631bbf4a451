"""Operators that change how many items there are."""

from __future__ import annotations

import codecs
import itertools
import math
from typing import TYPE_CHECKING

import penstock.operators as op
from penstock.sources.trivial import just, never

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import INPUT, Entry
from .functions import (
    add,
    first_three,
    five,
    half,
    lazily,
    links,
    links_later,
    paired,
    piece,
    shouted,
    small,
    spread,
    third,
    touched,
)
from .models import (
    all_but_last,
    batched,
    expanded,
    flat,
    last,
    lined,
    listed,
    split_at_fives,
    taken,
    through_first,
    unbounded,
    weighed,
    windows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _sliding_entries() -> Iterator[Entry]:
    everyday = [((3, 1), False), ((3, 2), True), ((2, 2), False), ((2, 3), True), ((9, 2), True)]
    sizes = ((1, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 4), (9, 2))
    for (size, step), partial in cases(everyday, itertools.product(sizes, (False, True))):
        yield Entry(
            f"sliding({size}, {step}, partial={partial})",
            ("sliding",),
            lambda s, size=size, step=step, partial=partial: s | op.sliding(size, step, partial=partial),
            model=windows(size, step, partial=partial),
            known={"folds": True},
            bound=lambda n, size=size, step=step: max(size, step) + (n - 1) * step,
        )


def _last_entries() -> Iterator[Entry]:
    for k in cases((0, 3), (0, 1, 3, 100)):
        yield Entry(
            f"skip_last({k})",
            ("skip_last",),
            lambda s, k=k: s | op.skip_last(k),
            model=all_but_last(k),
            known={"folds": True},
            bound=lambda n, k=k: n + k,
        )
    for k in cases((3, 100), (0, 1, 3, 100)):
        yield Entry(
            f"take_last({k})",
            ("take_last",),
            lambda s, k=k: s | op.take_last(k),
            model=last(k),
            known={"folds": True},
            bound=lambda n, k=k: 256 + k,
        )


def _split_entries() -> Iterator[Entry]:
    within, around = (1, 2, 0, 4, 5), (0, 1, 5, 10, 2, 3)
    everyday = [(None, around), ("before", around), ("after", within)]
    for keep, script in cases(everyday, itertools.product((None, "before", "after"), (around, within))):
        yield Entry(
            f"split(keep={keep}) of {script}",
            ("split",),
            lambda s, keep=keep: s | op.split(five, keep=keep),
            (script,),
            model=split_at_fives(keep),
            noted="split",
            known={"folds": True},
            bound=unbounded,
        )


def _batch_entries() -> Iterator[Entry]:
    for k in cases((1, 3), (1, 3, 100)):
        yield Entry(
            f"batch({k})",
            ("batch",),
            lambda s, k=k: s | op.batch(k),
            model=batched(k),
            known={"folds": True},
            bound=lambda n, k=k: n * k + k - 1,
        )
    for k in cases((3, 100), (1, 3, 100)):
        yield Entry(
            f"batch({k}, within=1e5)",
            ("batch",),
            lambda s, k=k: s | op.batch(k, 1e5),
            model=batched(k),
            noted="batch",
            known={"folds": True, "prefetches": True},
            bound=lambda n, k=k: 2 * k,
        )
    for k, script in cases([(3, INPUT), (7, (9, 0, 0, 2, 5, 4, 8))], itertools.product((1, 3, 7), (INPUT,))):
        yield Entry(
            f"batch({k}, by=) of {script}",
            ("batch",),
            lambda s, k=k: s | op.batch(k, by=touched),
            (script,),
            model=weighed(touched, k),
            noted="batch",
            known={"folds": True},
            bound=unbounded,
        )
    for k, script in cases([(7, (9, 0, 0, 2, 5, 4, 8))], itertools.product((1, 3, 7), (INPUT,))):
        yield Entry(
            f"batch({k}, within=1e5, by=) of {script}",
            ("batch",),
            lambda s, k=k: s | op.batch(k, 1e5, by=touched),
            (script,),
            model=weighed(touched, k),
            noted="batch",
            known={"folds": True, "prefetches": True},
            bound=unbounded,
        )
    for k in cases((3,), (1, 2, 3, 6)):  # the laws want a flow that does not fail by itself
        yield Entry(
            f"batch({k}, strict=True)",
            ("batch",),
            lambda s, k=k: s | op.batch(k, strict=True),
            (INPUT[:6],),
            model=batched(k),
            known={"folds": True},
            bound=lambda n, k=k: n * k,
        )
    yield Entry(
        "batch(within=1e5)",
        ("batch",),
        lambda s: s | op.batch(within=1e5),
        model=lambda i: filter(None, listed(i)),
        noted="batch",
        known={"folds": True, "prefetches": True},
        bound=unbounded,
    )
    for k, within in cases([(3, 0), (100, 0.5), (None, 0.5)], itertools.product((1, 3, 100, None), (0, 0.5))):
        yield Entry(  # time decides how the lists are cut, but not what is in them
            f"batch({k}, within={within})|unbatch",
            ("batch", "unbatch"),
            lambda s, k=k, within=within: s | op.batch(k, within) | op.unbatch(),
            model=iter,
            known={"folds": True, "prefetches": True},
            skip=("prefix",),  # a failure drops an unfinished list; after a stall it would have been emitted
        )
    yield Entry(
        "batch(3, 0.5, by=)|unbatch",
        ("batch", "unbatch"),
        lambda s: s | op.batch(3, 0.5, by=touched) | op.unbatch(),
        model=iter,
        known={"folds": True, "prefetches": True},
        skip=("prefix",),
    )


ENTRIES = [
    *(
        Entry(
            f"take({k})",
            ("take",),
            lambda s, k=k: s | op.take(k),
            model=taken(k),
            bound=lambda n, k=k: min(n, k),
        )
        for k in cases((0, 3, 100), (0, 1, 3, 100))
    ),
    *(
        Entry(
            f"skip({k})",
            ("skip",),
            lambda s, k=k: s | op.skip(k),
            model=lambda i, k=k: itertools.islice(i, k, None),
        )
        for k in (0, 3)
    ),
    Entry(
        "take_while",
        ("take_while",),
        lambda s: s | op.take_while(small),
        model=lambda i: itertools.takewhile(small, i),
        known={"closes_early": True},
        noted="take_while",
    ),
    Entry(
        "skip_while",
        ("skip_while",),
        lambda s: s | op.skip_while(small),
        model=lambda i: itertools.dropwhile(small, i),
        noted="skip_while",
    ),
    *(
        Entry(
            f"expand({function.__name__})",
            ("expand",),
            lambda s, f=function: s | op.expand(f),
            model=expanded(links),
            noted="expand",
            bound=lambda _: 1,
        )
        for function in (links, links_later)
    ),
    *(
        Entry(
            f"flat_map({function.__name__})",
            ("flat_map",),
            lambda s, f=function: s | op.flat_map(f),
            model=flat(function),
            noted="flat_map",
            bound=lambda n: 2 * n,
        )
        for function in (spread, lazily)
    ),
    Entry(
        "take_while(inclusive)",
        ("take_while",),
        lambda s: s | op.take_while(small, inclusive=True),
        model=through_first(small),
        known={"closes_early": True},
        noted="take_while",
    ),
    Entry(
        "map|take_while(inclusive)|filter",
        ("take_while",),
        lambda s: s | op.map(touched) | op.take_while(small, inclusive=True) | op.filter(third),
        model=lambda i: filter(third, through_first(small)(map(touched, i))),
        known={"closes_early": True},
    ),
    *(
        Entry(
            f"through({function.__name__})",
            ("through",),
            lambda s, f=function, holds=holds: s | op.through(f, holds=holds),
            model=model,
            noted="through",
            known={"folds": True, "prefetches": True, "closes_early": function is first_three},
            bound=lambda n, holds=holds: 2 * n + holds if holds is not None else math.inf,
        )
        for function, holds, model in (
            (paired, 2, batched(2)),
            (shouted, 0, lambda i: map(add, i)),
            (first_three, None, lambda i: itertools.islice(map(add, i), 3)),
        )
    ),
    Entry(
        "decode",
        ("decode",),
        lambda s: s | op.map(piece) | op.decode(),
        model=lambda i: codecs.iterdecode(map(piece, i), "utf-8"),
        noted="map",
        known={"folds": True},
        bound=lambda n: 2 * n,
    ),
    Entry(
        "lines",
        ("lines",),
        lambda s: s | op.map(piece) | op.lines(),
        model=lambda i: lined(map(piece, i)),
        noted="map",
        known={"folds": True},
        bound=lambda n: 2 * n,
    ),
    Entry(
        "lines(separator)",
        ("lines",),
        lambda s: s | op.map(piece) | op.lines(separator="\r\n", keepends=True),
        model=lambda i: lined(map(piece, i), b"\r\n"),
        noted="map",
        known={"folds": True},
        bound=lambda n: 2 * n,
    ),
    *(
        Entry(
            f"element_at({index})",
            ("element_at",),
            lambda s, k=index: s | op.element_at(k, -1),
            model=lambda i, k=index: itertools.islice(
                itertools.chain(itertools.islice(i, k, k + 1), (-1,)), 1
            ),
            known={"closes_early": True},
            bound=float,  # that of the flow of the default
        )
        for index in (3, 9)
    ),
    Entry(
        "skip_until(just)",
        ("skip_until",),
        lambda s: s | op.skip_until(just(1)),
        model=iter,
        bound=lambda n: n + 1,
    ),
    Entry(
        "skip_until(never)",
        ("skip_until",),
        lambda s: s | op.skip_until(never()),
        model=lambda i: (x for x in i if False),
        known={"closes_early": True},
    ),
    *_batch_entries(),
    *(
        Entry(
            f"chunk_by of {script}",
            ("chunk_by",),
            lambda s: s | op.chunk_by(half),
            (script,),
            model=lambda i: (list(run) for _, run in itertools.groupby(i, half)),
            noted="chunk_by",
            known={"folds": True},
            bound=unbounded,
        )
        for script in ((0, 1, 2, 4, 5, 4, 1), (2, 3))
    ),
    Entry(
        "unbatch",
        ("unbatch",),
        lambda s: s | op.batch(3) | op.unbatch(),
        model=lambda i: itertools.chain.from_iterable(batched(3)(i)),
        known={"folds": True},
        bound=lambda n: 3 * n + 2 + n,
    ),
    *_sliding_entries(),
    *_last_entries(),
    *_split_entries(),
    Entry(
        "take_until(never)",
        ("take_until",),
        lambda s: s | op.take_until(never()),
        model=iter,
        bound=lambda n: n + 1,
    ),
    Entry(
        "take_until(just)",
        ("take_until",),
        lambda s: s | op.take_until(just(1)),
        known={"closes_early": True},
    ),
]
