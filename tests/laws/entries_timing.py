"""Operators and sources of time."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any

import penstock.operators as op
from penstock import interval, just, timer
from penstock.testing.script import Sleep

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import Entry
from .models import taken

if TYPE_CHECKING:
    from collections.abc import Iterator

EACH_SECOND = (Sleep(1),)
PAUSES = (None, Sleep(50))
FAR = 1e4
"""Seconds that no source waits, except one that waits for ever."""


def _numbered(items: Iterator[Any]) -> Iterator[tuple[float, Any]]:
    return ((0.0, item) for item in items)


def _dropping_entries() -> Iterator[Entry]:
    """Yield stages that drop items, with a source that is slow enough to lose none, and with a fast one."""
    for name, step in (("debounce", op.debounce(0.5)), ("sample", op.sample(0.375))):
        for pace in (EACH_SECOND, ()):
            yield Entry(
                f"{name} of {'slow' if pace else 'fast'} items",
                (name,),
                lambda s, step=step: s | step,
                model=iter,
                known={"pace": pace},
                bound=lambda n: 64 + n,
                # it drops items that come at once, so its output is not all of its input
                skip=() if pace else ("promptness",),
            )
    for pace in (EACH_SECOND, ()):
        yield Entry(
            f"throttle_first of {'slow' if pace else 'fast'} items",
            ("throttle_first",),
            lambda s: s | op.throttle_first(0.5),
            model=iter,
            known={"pace": pace},
            bound=lambda _: 64,
            skip=() if pace else ("promptness",),  # it drops items that come at once
        )
    uneven = (None, Sleep(1), Sleep(0.5))
    for pace in cases((EACH_SECOND, uneven), (EACH_SECOND, (), uneven)):
        yield Entry(
            f"sample(flow) at {len(pace)} paces",
            ("sample",),
            lambda a, b: a | op.sample(b),
            (tuple(range(5)), tuple(range(100, 107))),
            model=lambda a, _: a,
            known={"pace": pace, "closes_early": True},
            bound=lambda n: 64 + n + 1,
            skip=("promptness",),  # if one of two inputs stalls, it drops items that the model keeps
        )


ENTRIES = [
    *(
        Entry(
            f"throttle({rate}, burst={burst}, per={per})",
            ("throttle",),
            lambda s, r=rate, b=burst, p=per: s | op.throttle(r, burst=b, per=p),
            model=iter,
            bound=float,
        )
        for rate, burst, per in cases([(2, 3, 1), (5, 2, 3)], [(1000, 1, 1), (2, 3, 1), (5, 2, 3)])
    ),
    Entry(
        "throttle(3, per=2, rolling=True)",
        ("throttle",),
        lambda s: s | op.throttle(3, per=2, rolling=True),
        model=iter,
        bound=float,
    ),
    *(
        Entry(
            f"delay({seconds}, {capacity})",
            ("delay",),
            lambda s, t=seconds, c=capacity: s | op.delay(t, c),
            model=iter,
            known={"prefetches": True},
            bound=lambda n, c=capacity: c + n,
        )
        for seconds, capacity in cases([(0, 3), (0.5, 2)], [(0, 3), (2, 256), (0.5, 2)])
    ),
    *_dropping_entries(),
    Entry("timeout(each)", ("timeout",), lambda s: s | op.timeout(FAR), model=iter, bound=float),
    Entry("timeout(first)", ("timeout",), lambda s: s | op.timeout(first=FAR), model=iter, bound=float),
    Entry(
        "timeout(fallback) that is not needed",
        ("timeout",),
        lambda s: s | op.timeout(FAR, fallback=just("late")),
        model=iter,
        known={"closes_early": True},
        bound=float,
    ),
    Entry(
        "timeout(fallback) that is needed",
        ("timeout",),
        lambda s: s | op.timeout(10, fallback=just("a", "b", "c")),
        known={"closes_early": True, "pace": (None, None, Sleep(50))},
        # its items come from the fallback, which is not counted and also answers a stall
        skip=("demand", "prefix"),
    ),
    Entry(
        "keep_alive",
        ("keep_alive",),
        lambda s: s | op.keep_alive(20, -1) | op.filter(lambda x: x != -1),
        model=iter,
        known={"pace": PAUSES, "patience": 1e3},
        skip=("promptness",),  # it keeps emitting when its source stalls
        bound=float,
    ),
    Entry(
        "keep_alive|take",
        ("keep_alive",),
        lambda s: s | op.keep_alive(0.75, -1) | op.take(12),
        known={"closes_early": True},
        skip=("demand", "prefix"),  # inserted items come from no input and also answer a stall
    ),
    *(
        Entry(
            f"{make.__name__} of {'slow' if pace else 'fast'} items",
            (make.__name__,),
            lambda s, make=make: s | make(),
            model=_numbered,
            known={"same": operator.itemgetter(1), "pace": pace},
            bound=float,
        )
        for make, pace in cases(
            [(op.timestamp, ()), (op.elapsed, EACH_SECOND)],
            itertools.product((op.timestamp, op.elapsed), ((), EACH_SECOND)),
        )
    ),
    Entry("interval", ("interval",), lambda: interval(2) | op.take(5), (), lambda: range(5)),
    Entry("timer", ("timer",), lambda: timer(3), (), lambda: [0], bound=float),
    Entry(
        "throttle|delay|timeout|take",
        ("throttle",),
        lambda s: s | op.throttle(4) | op.delay(1.5) | op.timeout(FAR) | op.take(5),
        model=taken(5),
        known={"closes_early": True, "prefetches": True},
    ),
]
