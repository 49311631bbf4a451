"""What the families of the catalogue share: ``Entry``, user functions, and models where itertools has none."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expression import Nothing, Some

import penstock.operators as op
from penstock.testing import laws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from penstock.abc import Ledger

INPUT = tuple(range(7))


@dataclass(frozen=True)
class Entry:
    """One flow to be checked; ``operator`` is what a note about a failing function must name."""

    name: str
    factory: Callable[..., Any]
    inputs: tuple[tuple[Any, ...], ...] = (INPUT,)
    model: Callable[..., Iterable[Any]] | None = None
    operator: str | None = None
    known: dict[str, Any] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    bound: Callable[[int], float] | None = None

    @property
    def subject(self) -> laws.Subject:
        """The subject that the laws take."""
        return laws.Subject(self.factory, self.inputs, self.model, **self.known)


def checkpointed(flow: Any, ledger: Ledger) -> Any:
    """Put a checkpoint behind a flow."""
    return flow | op.checkpoint(ledger, key="laws")


# -- user functions, none of which has a state or touches an item in another way than arithmetic -----


def add(x: int) -> int:
    return x + 100


def third(x: int) -> bool:
    return x % 3 != 0


def small(x: int) -> bool:
    return x < 4


def spread(x: int) -> list[tuple[int, int]]:
    return [(x, k) for k in range(x % 4)]


def lazily(x: int) -> Iterator[int]:
    for k in range(x % 3):
        yield x * 10 + k


def some(x: int) -> Any:
    return Some(x * 2) if x % 2 else Nothing


def total(acc: int, x: int) -> int:
    return acc + x


def lone(_: int) -> float:
    """Return the bound of what holds all there is."""
    return float("inf")


def touch(x: int) -> None:
    _ = x + 1


async def at_once(x: int) -> int:
    return x + 100


async def a_turn(x: int) -> int:
    await asyncio.sleep(0)
    return x + 100


async def a_while(x: int) -> int:
    await asyncio.sleep((x * 5) % 4)
    return x + 100


# -- models where itertools has none ----------------------------------------------------------------


def batched(size: int) -> Callable[[Iterator[Any]], Iterator[list[Any]]]:
    def model(items: Iterator[Any]) -> Iterator[list[Any]]:
        held: list[Any] = []
        for item in items:
            held.append(item)
            if len(held) == size:
                yield held
                held = []
        if held:
            yield held

    return model


def scanned(items: Iterator[int]) -> Iterator[int]:
    acc = 0
    for item in items:
        acc = total(acc, item)
        yield acc


def tapped(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        touch(item)
        yield item


def changed(items: Iterator[int]) -> Iterator[int]:
    last: list[int] = []
    for item in items:
        key = item // 3
        if last != [key]:
            last = [key]
            yield item


def chosen(items: Iterator[int]) -> Iterator[int]:
    return (x * 2 for x in items if x % 2)


def taken(count: int) -> Callable[[Iterator[Any]], Iterator[Any]]:
    return lambda items: itertools.islice(items, count)
