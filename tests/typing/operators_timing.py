"""What the type checkers must infer about operators that look at the clock; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

import penstock.operators as op
from penstock import Flow, interval, just, timer


def by_methods(numbers: Flow[int], others: Flow[str]) -> None:
    """Most leave the item's type as it is; ``keep_alive`` adds that of what it inserts."""
    assert_type(numbers.throttle(3), Flow[int])
    assert_type(numbers.throttle(3, per=60, burst=2), Flow[int])
    assert_type(numbers.delay(1), Flow[int])
    assert_type(numbers.debounce(0.5), Flow[int])
    assert_type(numbers.sample(1), Flow[int])
    assert_type(numbers.sample(others), Flow[int])
    assert_type(numbers.timeout(3), Flow[int])
    assert_type(numbers.timeout(first=3, fallback=just(1)), Flow[int])
    assert_type(numbers.timestamp(), Flow[tuple[float, int]])
    assert_type(numbers.elapsed(), Flow[tuple[float, int]])
    assert_type(numbers.keep_alive(15, None), Flow[int | None])


def by_operators(numbers: Flow[int], others: Flow[str]) -> None:
    """The same behind the bar."""
    assert_type(numbers.throttle_first(1), Flow[int])
    assert_type(numbers | op.throttle(3), Flow[int])
    assert_type(numbers | op.throttle_first(1), Flow[int])
    assert_type(numbers | op.delay(1), Flow[int])
    assert_type(numbers | op.debounce(0.5), Flow[int])
    assert_type(numbers | op.sample(others), Flow[int])
    assert_type(numbers | op.timeout(3), Flow[int])
    assert_type(numbers | op.timeout(3, fallback=just(1)), Flow[int])
    assert_type(numbers | op.timestamp(), Flow[tuple[float, int]])
    assert_type(numbers | op.elapsed(), Flow[tuple[float, int]])
    assert_type(numbers | op.keep_alive(15, None), Flow[int | None])


def ticking() -> None:
    """Ticks are numbered."""
    assert_type(interval(1), Flow[int])
    assert_type(timer(1), Flow[int])


def wrong(numbers: Flow[int], others: Flow[str]) -> None:
    """What cannot be right is refused."""
    numbers.timeout("3 s")  # type: ignore[call-overload]
    numbers.sample("1 s")  # type: ignore[arg-type]
