"""Operators that await one call after the other."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import penstock.operators as op

from ..length import cases  # noqa: TID252  tests are no installed package
from .entry import Entry
from .functions import small, third, total, touch
from .models import scanned, tapped, through_first

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from .models import Model


def delayed(function: Callable[..., Any], wait: str) -> Callable[..., Awaitable[Any]]:
    """Return ``function`` as an async one that waits first: not at all, a turn of the loop, or seconds."""

    async def call(*arguments: Any) -> Any:
        if wait == "a turn" or (wait == "a while" and arguments[-1] % 2):
            await asyncio.sleep(0 if wait == "a turn" else 3)
        return function(*arguments)

    return call


OPERATORS: list[tuple[str, str, Callable[..., Any], Callable[[Any], Any], Model]] = [
    ("tap_async", "tap_async", touch, op.tap_async, tapped),
    ("scan_async", "scan_async", total, op.scan_async, lambda i: itertools.accumulate(i, total)),
    ("scan_async(seed)", "scan_async", total, lambda f: op.scan_async(f, 5), scanned(total, 5)),
    (
        "take_while_async",
        "take_while_async",
        small,
        op.take_while_async,
        lambda i: itertools.takewhile(small, i),
    ),
    (
        "take_while_async(inclusive)",
        "take_while_async",
        small,
        lambda f: op.take_while_async(f, inclusive=True),
        through_first(small),
    ),
    (
        "skip_while_async",
        "skip_while_async",
        small,
        op.skip_while_async,
        lambda i: itertools.dropwhile(small, i),
    ),
]


def _entries() -> Iterator[Entry]:
    waits = ("at once", "a turn", "a while")
    everyday = [*zip(OPERATORS, itertools.cycle(waits), strict=False), (OPERATORS[0], "a while")]
    for (label, name, function, operator, model), wait in cases(
        everyday, itertools.product(OPERATORS, waits)
    ):
        yield Entry(
            f"{label}, {wait}",
            (name,),
            lambda s, f=function, w=wait, o=operator: s | o(delayed(f, w)),
            model=model,
            noted=name,
            known={"instant": wait != "a while", "closes_early": name == "take_while_async"},
            bound=float,
        )


ENTRIES = [
    *_entries(),
    Entry(
        "filter|scan_async|take",
        ("scan_async",),
        lambda s: s | op.filter(third) | op.scan_async(delayed(total, "a turn")) | op.take(2),
        model=lambda i: itertools.islice(itertools.accumulate(filter(third, i), total), 2),
        known={"closes_early": True},
    ),
]
