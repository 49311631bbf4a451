"""User functions of the entries and the random graphs. None has state; all do arithmetic on items only."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import TYPE_CHECKING, Any

from expression import Nothing, Some

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ADD = functools.partial(operator.add, 100)
"""Does what ``add`` does, in worker processes, which cannot import this module."""


def add(x: int) -> int:
    return x + 100


async def at_once(x: int) -> int:
    return x + 100


async def a_turn(x: int) -> int:
    await asyncio.sleep(0)
    return x + 100


async def a_while(x: int) -> int:
    await asyncio.sleep((x * 5) % 4)
    return x + 100


def third(x: int) -> bool:
    return x % 3 != 0


async def third_at_once(x: int) -> bool:
    return third(x)


async def third_after_a_turn(x: int) -> bool:
    await asyncio.sleep(0)
    return third(x)


async def third_after_a_while(x: int) -> bool:
    await asyncio.sleep((x * 5) % 4)
    return third(x)


def small(x: int) -> bool:
    return x < 4


def five(x: int) -> bool:
    return not x % 5


def half(x: int) -> int:
    return x // 2


def square(x: int) -> int:
    return (x * x) % 7


def last_digit(x: int) -> int:
    return x % 10


def same_digit(x: int, y: int) -> bool:
    return x % 10 == y % 10


def total(acc: int, x: int) -> int:
    return acc + x


def growing(held: list[int], x: int) -> tuple[list[int], Iterator[int]]:
    """Hold back two items; yield the first of three, and all of them where the new one is a multiple of 5."""
    held = [*held, x + 0]
    if not x % 5:
        return [], iter(held)
    return (held[1:], iter(held[:1])) if len(held) > 2 else (held, iter(()))


def remaining(held: list[int]) -> Iterator[int]:
    """Yield the items that ``growing`` holds back, and their number."""
    yield from held
    yield len(held)


def touch(x: int) -> None:
    _ = x + 1


def touched(x: int) -> int:
    return x + 0


async def shouted(items: AsyncIterator[int]) -> AsyncIterator[int]:
    async for item in items:
        await asyncio.sleep(0)
        yield add(item)


async def first_three(items: AsyncIterator[int]) -> AsyncIterator[int]:
    count = 0
    async for item in items:
        yield add(item)
        count += 1
        if count == 3:
            return


async def paired(items: AsyncIterator[int]) -> AsyncIterator[list[int]]:
    held: list[int] = []
    async for item in items:
        held.append(item)
        if len(held) == 2:
            yield held
            held = []
    if held:
        yield held


def piece(x: int) -> bytes:
    """Return two bytes of a text; they begin and end within characters and line ends."""
    return "é\r\na\n€\r\r\n\n".encode()[2 * (x + 0) : 2 * x + 2]


def some(x: int) -> Any:
    return Some(x * 2) if x % 2 else Nothing


def spread(x: int) -> list[tuple[int, int]]:
    return [(x, k) for k in range(x % 4)]


def twice(x: int) -> list[int]:
    return [x + 100, x + 200]


def lazily(x: int) -> Iterator[int]:
    for k in range(x % 3):
        yield x * 10 + k


def links(x: int) -> list[int]:
    return [x * 10 + k for k in range(x % 3)] if x < 100 else []


async def links_later(x: int) -> list[int]:
    await asyncio.sleep(x % 2)
    return links(x)
