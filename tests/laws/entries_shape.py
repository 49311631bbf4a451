"""Operators that change how many items there are."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any

import penstock.operators as op
from penstock.sources.trivial import just, never

from .entry import (
    Entry,
    batched,
    lazily,
    lone,
    small,
    spread,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Model = Callable[[Iterator[Any]], Iterator[Any]]


def windows(size: int, step: int, *, partial: bool) -> Model:
    """Return the model of ``sliding``."""

    def model(items: Iterator[Any]) -> Iterator[list[Any]]:
        held: list[Any] = []
        first = 0
        for number, item in enumerate(items):
            held += [item] if number >= first else []
            if len(held) == size:
                yield held[:]
                first += step
                del held[:step]
        while held and partial:
            yield held[:]
            del held[:step]

    return model


def all_but(count: int) -> Model:
    """Return the model of ``skip_last``."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        held: deque[Any] = deque()
        for item in items:
            held.append(item)
            if len(held) > count:
                yield held.popleft()

    return model


def at_fives(keep: str | None) -> Model:
    """Return the model of ``split`` at the multiples of 5."""

    def model(items: Iterator[int]) -> Iterator[list[int]]:
        held: list[int] = []
        for item in items:
            if item % 5:
                held.append(item)
            elif keep == "before":
                if held:
                    yield held
                held = [item]
            else:
                yield [*held, item] if keep else held
                held = []
        if held:
            yield held

    return model


def five(x: int) -> bool:
    return not x % 5


def _sliding_entries() -> Iterator[Entry]:
    for size, step in ((1, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 4), (9, 2)):
        for partial in (False, True):
            yield Entry(
                f"sliding({size}, {step}, partial={partial})",
                lambda s, size=size, step=step, partial=partial: s | op.sliding(size, step, partial=partial),
                model=windows(size, step, partial=partial),
                known={"folds": True},
                bound=lambda n, size=size, step=step: max(size, step) + (n - 1) * step,
            )


def _last_entries() -> Iterator[Entry]:
    for k in (0, 1, 3, 100):
        yield Entry(
            f"skip_last({k})",
            lambda s, k=k: s | op.skip_last(k),
            model=all_but(k),
            known={"folds": True},
            bound=lambda n, k=k: n + k,
        )
        yield Entry(
            f"take_last({k})",
            lambda s, k=k: s | op.take_last(k),
            model=lambda i, k=k: iter(deque(i, maxlen=k)),
            known={"folds": True},
            bound=lambda n, k=k: 256 + k,
        )


def _split_entries() -> Iterator[Entry]:
    for keep in (None, "before", "after"):
        for script in ((0, 1, 5, 10, 2, 3), (1, 2, 0, 4, 5)):
            yield Entry(
                f"split(keep={keep}) of {script}",
                lambda s, keep=keep: s | op.split(five, keep=keep),
                (script,),
                model=at_fives(keep),
                operator="split",
                known={"folds": True},
                bound=lone,
            )


def _timed_entries() -> Iterator[Entry]:
    for k in (1, 3, 100):
        yield Entry(
            f"batch({k}, within=1e5)",
            lambda s, k=k: s | op.batch(k, 1e5),
            model=batched(k),
            operator="batch",
            known={"folds": True, "prefetches": True},
            bound=lambda n, k=k: 2 * k,
        )
        for within in (0, 0.5):
            yield Entry(  # how the lists are cut is for time to say, but not what is in them
                f"batch({k}, within={within})|unbatch",
                lambda s, k=k, within=within: s | op.batch(k, within) | op.unbatch(),
                model=iter,
                known={"folds": True, "prefetches": True},
                skip=("prefix",),  # an unfinished list goes with the failure; stalled, it would have come
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
    *_timed_entries(),
    Entry(
        "unbatch",
        lambda s: s | op.batch(3) | op.unbatch(),
        model=lambda i: itertools.chain.from_iterable(batched(3)(i)),
        known={"folds": True},
        bound=lambda n: 3 * n + 2 + n,
    ),
    *_sliding_entries(),
    *_last_entries(),
    *_split_entries(),
    Entry("take_until(never)", lambda s: s | op.take_until(never()), model=iter, bound=lambda n: n + 1),
    Entry("take_until(just)", lambda s: s | op.take_until(just(1)), known={"closes_early": True}),
]
