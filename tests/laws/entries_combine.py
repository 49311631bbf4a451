"""Operators that join several flows."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING, Any

import penstock.operators as op
from penstock.sources.from_iterable import from_iterable

from .entry import (
    Entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

THREE = (tuple(range(4)), tuple(range(10, 13)), tuple(range(20, 22)))
SORTED = ((1, 4, 4, 7), (0, 4, 5), (4, 9))


async def pause(x: Any) -> Any:
    await asyncio.sleep(2)
    return x


def slowly(flow: Any) -> Any:
    """Let each item take two seconds, one after the other."""
    return flow | op.map_async(pause, 1, window=1)


def in_turn(*inputs: Iterable[Any]) -> Iterator[Any]:
    """Yield one item of each in turn: the recipe of itertools' documentation, with a list."""
    turns = [iter(one) for one in inputs]
    while turns:
        for one in tuple(turns):
            try:
                yield next(one)
            except StopIteration:
                turns.remove(one)


def last_digit(x: int) -> int:
    return x % 10


def same_digit(x: int, y: int) -> bool:
    return x % 10 == y % 10


def sorted_by_digit(*inputs: Iterator[int]) -> Iterator[int]:
    """Merge by the last digit, the largest first; ``heapq`` alone has no look at the keys of a last input."""
    pairs = (((last_digit(x), x) for x in one) for one in inputs)
    return (x for _, x in heapq.merge(*pairs, key=lambda pair: pair[0], reverse=True))


def equal_digits(one: Iterator[int], other: Iterator[int]) -> Iterator[bool]:
    gone = object()
    pairs = itertools.zip_longest(one, other, fillvalue=gone)
    yield all(gone not in (x, y) and same_digit(x, y) for x, y in pairs)


def repeat(x: int) -> list[int]:
    return [x + 100, x + 200]


def with_only(items: Iterator[int], only: Iterator[int]) -> Iterator[tuple[int, int]]:
    other = next(only)
    return ((item, other) for item in items)


def _merged_entries() -> Iterator[Entry]:
    for count in (1, 2, 3):
        yield Entry(
            f"concat of {count}",
            lambda first, *others: first | op.concat(*others),
            THREE[:count],
            model=itertools.chain,
            bound=float,
        )
        yield Entry(
            f"merge of {count}",
            lambda first, *others: first | op.merge(*others),
            THREE[:count],
            model=itertools.chain,
            bound=lambda n, count=count: count * n,
        )
    for most in (1, 2):
        yield Entry(
            f"merge of 3, {most} at a time",
            lambda first, *others, most=most: first | op.merge(*others, max_concurrent=most),
            THREE,
            model=itertools.chain,
            bound=lambda n, most=most: most * n,
        )
    yield Entry(
        "flat_map behind a merge, cut within its expansions",
        lambda first, *others: first | op.merge(*others) | op.flat_map(repeat),
        THREE,
        model=lambda *inputs: (y for x in itertools.chain(*inputs) for y in repeat(x)),
    )
    yield Entry(
        "merge of 3, errors last",
        lambda first, *others: first | op.merge(*others, delay_errors=True),
        THREE,
        model=itertools.chain,
        bound=lambda n: 3 * n,
    )


def _ordered_entries() -> Iterator[Entry]:
    for count in (1, 2, 3):
        yield Entry(
            f"zip of {count}",
            lambda first, *others: first | op.zip(*others),
            THREE[:count],
            model=zip,
            known={"closes_early": True},
            bound=lambda n, count=count: count * n,
        )
        yield Entry(
            f"interleave of {count}",
            lambda first, *others: first | op.interleave(*others),
            THREE[:count],
            model=in_turn,
            bound=lambda n, count=count: count * n,
        )
        yield Entry(
            f"merge_sorted of {count}",
            lambda first, *others: first | op.merge_sorted(*others),
            SORTED[:count],
            model=heapq.merge,
            operator="merge_sorted" if count > 1 else None,  # a single one is compared with nothing
            bound=lambda n, count=count: count * n,
        )
    yield Entry(
        "zip, strict",
        lambda first, *others: first | op.zip(*others, strict=True),
        ((1, 2, 3), (10, 20, 30)),
        model=zip,
        known={"closes_early": True},
    )
    yield Entry(
        "merge_sorted by a key, reversed",
        lambda first, other: first | op.merge_sorted(other, key=last_digit, reverse=True),
        ((19, 8, 5), (9, 25, 4, 3)),
        model=sorted_by_digit,
        operator="merge_sorted",
    )
    for name, second in (("equal", (10, 11, 12, 13)), ("other", (10, 12, 13)), ("shorter", (10, 11))):
        yield Entry(
            f"sequence_equal, {name}",
            lambda first, other: first | op.sequence_equal(other, same_digit),
            (tuple(range(4)), second),
            model=equal_digits,
            operator="sequence_equal",
            known={"closes_early": True, "prefetches": True},
            bound=lambda n: 512,
        )


def _timed_entries() -> Iterator[Entry]:
    """Each with inputs of which the moments alone say what comes, whatever is asked for when."""
    early = {"closes_early": True}
    yield Entry(
        "race of 3 that are ready",
        lambda first, *others: first | op.race(*others),
        THREE,
        model=lambda first, *_: first,
        known=early,
        bound=lambda n: 3 * n,
    )
    yield Entry(
        "race that the second wins",
        lambda first, other: slowly(first) | op.race(other),
        ((1, 2, 3), (10, 11, 12)),
        model=lambda _, other: other,
        known=early | {"prefetches": True},
    )
    for name, operator in (
        ("combine_latest", op.combine_latest),
        ("with_latest_from", op.with_latest_from),
        ("zip_latest", lambda other: op.zip_latest(other, partial=False)),
    ):
        yield Entry(
            f"{name} of one that is there first",
            lambda first, other, operator=operator: slowly(first) | operator(other),
            (tuple(range(4)), (10,)),
            model=with_only,
            known=early | {"prefetches": True},
            bound=lambda n: (1 + n) + n + 2,
        )


def flow_of(x: int) -> Any:
    """Return a flow of none to three items, computed from ``x`` at once, so that a poisoned one fails here."""
    return from_iterable([x * 10 + k for k in range(x % 4)])


def slow_flow_of(x: int) -> Any:
    return flow_of(x) | op.map_async(pause, 1, window=1)


def _flattened_entries() -> Iterator[Entry]:
    def model(items: Iterator[int]) -> Iterator[int]:
        return (x * 10 + k for x in items for k in range(x % 4))

    for function in (flow_of, slow_flow_of):
        yield Entry(
            f"concat_map of {function.__name__}",
            lambda s, f=function: s | op.concat_map(f),
            model=model,
            operator="concat_map",
            bound=lambda n: float("inf"),
        )
        for concurrency in (1, 3):
            yield Entry(
                f"flat_map_merge of {function.__name__}, {concurrency} at a time",
                lambda s, f=function, c=concurrency: s | op.flat_map_merge(f, c),
                model=model,
                operator="flat_map_merge",
                known={"prefetches": True},
                bound=lambda n: float("inf"),
            )
    for name, pace in (("ready", lambda flow: flow), ("slow", slowly)):
        yield Entry(
            f"switch_map of {name} items",
            lambda s, pace=pace: pace(s) | op.switch_map(flow_of),
            model=model,
            operator="switch_map",
            known={"prefetches": True},
            bound=lambda n: float("inf"),
        )
        yield Entry(
            f"flat_map behind a flat_map_merge of {name} items",
            lambda s, pace=pace: pace(s) | op.flat_map_merge(flow_of, 3) | op.flat_map(repeat),
            model=lambda items: (y for x in model(items) for y in repeat(x)),
            known={"prefetches": True},
        )
    yield Entry(
        "concat_map of merged flows",
        lambda s: s | op.concat_map(lambda x: flow_of(x) | op.merge(flow_of(x)), order="interleaved"),
        model=lambda items: (y for x in model(items) for y in (x, x)),
        operator="concat_map",
    )


ENTRIES = [*_flattened_entries(), *_merged_entries(), *_ordered_entries(), *_timed_entries()]
