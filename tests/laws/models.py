"""Operators in plain Python: each model takes iterators and yields what the operator must deliver.

A model that has the operator's parameters takes them first and returns the function of iterators.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .functions import touch

Model = Callable[[Iterator[Any]], Iterator[Any]]


def unbounded(_: int) -> float:
    """Return the bound of an operator that may hold all items."""
    return float("inf")


# -- single items -----------------------------------------------------------------------------------


def scanned(function: Callable[[Any, Any], Any], initial: Any) -> Model:
    def model(items: Iterator[Any]) -> Iterator[Any]:
        acc = initial
        for item in items:
            acc = function(acc, item)
            yield acc

    return model


def mapped_with_state(
    initial: Any, step: Callable[[Any, Any], Any], finish: Callable[[Any], Iterable[Any]] | None
) -> Model:
    """Model ``stateful``."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        state = initial
        for item in items:
            state, outputs = step(state, item)
            yield from outputs
        if finish is not None:
            yield from finish(state)

    return model


def tapped(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        touch(item)
        yield item


def chosen(items: Iterator[int]) -> Iterator[int]:
    return (x * 2 for x in items if x % 2)


def changed(key: Callable[[Any], Any]) -> Model:
    """Model ``distinct_until_changed``."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        last: list[Any] = []
        for item in items:
            if last != [key(item)]:
                last = [key(item)]
                yield item

    return model


def unseen(key: Callable[[Any], Any], capacity: int) -> Model:
    """Model ``distinct``, which forgets the key that it has not met for the longest time."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        met: OrderedDict[Any, None] = OrderedDict()
        for item in items:
            known = key(item) in met
            met[key(item)] = None
            met.move_to_end(key(item))
            if len(met) > capacity:
                met.popitem(last=False)
            if not known:
                yield item

    return model


def listed(items: Iterator[Any]) -> Iterator[list[Any]]:
    yield list(items)


def or_default(default: Any) -> Model:
    def model(items: Iterator[Any]) -> Iterator[Any]:
        empty = True
        for item in items:
            empty = False
            yield item
        if empty:
            yield default

    return model


# -- shape ------------------------------------------------------------------------------------------


def taken(count: int) -> Model:
    return lambda items: itertools.islice(items, count)


def through_first(function: Callable[[Any], object]) -> Model:
    """Model ``take_while(inclusive=True)``."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            goes_on = function(item)
            yield item
            if not goes_on:
                return

    return model


def last(count: int) -> Model:
    """Model ``take_last``."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        yield from deque(items, count)

    return model


def all_but_last(count: int) -> Model:
    """Model ``skip_last``."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        held: deque[Any] = deque()
        for item in items:
            held.append(item)
            if len(held) > count:
                yield held.popleft()

    return model


def flat(function: Callable[[Any], Iterable[Any]]) -> Model:
    """Model ``flat_map``."""
    return lambda items: itertools.chain.from_iterable(map(function, items))


def expanded(function: Callable[[Any], Iterable[Any]]) -> Model:
    """Model ``expand``, breadth-first for each item."""

    def model(items: Iterator[Any]) -> Iterator[Any]:
        for root in items:
            line = deque([root])
            yield root
            while line:
                for found in function(line.popleft()):
                    yield found
                    line.append(found)

    return model


def batched(size: int) -> Model:
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


def lined(items: Iterator[bytes], separator: bytes = b"") -> Iterator[str]:
    """Model ``lines``; it keeps a ``separator``."""
    held = b""
    for item in items:
        *ended, held = (held + item).split(separator or b"\n")
        yield from ((line + separator if separator else line.removesuffix(b"\r")).decode() for line in ended)
    if held:
        yield held.decode()


def weighed(weight: Callable[[Any], float], limit: float) -> Model:
    """Model ``batch(by=)``."""

    def model(items: Iterator[Any]) -> Iterator[list[Any]]:
        held: list[Any] = []
        for item in items:
            if held and sum(map(weight, [*held, item])) > limit:
                yield held
                held = []
            held.append(item)
            if sum(map(weight, held)) >= limit:
                yield held
                held = []
        if held:
            yield held

    return model


def windows(size: int, step: int, *, partial: bool) -> Model:
    """Model ``sliding``."""

    def model(items: Iterator[Any]) -> Iterator[list[Any]]:
        held: list[Any] = []
        first = 0
        for number, item in enumerate(items):
            held += [item] if number >= first else []
            if len(held) == size:
                yield held[:]
                first += step
                del held[:step]
        while held and partial:
            yield held[:]
            del held[:step]

    return model


def split_at_fives(keep: str | None) -> Model:
    """Model ``split`` at the multiples of 5."""

    def model(items: Iterator[int]) -> Iterator[list[int]]:
        held: list[int] = []
        for item in items:
            if item % 5:
                held.append(item)
            elif keep == "before":
                if held:
                    yield held
                held = [item]
            else:
                yield [*held, item] if keep else held
                held = []
        if held:
            yield held

    return model


# -- several inputs ---------------------------------------------------------------------------------


def in_turn(*inputs: Iterable[Any]) -> Iterator[Any]:
    """Model ``interleave``: yield one item of each input in turn."""
    turns = [iter(one) for one in inputs]
    while turns:
        for one in tuple(turns):
            try:
                yield next(one)
            except StopIteration:
                turns.remove(one)


def sorted_down(key: Callable[[Any], Any]) -> Callable[..., Iterator[Any]]:
    """Model ``merge_sorted`` by a key, reversed.

    ``heapq.merge`` alone does not read the key of a last remaining input, as the operator does.
    """

    def model(*inputs: Iterator[Any]) -> Iterator[Any]:
        pairs = (((key(x), x) for x in one) for one in inputs)
        return (x for _, x in heapq.merge(*pairs, key=lambda pair: pair[0], reverse=True))

    return model


def equal(same: Callable[[Any, Any], bool]) -> Callable[[Iterator[Any], Iterator[Any]], Iterator[bool]]:
    """Model ``sequence_equal``, which reads no further than the first difference."""

    def model(one: Iterator[Any], other: Iterator[Any]) -> Iterator[bool]:
        gone = object()
        pairs = itertools.zip_longest(one, other, fillvalue=gone)
        yield all(gone not in (x, y) and same(x, y) for x, y in pairs)

    return model


def with_only(items: Iterator[Any], only: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Pair each item with the one item of the other input."""
    other = next(only)
    return ((item, other) for item in items)
