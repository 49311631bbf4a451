"""What the type checkers must infer about operators on shape; checked, never run."""

from __future__ import annotations

from typing import assert_type

import penstock as ps
import penstock.operators as op

numbers = ps.from_iterable([1, 2, 3])


def lists() -> None:
    assert_type(numbers.batch(2), ps.Flow[list[int]])
    assert_type(numbers.batch(2, within=1.5), ps.Flow[list[int]])
    assert_type(numbers | op.batch(2, within=1.5), ps.Flow[list[int]])
    assert_type(numbers.sliding(3, 2, partial=True), ps.Flow[list[int]])
    assert_type(numbers | op.sliding(3), ps.Flow[list[int]])
    assert_type(numbers.split(lambda n: n.bit_length() == 1, keep="before"), ps.Flow[list[int]])


def flat() -> None:
    assert_type(numbers.batch(2).unbatch(), ps.Flow[int])
    assert_type(numbers | op.batch(2) | op.unbatch(), ps.Flow[int])
    assert_type(ps.just("ab").unbatch(), ps.Flow[str])


def same() -> None:
    assert_type(numbers.skip_last(2), ps.Flow[int])
    assert_type(numbers | op.take_last(2), ps.Flow[int])
    assert_type(numbers.take_until(ps.just("now")), ps.Flow[int])
    assert_type(numbers | op.take_until(ps.just("now")), ps.Flow[int])
