"""What the type checkers must infer about operators on items; checked, never run."""

from __future__ import annotations

from collections import Counter
from typing import assert_type

from expression import Error, Ok, Result

import penstock as ps
import penstock.operators as op

numbers = ps.from_iterable([1, 2, 3])
results: ps.Flow[Result[int, str]] = ps.just(Ok(1), Error("bad"))


def same() -> None:
    assert_type(numbers.distinct(capacity=9), ps.Flow[int])
    assert_type(numbers.distinct(lambda n: n.bit_length(), capacity=9), ps.Flow[int])
    assert_type(numbers | op.distinct(capacity=9), ps.Flow[int])
    assert_type(numbers.start_with(4), ps.Flow[int])
    assert_type(numbers.default_if_empty(4), ps.Flow[int])
    assert_type(numbers.switch_if_empty(ps.just(4)), ps.Flow[int])
    assert_type(numbers | op.switch_if_empty(ps.just(4)), ps.Flow[int])


def changed() -> None:
    assert_type(numbers.cast(bool), ps.Flow[bool])
    assert_type(numbers | op.cast(bool), ps.Flow[bool])
    assert_type(numbers.pairwise(), ps.Flow[tuple[int, int]])
    assert_type(numbers | op.pairwise(), ps.Flow[tuple[int, int]])


def collected() -> None:
    assert_type(numbers.collect(), ps.Flow[list[int]])
    assert_type(numbers | op.collect(), ps.Flow[list[int]])
    assert_type(numbers.collect(tuple[int, ...]), ps.Flow[tuple[int, ...]])
    assert_type(numbers.collect(lambda items: items[:1]), ps.Flow[list[int]])
    assert_type(numbers.collect(Counter[int], lambda c, n: c.update([n])), ps.Flow[Counter[int]])


def unwrapped() -> None:
    assert_type(results.unwrap(), ps.Flow[int])
    assert_type(results.unwrap("skip"), ps.Flow[int])
    assert_type(results.unwrap(errors=lambda error: error.upper()), ps.Flow[int])
    assert_type(results | op.unwrap(), ps.Flow[int])


def told() -> None:
    notifications = numbers.materialize()
    assert_type(notifications, ps.Flow[ps.Notification[int]])
    assert_type(notifications.dematerialize(), ps.Flow[int])
    assert_type(numbers | op.materialize() | op.dematerialize(), ps.Flow[int])


async def looked_into() -> None:
    async for note in numbers.materialize():
        match note:
            case ps.Next(item):
                assert_type(item, int)
            case ps.Failed(error):
                assert_type(error, Exception)
            case ps.Completed():
                assert_type(note, ps.Completed)
