"""Operators that handle failures."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from expression import Nothing, Some

import penstock as ps
import penstock.operators as op
from penstock.runtime.policy import RetryPolicy

from .entry import Entry
from .functions import add, lazily, total
from .models import batched, flat, scanned, tapped, unbounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from penstock.testing import TestSource


def flaky(source: TestSource) -> Any:
    """Fail once on every third item, then never again on that one."""
    seen: set[int] = set()

    def step(x: int) -> int:
        if x % 3 == 1 and x not in seen:
            seen.add(x)
            raise ConnectionError("lost")
        return x + 100

    return source | op.map(step) | op.retry(RetryPolicy(attempts=2, initial=1, jitter=False))


LOGGER = logging.getLogger("penstock.laws")
LOGGER.setLevel("DEBUG")
LOGGER.propagate = False  # it has no handler: the laws look at the flow only
LOGGER.addHandler(logging.NullHandler())


class Broken(ConnectionError):
    """The error that some of these flows raise by themselves."""


def breaking(x: int) -> int:
    if (
        int.__add__(x, 0) == 4
    ):  # int.__add__ works on a poisoned item, so it fails at the same item as a plain one
        raise Broken(x)
    return x + 100


def recovered(items: Iterator[int]) -> Iterator[int]:
    try:
        for item in items:
            yield breaking(item)
    except Exception:  # noqa: BLE001  every error counts
        yield -1


def resumed(items: Iterator[int]) -> Iterator[int]:
    try:
        for item in items:
            yield breaking(item)
    except Exception:  # noqa: BLE001  every error counts
        yield from (1000, 3000, 6000)


def instead(items: Iterator[int]) -> Iterator[int]:
    try:
        yield from items
    except Exception:  # noqa: BLE001  every error counts
        yield from (1000, 3000, 6000)


class Renamed(Exception):
    """The error that stands for ``Broken``."""


def renamed(error: Exception) -> Exception:
    return Renamed(error) if isinstance(error, Broken) else error


def only_renamed(error: Exception) -> Any:
    return Some(-1) if isinstance(error, Renamed) else Nothing


def picked(items: Iterator[int]) -> Iterator[int]:
    try:
        for item in items:
            yield breaking(item)
    except Broken:
        yield -1


def elsewhere(error: Exception) -> ps.Flow[int]:
    return ps.just(1000, 2000, 3000) | op.scan(total, 0)


def for_broken(error: Exception) -> ps.Flow[int]:
    """Go on after one kind of error only: a resumed run must know which error it was."""
    if isinstance(error, Broken) and error.args == (4,):
        return ps.just(-1, -2)
    raise error


def gone_on(items: Iterator[int]) -> Iterator[int]:
    try:
        for item in items:
            yield breaking(item)
    except Broken:
        yield from (-1, -2)


def skipped(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        try:
            yield breaking(item)
        except Exception:  # noqa: BLE001, S112  every error counts
            continue


def without_broken(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        try:
            yield breaking(item)
        except Broken:
            continue


def generous(x: int) -> Iterator[int]:
    yield x
    yield x * 2
    if x % 4 == 1:
        raise Broken(x)
    yield x * 3


def given_out(items: Iterator[int]) -> Iterator[int]:
    """Number items, then spread them; outputs before a failure stay emitted."""
    for number, item in enumerate(items):
        out: list[int] = []
        try:
            for x in generous(item):
                out.append(number * 1000 + x)
        except Exception:  # noqa: BLE001, S110  every error counts
            pass
        yield from out


def gathered(items: Iterator[int]) -> Iterator[list[int]]:
    """Yield running sums of the items that did not break, in lists of three."""
    return batched(3)(scanned(total, 0)(skipped(items)))


def ignored(error: Exception, item: object) -> None: ...


def told_of(_: Exception, item: int) -> int:
    """Return an item for one that broke; a poisoned one may be counted, but not added."""
    return -int.__add__(item, 1)


async def breaking_later(x: int) -> int:
    await asyncio.sleep(1)
    return breaking(x)


def replaced(
    function: Callable[[int], Iterable[int]],
) -> Callable[[Iterator[int]], Iterator[int]]:
    """Return the model of ``function`` over each item, where ``told_of`` follows the outputs before an error."""

    def model(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            out: list[int] = []
            try:
                out.extend(function(item))
            except Exception as error:  # noqa: BLE001  every error counts
                out.append(told_of(error, item))
            yield from out

    return model


def broken_at_four(function: Callable[[int, int], int]) -> Callable[[Iterator[int]], Iterator[int]]:
    """Return the model of a scan, with ``breaking`` behind it, where -1 replaces an item that is ``Broken``."""

    def model(items: Iterator[int]) -> Iterator[int]:
        for state in scanned(function, 0)(items):
            try:
                yield breaking(state)
            except Broken:
                yield -1

    return model


def ended(_: object) -> None: ...


@asynccontextmanager
async def slowly(source: TestSource) -> AsyncIterator[TestSource]:
    await asyncio.sleep(1)
    yield source
    await asyncio.sleep(1)


ENTRIES = [
    Entry("retry", ("retry",), lambda s: s | op.retry(), model=iter, bound=float),
    Entry(
        "retry(flaky)",
        ("retry",),
        flaky,
        model=lambda i: map(add, i),
        known={"closes_early": True},
        skip=("errors_speak", "demand", "fair"),  # each attempt reads the earlier items again
    ),
    Entry(
        "recover",
        ("recover",),
        lambda s: s | op.map(breaking) | op.recover(lambda error: -1),
        model=recovered,
        known={"closes_early": True},
        skip=("errors_speak",),  # it handles every error
        bound=float,
    ),
    Entry(
        "recover(Option)",
        ("recover",),
        lambda s: (
            s
            | op.map(breaking)
            | op.recover(lambda error: Some(-1) if isinstance(error, Broken) else Nothing)
        ),
        model=picked,
        noted="map",
        known={"closes_early": True},
    ),
    Entry(
        "on_error_resume",
        ("on_error_resume",),
        lambda s: s | op.map(breaking) | op.on_error_resume(elsewhere),
        model=resumed,
        known={"closes_early": True},
        skip=("errors_speak",),  # it handles every error
        bound=unbounded,
    ),
    Entry(
        "on_error_resume(one kind)",
        ("on_error_resume",),
        lambda s: s | op.map(breaking) | op.on_error_resume(for_broken) | op.buffer(2),
        model=gone_on,
        noted="map",
        known={"closes_early": True, "prefetches": True},
    ),
    Entry(
        "on_error_resume(of the source)",
        ("on_error_resume",),
        lambda s: s | op.on_error_resume(elsewhere),
        model=instead,
    ),
    Entry(
        "map_error(same)",
        ("map_error",),
        lambda s: s | op.map(add) | op.map_error(renamed),
        model=lambda i: map(add, i),
        noted="map",
        bound=float,
    ),
    Entry(
        "map_error|recover",
        ("map_error",),
        lambda s: s | op.map(breaking) | op.map_error(renamed) | op.recover(only_renamed),
        model=picked,
        noted="map",
        known={"closes_early": True},
    ),
    Entry(
        "tap_error",
        ("tap_error",),
        lambda s: s | op.map(add) | op.tap_error(repr),
        model=lambda i: map(add, i),
        noted="map",
        bound=float,
    ),
    *(
        Entry(
            f"log({level})",
            ("log",),
            lambda s, level=level: s | op.log("penstock.laws", level, every=2, limit=2),
            model=iter,
            bound=float,
        )
        for level in ("CRITICAL", "DEBUG")
    ),
    Entry(
        "on_error_skip of two kinds",
        ("on_error_skip",),
        lambda s: (
            s
            | op.map(breaking)
            | op.on_error_skip(ignored, errors=LookupError)
            | op.on_error_skip(ignored, errors=Broken)
        ),
        model=without_broken,
        noted="map",
        bound=float,
    ),
    Entry(
        "on_error_skip",
        ("on_error_skip",),
        lambda s: s | op.map(breaking) | op.on_error_skip(ignored),
        model=skipped,
        bound=float,
        skip=("errors_speak",),  # it handles every error of a function
    ),
    Entry(
        "on_error_skip(numbered flat_map)",
        ("on_error_skip",),
        lambda s: (
            s
            | op.enumerate()
            | op.flat_map(lambda pair: (pair[0] * 1000 + x for x in generous(pair[1])))
            | op.on_error_skip(ignored)
        ),
        model=given_out,
        bound=lambda n: 2 * n,
        skip=("errors_speak",),
    ),
    Entry(
        "on_error_skip(batch)",
        ("on_error_skip",),
        lambda s: (
            s
            | op.map(breaking)
            | op.scan(total, 0)
            | op.batch(3)
            | op.on_error_skip(ignored, limit=2)
            | op.buffer(2)
        ),
        model=gathered,
        known={"folds": True, "prefetches": True},
        skip=("errors_speak",),
    ),
    Entry(
        "on_error_replace",
        ("on_error_replace",),
        lambda s: s | op.map(breaking) | op.map(add) | op.on_error_replace(by=told_of),
        model=replaced(lambda x: [add(breaking(x))]),
        bound=float,
        skip=("errors_speak",),  # it handles every error of a function
    ),
    Entry(
        "on_error_replace(numbered flat_map) behind another",
        ("on_error_replace",),
        lambda s: (
            s
            | op.flat_map(generous)
            | op.on_error_skip(ignored, errors=LookupError)
            | op.on_error_replace(-1, errors=KeyError)
            | op.on_error_replace(by=told_of)
            | op.buffer(2)
        ),
        model=replaced(generous),
        known={"prefetches": True},
        skip=("errors_speak",),
    ),
    Entry(
        "on_error_replace(scan) of one kind",
        ("on_error_replace",),
        lambda s: (
            s | op.scan(total, 0) | op.map(breaking) | op.on_error_replace(-1, errors=Broken) | op.buffer(2)
        ),
        model=broken_at_four(total),
        noted="scan",
        known={"prefetches": True},
    ),
    *(
        Entry(
            f"on_error_replace(map_async, ordered={ordered})",
            ("on_error_replace",),
            lambda s, ordered=ordered: (
                s | op.map_async(breaking_later, 2, ordered=ordered) | op.on_error_replace(by=told_of)
            ),
            model=replaced(lambda x: [breaking(x)]),
            known={"prefetches": True, "keeps_order": ordered},
            skip=("errors_speak",),
        )
        for ordered in (True, False)
    ),
    Entry(
        "on_error_replace(tap_async)",
        ("on_error_replace",),
        lambda s: s | op.tap_async(breaking_later) | op.on_error_replace(by=told_of),
        model=replaced(lambda x: [x + (breaking(x) - x - 100)]),
        skip=("errors_speak",),
    ),
    Entry(
        "circuit_breaker",
        ("circuit_breaker",),
        lambda s: s | op.circuit_breaker(1, 5),
        model=iter,
        bound=float,
    ),
    Entry(
        "circuit_breaker behind a scan",
        ("circuit_breaker",),
        lambda s: s | op.scan(total, 0) | op.circuit_breaker() | op.buffer(2),
        model=scanned(total, 0),
        noted="scan",
        known={"prefetches": True},
    ),
    Entry(
        "using",
        ("using",),
        lambda s: ps.using(lambda: slowly(s), lambda source: source | op.scan(total, 0)),
        model=scanned(total, 0),
        bound=unbounded,
    ),
    Entry(
        "using(release)",
        ("using",),
        lambda s: ps.using(lambda: s, lambda source: source | op.flat_map(lazily), ended) | op.buffer(1),
        model=flat(lazily),
        noted="flat_map",
        known={"prefetches": True},
    ),
    Entry("repeat", ("repeat",), lambda s: s | op.repeat(1), model=iter, bound=float),
    Entry(
        "repeat(3)",
        ("repeat",),
        lambda: ps.just(1, 2, 3) | op.scan(total, 0) | op.repeat(3),
        (),
        model=lambda: itertools.chain.from_iterable(itertools.repeat((1, 3, 6), 3)),
        bound=float,
    ),
    Entry(
        "repeat(2, every, until)",
        ("repeat",),
        lambda s: s | op.repeat(2, every=10, until=lambda x: x + 1 > 0),
        model=tapped,
        bound=float,
    ),
    Entry("repeat(0)", ("repeat",), lambda s: s | op.repeat(0), model=lambda _: (), bound=lambda _: 0),
    Entry("finally_do", ("finally_do",), lambda s: s | op.finally_do(ended), model=iter, bound=float),
    Entry(
        "finally_do between",
        ("finally_do",),
        lambda s: s | op.scan(total, 0) | op.finally_do(ended) | op.buffer(2) | op.map(add),
        model=lambda i: map(add, scanned(total, 0)(i)),
        noted="scan",
    ),
]
