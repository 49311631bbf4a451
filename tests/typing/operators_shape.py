"""What the type checkers must infer about operators that change how many items there are; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import assert_type

import penstock.operators as op
from penstock import Flow, just


def letters(number: int) -> list[str]:
    return ["a"] * number


def lazily(number: int) -> Iterator[bytes]:
    yield bytes(number)


def small(number: int) -> bool:
    return number < 10


def by_methods(numbers: Flow[int]) -> None:
    """Lambdas need no annotation behind the dot."""
    assert_type(numbers.flat_map(letters), Flow[str])
    assert_type(numbers.flat_map(lazily), Flow[bytes])
    assert_type(numbers.flat_map(range), Flow[int])
    assert_type(numbers.expand(range, max_depth=2), Flow[int])
    assert_type(numbers.expand(lambda x: [x + 1] if x < 9 else []), Flow[int])
    assert_type(numbers.flat_map(lambda x: [x / 2]), Flow[float])
    assert_type(numbers.take(2), Flow[int])
    assert_type(numbers.take_while(lambda x: x < 2), Flow[int])
    assert_type(numbers.skip(2), Flow[int])
    assert_type(numbers.skip_while(lambda x: x < 2), Flow[int])
    assert_type(numbers.batch(2), Flow[list[int]])
    assert_type(numbers.batch(2).batch(3), Flow[list[list[int]]])


def by_operators(numbers: Flow[int]) -> None:
    """Operators without a function take flows of anything, and leave its type as it is."""
    assert_type(op.flat_map(letters), Callable[[Flow[int]], Flow[str]])
    assert_type(numbers | op.flat_map(letters), Flow[str])
    assert_type(numbers | op.flat_map(lazily), Flow[bytes])
    assert_type(numbers | op.expand(range, limit=9), Flow[int])
    assert_type(numbers | op.take(2), Flow[int])
    assert_type(numbers | op.take_while(small), Flow[int])
    assert_type(numbers | op.skip(2), Flow[int])
    assert_type(numbers | op.skip_while(small), Flow[int])
    assert_type(numbers | op.batch(2), Flow[list[int]])
    take = op.take(2)
    assert_type(numbers | take | op.flat_map(letters) | take, Flow[str])


def lists(numbers: Flow[int]) -> None:
    assert_type(numbers.batch(2), Flow[list[int]])
    assert_type(numbers.batch(2, within=1.5), Flow[list[int]])
    assert_type(numbers | op.batch(2, within=1.5), Flow[list[int]])
    assert_type(numbers.batch(within=1.5), Flow[list[int]])
    assert_type(numbers.batch(2, strict=True), Flow[list[int]])
    assert_type(just("a").batch(9.5, by=lambda text: len(text) + 1), Flow[list[str]])
    assert_type(just("a").batch(9.5, within=2, by=lambda text: len(text) + 1), Flow[list[str]])
    assert_type(numbers | op.batch(2, strict=True), Flow[list[int]])
    assert_type(numbers | op.batch(9, by=int.bit_length), Flow[list[int]])
    assert_type(numbers.sliding(3, 2, partial=True), Flow[list[int]])
    assert_type(numbers | op.sliding(3), Flow[list[int]])
    assert_type(numbers.chunk_by(lambda n: n // 10), Flow[list[int]])
    assert_type(numbers | op.chunk_by(small), Flow[list[int]])
    assert_type(numbers.take_while(lambda x: x < 2, inclusive=True), Flow[int])
    assert_type(numbers | op.take_while(small, inclusive=True), Flow[int])
    assert_type(numbers.split(lambda n: n.bit_length() == 1, keep="before"), Flow[list[int]])
    assert_type(numbers | op.split(small, keep="after"), Flow[list[int]])


def flat(numbers: Flow[int]) -> None:
    assert_type(numbers.batch(2).unbatch(), Flow[int])
    assert_type(numbers | op.batch(2) | op.unbatch(), Flow[int])
    assert_type(just("ab").unbatch(), Flow[str])


def same(numbers: Flow[int]) -> None:
    assert_type(numbers.skip_last(2), Flow[int])
    assert_type(numbers | op.skip_last(2), Flow[int])
    assert_type(numbers.take_last(2), Flow[int])
    assert_type(numbers | op.take_last(2), Flow[int])
    assert_type(numbers.take_until(just("now")), Flow[int])
    assert_type(numbers | op.take_until(just("now")), Flow[int])


async def worded(numbers: AsyncIterator[int]) -> AsyncIterator[str]:
    async for number in numbers:
        yield str(number)


def generated(numbers: Flow[int]) -> None:
    assert_type(numbers.through(worded, holds=3), Flow[str])
    assert_type(numbers | op.through(worded), Flow[str])


def of_bytes(chunks: Flow[bytes], texts: Flow[str]) -> None:
    assert_type(chunks.decode("latin-1", "replace"), Flow[str])
    assert_type(chunks | op.decode(), Flow[str])
    assert_type(chunks.lines(keepends=True, max_length=80), Flow[str])
    assert_type(texts.lines(), Flow[str])
    assert_type(chunks | op.lines(), Flow[str])
    chunks.decode().decode()  # type: ignore[misc]


def single(numbers: Flow[int]) -> None:
    assert_type(numbers.element_at(3), Flow[int])
    assert_type(numbers.element_at(3, None), Flow[int | None])
    assert_type(numbers | op.element_at(3), Flow[int])
    assert_type(numbers | op.element_at(3, "x"), Flow[int | str])
    assert_type(numbers.skip_until(just("now")), Flow[int])
    assert_type(numbers | op.skip_until(just("now")), Flow[int])


def refused(texts: Flow[str], numbers: Flow[int]) -> None:
    """What does not fit is found before it runs."""
    texts | op.flat_map(letters)  # type: ignore[arg-type]
    texts.take_while(small)  # type: ignore[arg-type]
    numbers.take("2")  # type: ignore[arg-type]
    numbers.flat_map(small)  # type: ignore[arg-type]
