"""What the type checkers must infer about operators on single items; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import assert_type

from expression import Nothing, Option, Result, Some, pipe

import penstock.operators as op
from penstock import Completed, Failed, Flow, Next, Notification, just


def name(number: int) -> str:
    return str(number)


def both(number: int, text: str) -> bytes:
    return text.encode() * number


def some(number: int) -> Option[str]:
    return Some(str(number)) if number else Nothing


def total(total: int, number: int) -> int:
    return total + number


def longer(text: str, number: int) -> str:
    return text * number


def by_methods(numbers: Flow[int], pairs: Flow[tuple[int, str]]) -> None:
    """Lambdas need no annotation behind the dot."""
    assert_type(numbers.map(lambda x: x / 2), Flow[float])
    assert_type(numbers.map(name).map(lambda s: s.upper()), Flow[str])
    assert_type(numbers.filter(lambda x: x > 1), Flow[int])
    assert_type(numbers.choose(some), Flow[str])
    assert_type(numbers.tap(lambda x: x.bit_length()), Flow[int])
    assert_type(numbers.enumerate(), Flow[tuple[int, int]])
    assert_type(numbers.map(name).enumerate(1), Flow[tuple[int, str]])
    assert_type(numbers.scan(longer, ""), Flow[str])
    assert_type(numbers.scan(lambda total, x: total + x, 0), Flow[int])
    assert_type(numbers.distinct_until_changed(), Flow[int])
    assert_type(numbers.distinct_until_changed(lambda x: x % 10), Flow[int])
    assert_type(pairs.starmap(both), Flow[bytes])
    assert_type(pairs.starmap(lambda number, text: (text, number)), Flow[tuple[str, int]])


def joined(held: str, number: int) -> tuple[str, list[bytes]]:
    return held + str(number), [held.encode()]


def with_a_state(numbers: Flow[int]) -> None:
    assert_type(numbers.stateful("", joined), Flow[bytes])
    assert_type(numbers.stateful("", joined, lambda held: [held.encode()]), Flow[bytes])
    assert_type(numbers.stateful(0, lambda total, x: (total + x, [str(total)])), Flow[str])
    assert_type(numbers | op.stateful("", joined), Flow[bytes])
    assert_type(numbers.scan(max), Flow[int])
    assert_type(numbers | op.scan(total), Flow[int])


def by_operators(numbers: Flow[int], pairs: Flow[tuple[int, str]]) -> None:
    """Behind a bar, functions with annotations say what goes in and what comes out."""
    assert_type(op.map(name), Callable[[Flow[int]], Flow[str]])
    assert_type(numbers | op.map(name), Flow[str])
    assert_type(numbers | op.map(name) | op.map(len), Flow[int])
    assert_type(numbers | op.filter(name), Flow[int])
    assert_type(numbers | op.choose(some), Flow[str])
    assert_type(numbers | op.tap(name), Flow[int])
    assert_type(numbers | op.enumerate(), Flow[tuple[int, int]])
    assert_type(numbers | op.scan(longer, ""), Flow[str])
    assert_type(numbers | op.distinct_until_changed(), Flow[int])
    assert_type(pairs | op.distinct_until_changed(), Flow[tuple[int, str]])
    assert_type(pairs | op.starmap(both), Flow[bytes])


def by_pipe(numbers: Flow[int]) -> None:
    """``expression.pipe`` takes the operators as they are."""
    assert_type(pipe(numbers, op.map(name), op.enumerate()), Flow[tuple[int, str]])


def same(numbers: Flow[int]) -> None:
    assert_type(numbers.distinct(capacity=9), Flow[int])
    assert_type(numbers.distinct(lambda n: n.bit_length(), capacity=9), Flow[int])
    assert_type(numbers | op.distinct(capacity=9), Flow[int])
    assert_type(numbers.intersperse(4), Flow[int])
    assert_type(numbers | op.intersperse(4), Flow[int])
    assert_type(numbers.start_with(4), Flow[int])
    assert_type(numbers | op.start_with(4), Flow[int])
    assert_type(numbers.default_if_empty(4), Flow[int])
    assert_type(numbers | op.default_if_empty(4), Flow[int])
    assert_type(numbers.switch_if_empty(just(4)), Flow[int])
    assert_type(numbers | op.switch_if_empty(just(4)), Flow[int])


def changed(numbers: Flow[int]) -> None:
    assert_type(numbers.cast(bool), Flow[bool])
    assert_type(numbers | op.cast(bool), Flow[bool])
    assert_type(numbers.pairwise(), Flow[tuple[int, int]])
    assert_type(numbers | op.pairwise(), Flow[tuple[int, int]])


def collected(numbers: Flow[int]) -> None:
    assert_type(numbers.collect(), Flow[list[int]])
    assert_type(numbers | op.collect(), Flow[list[int]])
    assert_type(numbers.collect(tuple[int, ...]), Flow[tuple[int, ...]])
    assert_type(numbers.collect(lambda items: items[:1]), Flow[list[int]])
    assert_type(numbers.collect(Counter[int], lambda c, n: c.update([n])), Flow[Counter[int]])


def unwrapped(results: Flow[Result[int, str]]) -> None:
    assert_type(results.unwrap(), Flow[int])
    assert_type(results.unwrap("skip"), Flow[int])
    assert_type(results.unwrap(errors=lambda error: error.upper()), Flow[int])
    assert_type(results | op.unwrap(), Flow[int])


def told(numbers: Flow[int]) -> None:
    notifications = numbers.materialize()
    assert_type(notifications, Flow[Notification[int]])
    assert_type(notifications.dematerialize(), Flow[int])
    assert_type(numbers | op.materialize() | op.dematerialize(), Flow[int])


async def looked_into(numbers: Flow[int]) -> None:
    async for note in numbers.materialize():
        match note:
            case Next(item):
                assert_type(item, int)
            case Failed(error):
                assert_type(error, Exception)
            case Completed():
                assert_type(note, Completed)


def refused(numbers: Flow[int], texts: Flow[str]) -> None:
    """What does not fit is found before it runs."""
    texts | op.map(name)  # type: ignore[arg-type]
    texts.map(name)  # type: ignore[arg-type]
    numbers.starmap(both)  # type: ignore[misc, arg-type]
    numbers.scan(both, "")  # type: ignore[arg-type]
