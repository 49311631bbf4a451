"""What the type checkers must infer about operators that let work overlap; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import assert_type

import penstock.operators as op
from penstock import Flow


async def fetched(number: int) -> str:
    return str(number)


def promised(number: int) -> Future[bytes]:
    raise NotImplementedError(number)


def by_methods(numbers: Flow[int]) -> None:
    """What is awaited, not the awaitable, is what comes out."""
    assert_type(numbers.map_async(fetched), Flow[str])
    assert_type(numbers.map_async(fetched, 4, ordered=False, window=9), Flow[str])
    assert_type(numbers.map_async(promised), Flow[bytes])
    assert_type(numbers.map_async(lambda x: fetched(x + 1)), Flow[str])
    assert_type(numbers.buffer(4), Flow[int])
    assert_type(numbers.buffer(4, "drop_oldest"), Flow[int])
    assert_type(numbers.prefetch(4), Flow[int])
    assert_type(numbers.limit_demand(4, 2), Flow[int])


def by_operators(numbers: Flow[int]) -> None:
    """Operators without a function leave the type of items as it is."""
    assert_type(op.map_async(fetched), Callable[[Flow[int]], Flow[str]])
    assert_type(numbers | op.map_async(fetched, 4, ordered=False), Flow[str])
    assert_type(numbers | op.map_async(promised), Flow[bytes])
    assert_type(numbers | op.buffer(4, overflow="latest"), Flow[int])
    assert_type(numbers | op.prefetch(4), Flow[int])
    assert_type(numbers | op.limit_demand(4), Flow[int])


async def added(total: float, number: int) -> float:
    return total + number


async def larger(one: int, other: int) -> int:
    return max(one, other)


def one_by_one(numbers: Flow[int]) -> None:
    """What follows is as for the operators that do not await."""
    assert_type(numbers.tap_async(lambda x: fetched(x + 1)), Flow[int])
    assert_type(numbers | op.tap_async(fetched), Flow[int])
    assert_type(numbers.scan_async(added, 0.5), Flow[float])
    assert_type(numbers.scan_async(larger), Flow[int])
    assert_type(numbers | op.scan_async(added, 0.5), Flow[float])
    assert_type(numbers | op.scan_async(larger), Flow[int])
    assert_type(numbers.take_while_async(fetched, inclusive=True), Flow[int])
    assert_type(numbers | op.take_while_async(fetched), Flow[int])
    assert_type(numbers.skip_while_async(lambda x: fetched(x + 1)), Flow[int])
    assert_type(numbers | op.skip_while_async(fetched), Flow[int])


def refused(numbers: Flow[int], texts: Flow[str]) -> None:
    """What does not fit is found before it runs."""
    numbers.map_async(str)  # type: ignore[arg-type]
    texts | op.map_async(fetched)  # type: ignore[arg-type]
    numbers.buffer(4, "drop_some")  # type: ignore[arg-type]


async def text(x: int) -> str:
    return str(x)


async def odd(x: int) -> bool:
    return x % 2 == 1


def half(x: int) -> float:
    return x / 2


def at_once_by_methods(flow: Flow[int]) -> None:
    assert_type(flow.filter_async(odd), Flow[int])
    assert_type(flow.filter_async(odd, 4, ordered=False, window=8), Flow[int])
    assert_type(flow.map_thread(half), Flow[float])
    assert_type(flow.map_thread(lambda x: x.bit_length(), 2), Flow[int])
    assert_type(flow.map_process(half), Flow[float])
    assert_type(flow.map_process(half, 2, ordered=False, window=100), Flow[float])


def at_once_by_operators(flow: Flow[int]) -> None:
    assert_type(flow | op.filter_async(odd), Flow[int])
    assert_type(flow | op.map_thread(half), Flow[float])
    assert_type(flow | op.map_process(half, 0), Flow[float])


async def terminals(flow: Flow[int]) -> None:
    await flow.for_each_async(text)
    await flow.for_each_async(odd, 3)
