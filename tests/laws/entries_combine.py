"""Operators that join several flows."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING, Any

import penstock as ps
import penstock.operators as op
from penstock.sources.from_iterable import from_iterable

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import Entry
from .functions import last_digit, same_digit, twice
from .models import equal, flat, in_turn, sorted_down, unbounded, with_only

if TYPE_CHECKING:
    from collections.abc import Iterator

THREE = (tuple(range(4)), tuple(range(10, 13)), tuple(range(20, 22)))
SORTED = ((1, 4, 4, 7), (0, 4, 5), (4, 9))
COUNTS = (1, 2, 3)


async def pause(x: Any) -> Any:
    await asyncio.sleep(2)
    return x


def is_even(pair: tuple[int, Any]) -> bool:
    """Return whether an item has an even index; it may be any item."""
    return pair[0] % 2 == 0


def slowly(flow: Any) -> Any:
    """Let each item take two seconds, one after the other."""
    return flow | op.map_async(pause, 1, window=1)


def _merged_entries() -> Iterator[Entry]:
    for count in cases((1, 3), COUNTS):
        yield Entry(
            f"concat of {count}",
            ("concat",),
            lambda first, *others: first | op.concat(*others),
            THREE[:count],
            model=itertools.chain,
            bound=float,
        )
    for count in cases((3,), COUNTS):
        yield Entry(
            f"merge of {count}",
            ("merge",),
            lambda first, *others: first | op.merge(*others),
            THREE[:count],
            model=itertools.chain,
            bound=lambda n, count=count: count * n,
        )
    for most in cases((2,), (1, 2)):
        yield Entry(
            f"merge of 3, {most} at a time",
            ("merge",),
            lambda first, *others, most=most: first | op.merge(*others, concurrency=most),
            THREE,
            model=itertools.chain,
            bound=lambda n, most=most: most * n,
        )
    yield Entry(
        "merge of merges",
        ("merge",),
        lambda one, two, three: ps.empty() | op.merge(one | op.merge(two), three | op.merge(ps.empty())),
        THREE,
        model=itertools.chain,
        bound=lambda n: 5 * n,
    )
    yield Entry(
        "merge of a timed flow",
        ("merge", "skip_until"),
        lambda one, two: one | op.skip_until(ps.just(1)) | op.merge(two),
        THREE[:2],
        model=itertools.chain,
    )
    yield Entry(
        "flat_map behind a merge, cut within its expansions",
        ("merge",),
        lambda first, *others: first | op.merge(*others) | op.flat_map(twice),
        THREE,
        model=lambda *inputs: flat(twice)(itertools.chain(*inputs)),
    )
    yield Entry(
        "merge of 3, errors last",
        ("merge",),
        lambda *flows: ps.merge(flows, delay_errors=True),
        THREE,
        model=itertools.chain,
        bound=lambda n: 3 * n,
    )


def _ordered_entries() -> Iterator[Entry]:
    for count in cases((2,), COUNTS):
        yield Entry(
            f"zip of {count}",
            ("zip",),
            lambda first, *others: first | op.zip(*others),
            THREE[:count],
            model=zip,
            known={"closes_early": True},
            bound=lambda n, count=count: count * n,
        )
    for count in cases((3,), COUNTS):
        yield Entry(
            f"interleave of {count}",
            ("interleave",),
            lambda first, *others: first | op.interleave(*others),
            THREE[:count],
            model=in_turn,
            bound=lambda n, count=count: count * n,
        )
        yield Entry(
            f"merge_sorted of {count}",
            ("merge_sorted",),
            lambda first, *others: first | op.merge_sorted(*others),
            SORTED[:count],
            model=heapq.merge,
            noted="merge_sorted" if count > 1 else None,  # a single one is compared with nothing
            bound=lambda n, count=count: count * n,
        )
    for count in cases((2,), COUNTS):
        yield Entry(
            f"zip_longest of {count}",
            ("zip_longest",),
            lambda first, *others: first | op.zip_longest(*others, fillvalue=-1),
            THREE[:count],
            model=lambda *inputs: itertools.zip_longest(*inputs, fillvalue=-1),
            bound=lambda n, count=count: count * n,
        )
    yield Entry(
        "zip, strict",
        ("zip",),
        lambda *flows: ps.zip(*flows, strict=True),
        ((1, 2, 3), (10, 20, 30)),
        model=zip,
        known={"closes_early": True},
    )
    yield Entry(
        "merge_sorted by a key, reversed",
        ("merge_sorted",),
        lambda *flows: ps.merge_sorted(flows, key=last_digit, reverse=True),
        ((19, 8, 5), (9, 25, 4, 3)),
        model=sorted_down(last_digit),
        noted="merge_sorted",
    )
    for name, second in (("equal", (10, 11, 12, 13)), ("other", (10, 12, 13)), ("shorter", (10, 11))):
        yield Entry(
            f"sequence_equal, {name}",
            ("sequence_equal",),
            lambda first, other: first | op.sequence_equal(other, same_digit),
            (tuple(range(4)), second),
            model=equal(same_digit),
            noted="sequence_equal",
            known={"closes_early": True, "prefetches": True},
            bound=lambda n: 512,
        )


def _timed_entries() -> Iterator[Entry]:
    """Yield flows whose inputs arrive at moments that alone decide what comes, whatever is requested when."""
    early = {"closes_early": True}
    yield Entry(
        "race of 3 that are ready",
        ("race",),
        ps.race,
        THREE,
        model=lambda first, *_: first,
        known=early,
        bound=lambda n: 3 * n,
    )
    yield Entry(
        "race that the second wins",
        ("race",),
        lambda first, other: slowly(first) | op.race(other),
        ((1, 2, 3), (10, 11, 12)),
        model=lambda _, other: other,
        known=early | {"prefetches": True},
    )
    yield Entry(
        "pause_when",
        ("pause_when",),
        lambda items, signals: slowly(items) | op.pause_when(signals | op.enumerate() | op.map(is_even)),
        (tuple(range(5)), (100, 101, 102)),
        model=lambda items, _: items,
        known=early | {"prefetches": True},
        bound=lambda n: 1 + n + 64,
    )
    yield Entry(
        "race with an empty flow",
        ("race",),
        ps.race,
        ((), (10, 11, 12)),
        model=lambda _, other: other,
        known=early,
    )
    for name, operator in (
        ("combine_latest", op.combine_latest),
        ("with_latest_from", op.with_latest_from),
        ("zip_latest", lambda other: op.zip_latest(other, partial=False)),
    ):
        yield Entry(
            f"{name} of one that is there first",
            (name,),
            lambda first, other, operator=operator: slowly(first) | operator(other),
            (tuple(range(4)), (10,)),
            model=with_only,
            known=early | {"prefetches": True},
            bound=lambda n: (1 + n) + n + 2,
        )


def items_of(x: int) -> list[int]:
    return [x * 10 + k for k in range(x % 4)]


def flow_of(x: int) -> Any:
    """Return a flow of none to three items, computed from ``x`` at once, so that a poisoned one fails here."""
    return from_iterable(items_of(x))


def slow_flow_of(x: int) -> Any:
    return flow_of(x) | op.map_async(pause, 1, window=1)


def _flattened_entries() -> Iterator[Entry]:
    model = flat(items_of)
    for function in cases((slow_flow_of,), (flow_of, slow_flow_of)):
        yield Entry(
            f"concat_map of {function.__name__}",
            ("concat_map",),
            lambda s, f=function: s | op.concat_map(f),
            model=model,
            noted="concat_map",
            bound=unbounded,
        )
    for function, concurrency in cases(
        [(slow_flow_of, 3)], itertools.product((flow_of, slow_flow_of), (2, 3))
    ):
        yield Entry(
            f"concat_map of {function.__name__}, {concurrency} at a time",
            ("concat_map",),
            lambda s, f=function, c=concurrency: s | op.concat_map(f, c),
            model=model,
            noted="concat_map",
            known={"prefetches": True},
            bound=unbounded,
        )
    everyday = [(flow_of, 1), (slow_flow_of, 3)]
    for function, concurrency in cases(everyday, itertools.product((flow_of, slow_flow_of), (1, 3))):
        yield Entry(
            f"flat_map_merge of {function.__name__}, {concurrency} at a time",
            ("flat_map_merge",),
            lambda s, f=function, c=concurrency: s | op.flat_map_merge(f, c),
            model=model,
            noted="flat_map_merge",
            known={"prefetches": True},
            bound=unbounded,
        )
    for name, pace in (("ready", lambda flow: flow), ("slow", slowly)):
        yield Entry(
            f"switch_map of {name} items",
            ("switch_map",),
            lambda s, pace=pace: pace(s) | op.switch_map(flow_of),
            model=model,
            noted="switch_map",
            known={"prefetches": True},
            bound=unbounded,
        )
        yield Entry(
            f"exhaust_map of {name} items",
            ("exhaust_map",),
            lambda s, pace=pace: pace(s) | op.exhaust_map(flow_of),
            model=model,
            noted="exhaust_map",
            known={"prefetches": True},
            bound=unbounded,
        )
    for name, pace in cases((("slow", slowly),), (("ready", lambda flow: flow), ("slow", slowly))):
        yield Entry(
            f"flat_map behind a flat_map_merge of {name} items",
            ("flat_map_merge",),
            lambda s, pace=pace: pace(s) | op.flat_map_merge(flow_of, 3) | op.flat_map(twice),
            model=lambda items: flat(twice)(model(items)),
            known={"prefetches": True},
        )
    yield Entry(
        "concat_map of merged flows",
        ("concat_map",),
        lambda s: s | op.concat_map(lambda x: flow_of(x) | op.merge(flow_of(x)), order="interleaved"),
        model=lambda items: (y for x in model(items) for y in (x, x)),
        noted="concat_map",
    )


ENTRIES = [*_flattened_entries(), *_merged_entries(), *_ordered_entries(), *_timed_entries()]
