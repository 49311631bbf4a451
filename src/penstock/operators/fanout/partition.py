"""The operators ``partition`` and ``partition_by``: several flows, each with a part of the items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from penstock.operators.fanout.broadcast import Branch, BranchRun, branches
from penstock.operators.fanout.keyed import Keyed
from penstock.operators.fanout.shared_run import CAPACITY, overflow_of
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.stream import node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.node import Node


__all__ = ["partition", "partition_by"]

T = TypeVar("T")


def partition(
    predicate: Callable[[T], object], *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], Flow[T]]]:
    """Return two flows: the items for which ``predicate(item)`` is true, and the other items.

    Both share one run, like the flows of ``broadcast``: when the queue of one is full, the other waits.
    """
    function_for("partition", predicate)
    chosen = overflow_of("partition", capacity, overflow)

    def step(flow: Flow[T], /) -> tuple[Flow[T], Flow[T]]:
        root = _numbered(PartitionKey, lambda item: 0 if predicate(item) else 1, flow)
        yes, no = branches(Part, root, 2, capacity, chosen)
        return yes, no

    return step


def partition_by(
    key: Callable[[T], object], count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait"
) -> Callable[[Flow[T]], tuple[Flow[T], ...]]:
    """Return ``count`` flows; items with equal ``key(item)`` go to the same flow.

    For numbers, strings and bytes the choice is the same in every run; for other keys it depends on their
    ``hash``. All flows share one run, like those of ``broadcast``.
    """
    function_for("partition_by", key)
    positive("partition_by", "count", count)
    chosen = overflow_of("partition_by", capacity, overflow)

    def step(flow: Flow[T], /) -> tuple[Flow[T], ...]:
        root = _numbered(PartitionByKey, lambda item: _stable_hash(key(item)) % count, flow)
        return branches(PartBy, root, count, capacity, chosen)

    return step


def _stable_hash(key: object) -> int:
    """Return the same number for equal keys, and in every process for numbers, strings and bytes."""
    if isinstance(key, str):
        return crc32(key.encode("utf-8", "surrogatepass"))
    return crc32(key) if isinstance(key, bytes) else hash(key)


def _numbered(kind: type[Keyed], function: Callable[[Any], int], flow: object) -> Node:
    return kind(inputs=(node_of("what an operator is put behind", flow),), function=function)


class PartitionKey(Keyed):
    """Pairs each item with the number of its part, for ``partition``."""

    operator = "partition"


class PartitionByKey(Keyed):
    """Pairs each item with the number of its part, for ``partition_by``."""

    operator = "partition_by"


class PartitionRun(BranchRun):
    """The shared run of a partition: items come with the number of their branch."""

    def distribute(self, items: list[Any]) -> None:
        parts: list[list[Any]] = [[] for _ in self.branches]
        for index, item in items:
            parts[index].append(item)
        for branch, part in zip(self.branches, parts, strict=True):
            if part:
                branch.put(part)


class Part(Branch):
    """One of the flows that ``partition`` returns."""

    operator = "partition"
    kind = PartitionRun


class PartBy(Part):
    """One of the flows that ``partition_by`` returns."""

    operator = "partition_by"
