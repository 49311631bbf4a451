"""What the type checkers must infer about where flows begin; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import aioreactive as rx

import penstock as ps
from penstock import (
    Emitter,
    Flow,
    Page,
    create,
    defer,
    empty,
    fail,
    from_async_iterable,
    from_iterable,
    from_observable,
    from_pages,
    just,
    never,
)


def rows() -> Iterator[str]:
    yield "a"


async def arriving() -> AsyncIterator[bytes]:
    yield b"a"


async def pages() -> AsyncIterator[list[int]]:
    yield [1]


async def pages_from(position: Any) -> AsyncIterator[Page[int]]:
    yield Page([1], position)


def listened(emitter: Emitter[int]) -> None:
    emitter.emit_nowait(1)


async def emitted(emitter: Emitter[str]) -> None:
    await emitter.emit("a")


def begun(observable: rx.AsyncObservable[int]) -> None:
    """What goes in says what comes out, from an iterable and from a function that makes one."""
    assert_type(from_iterable([1, 2]), Flow[int])
    assert_type(from_iterable(range(3), name="numbers"), Flow[int])
    assert_type(from_iterable(rows()), Flow[str])
    assert_type(from_iterable(rows), Flow[str])
    assert_type(from_iterable({"a": 1}.items()), Flow[tuple[str, int]])
    assert_type(from_async_iterable(arriving()), Flow[bytes])
    assert_type(from_async_iterable(arriving), Flow[bytes])
    assert_type(from_pages(pages), Flow[int])
    assert_type(from_pages(pages_from, seekable=True, page_size=1), Flow[int])
    assert_type(from_observable(observable), Flow[int])
    assert_type(create(listened), Flow[int])
    assert_type(create(emitted, capacity=1, overflow="latest"), Flow[str])
    assert_type(just(1, 2), Flow[int])
    assert_type(defer(lambda: just("a")), Flow[str])


def of_no_items() -> None:
    """Flows without items fit everywhere."""
    assert_type(empty(), Flow[Any])
    assert_type(never(), Flow[Any])
    assert_type(fail(ValueError("a")), Flow[Any])
    assert_type(fail(lambda: ValueError("a")), Flow[Any])
    numbers: Flow[int] = just(1).concat(empty())
    assert_type(numbers, Flow[int])


def refused() -> None:
    """What does not fit is found before it runs."""
    from_iterable(5)  # type: ignore[arg-type]
    from_iterable(arriving)  # type: ignore[arg-type]
    from_async_iterable(rows)  # type: ignore[arg-type]
    from_pages(arriving)  # type: ignore[arg-type]
    fail("a")  # type: ignore[arg-type]


def joined(n: Flow[int], s: Flow[str], b: Flow[bytes]) -> None:
    """The joins as functions of many flows, or of one iterable of flows."""
    assert_type(ps.concat(n, n), Flow[int])
    assert_type(ps.concat([n, n]), Flow[int])
    assert_type(ps.merge(n, n, concurrency=1), Flow[int])
    assert_type(ps.merge((n for _ in range(3)), delay_errors=True), Flow[int])
    assert_type(ps.interleave(n, n), Flow[int])
    assert_type(ps.interleave([s]), Flow[str])
    assert_type(ps.race(n, n), Flow[int])
    assert_type(ps.race([n, n]), Flow[int])
    assert_type(ps.merge_sorted(n, n, key=lambda x: -x), Flow[int])
    assert_type(ps.merge_sorted([n, n], reverse=True), Flow[int])
    assert_type(ps.zip(n), Flow[tuple[int]])
    assert_type(ps.zip(n, s), Flow[tuple[int, str]])
    assert_type(ps.zip(n, s, b, strict=True), Flow[tuple[int, str, bytes]])
    assert_type(ps.zip(n, s, b, n, s), Flow[tuple[int, str, bytes, int, str]])
    assert_type(ps.zip(n, s, b, n, s, b), Flow[tuple[Any, ...]])
    assert_type(ps.zip([n, n]), Flow[tuple[int, ...]])
    assert_type(ps.combine_latest(n, s), Flow[tuple[int, str]])
    assert_type(ps.combine_latest(n, s, b, n, s), Flow[tuple[int, str, bytes, int, str]])
    assert_type(ps.combine_latest([n, n]), Flow[tuple[int, ...]])
    assert_type(ps.zip_latest(n, s), Flow[tuple[int | None, str | None]])
    assert_type(ps.zip_latest([n, n]), Flow[tuple[Any, ...]])
    assert_type(ps.zip(n, s).starmap(lambda x, y: y * x), Flow[str])
    assert_type(ps.zip_longest(n, s), Flow[tuple[int | None, str | None]])
    assert_type(ps.zip_longest(n, s, fillvalue=b""), Flow[tuple[int | bytes, str | bytes]])
    assert_type(ps.zip_longest(n, s, b), Flow[tuple[int | None, str | None, bytes | None]])
    assert_type(ps.zip_longest(n, s, b, fillvalue=0), Flow[tuple[int, str | int, bytes | int]])
    assert_type(ps.zip_longest([n, n]), Flow[tuple[int | None, ...]])
    assert_type(ps.zip_longest(n, n, n, n), Flow[tuple[Any, ...]])


def joined_with_others(n: Flow[int], s: Flow[str], numbers: list[int]) -> None:
    """The joins take flows, iterables and async iterables, and any iterable of these."""
    assert_type(ps.merge(n, numbers, range(3)), Flow[int])
    assert_type(ps.merge(numbers, n), Flow[int])
    assert_type(ps.concat(arriving(), [b"x"]), Flow[bytes])
    assert_type(ps.concat(arriving()), Flow[bytes])
    assert_type(ps.race([numbers, range(3)]), Flow[int])
    assert_type(ps.interleave(numbers, numbers), Flow[int])
    assert_type(ps.merge_sorted(numbers, n, key=lambda x: -x), Flow[int])
    assert_type(ps.merge_sorted([numbers, numbers], reverse=True), Flow[int])
    assert_type(ps.zip(numbers, s), Flow[tuple[int, str]])
    assert_type(ps.zip(s, arriving(), numbers), Flow[tuple[str, bytes, int]])
    assert_type(ps.zip([numbers, range(3)], strict=True), Flow[tuple[int, ...]])
    assert_type(ps.combine_latest(numbers, s), Flow[tuple[int, str]])
    assert_type(ps.zip_longest(numbers, s), Flow[tuple[int | None, str | None]])
    assert_type(ps.zip_latest(numbers, s), Flow[tuple[int | None, str | None]])
    ps.merge(3)  # type: ignore[call-overload]
    ps.merge(numbers)  # type: ignore[arg-type]
    ps.zip(n, 3)  # type: ignore[call-overload]
