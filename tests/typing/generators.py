"""What the type checkers must infer about generators; checked, never run."""

from __future__ import annotations

import asyncio
from typing import assert_type

from penstock import Flow, from_callable, from_future, from_queue, iterate, range_, unfold


async def fetch(cursor: int) -> tuple[str, int] | None:
    return ("row", cursor + 1) if cursor < 3 else None


def step(state: int) -> tuple[str, int] | None:
    return (str(state), state + 1) if state < 3 else None


async def following(x: int) -> int:
    return x + 1


async def text() -> str:
    return ""


def from_a_state() -> None:
    assert_type(unfold(0, step), Flow[str])
    assert_type(unfold(0, fetch), Flow[str])
    assert_type(unfold(0, lambda n: (str(n), n + 1) if n < 3 else None), Flow[str])
    assert_type(iterate(1, lambda n: n * 2), Flow[int])
    assert_type(iterate(1, following), Flow[int])
    assert_type(range_(3), Flow[int])
    assert_type(range_(1, 9, 2), Flow[int])


def from_asyncio(task: asyncio.Task[str], queue: asyncio.Queue[bytes]) -> None:
    assert_type(from_callable(text), Flow[str])
    assert_type(from_callable(lambda: 3), Flow[int])
    assert_type(from_future(task), Flow[str])
    assert_type(from_future(text()), Flow[str])
    assert_type(from_queue(queue), Flow[bytes])
    assert_type(from_queue(queue, sentinel=None), Flow[bytes])
