"""``partition`` and ``partition_by``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from penstock.operators.concurrency.overflow import strategy
from penstock.operators.fanout.broadcast import Part, PartBy, branches_of
from penstock.operators.fanout.hot import CAPACITY
from penstock.operators.fanout.keyed import Keyed
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.stream import node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.node import Node


__all__ = ["PartKey", "Predicate", "partition", "partition_by"]

T = TypeVar("T")


def partition(
    predicate: Callable[[T], object], *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], Flow[T]]]:
    """Make two flows: of the items for which ``predicate(item)`` is true, and of all others.

    Both come from one run, as those of ``broadcast`` do: when the queue of one is full, the other waits.
    """
    function_for("partition", predicate)
    positive("partition", "capacity", capacity)
    what = strategy("partition", overflow)

    def step(flow: Flow[T], /) -> tuple[Flow[T], Flow[T]]:
        def part(item: T) -> int:
            return 0 if predicate(item) else 1

        node = _keyed(Predicate, part, flow)
        yes, no = branches_of(node, 2, capacity, what, Part)
        return yes, no

    return step


def partition_by(
    key: Callable[[T], object], count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], ...]]:
    """Make ``count`` flows, and give items with equal ``key(item)`` to the same one.

    Which one that is stays the same from run to run for numbers, strings and bytes; for other keys their
    ``hash`` decides. All come from one run, as those of ``broadcast`` do.
    """
    function_for("partition_by", key)
    positive("partition_by", "count", count)
    positive("partition_by", "capacity", capacity)
    what = strategy("partition_by", overflow)

    def step(flow: Flow[T], /) -> tuple[Flow[T], ...]:
        def part(item: T) -> int:
            return _number_of(key(item)) % count

        return branches_of(_keyed(PartKey, part, flow), count, capacity, what, PartBy)

    return step


def _number_of(key: object) -> int:
    """Return a number that equal keys have in common, in every process for the usual kinds of keys."""
    if isinstance(key, str):
        return crc32(key.encode("utf-8", "surrogatepass"))
    return crc32(key) if isinstance(key, bytes) else hash(key)


def _keyed(kind: type[Keyed], function: Callable[[Any], int], flow: object) -> Node:
    return kind(inputs=(node_of("what an operator is put behind", flow),), function=function)


class Predicate(Keyed):
    """Each item with the number of its part."""

    operator = "partition"


class PartKey(Keyed):
    """Each item with the number of its part, by key."""

    operator = "partition_by"
