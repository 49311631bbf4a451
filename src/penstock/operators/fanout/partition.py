"""The operators ``partition`` and ``partition_by``: several flows, each with a part of the items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from zlib import crc32

from penstock.operators.fanout.broadcast import Branch, BranchRun, attach_branches
from penstock.operators.fanout.keyed import Keyed
from penstock.operators.fanout.stuck import PATIENCE
from penstock.operators.fanout.subscriber import CAPACITY, limits
from penstock.runtime.arguments import function_for, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.flow import Flow
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.runtime.node import Node

T = TypeVar("T")


def partition(
    predicate: Callable[[T], object],
    *,
    capacity: int = CAPACITY,
    overflow: OverflowName = "wait",
    patience: float | None = PATIENCE,
) -> Callable[[Flow[T]], tuple[Flow[T], Flow[T]]]:
    """Return two flows: the items for which ``predicate(item)`` is true, and the other items.

    Both share one run, like the flows of ``broadcast``: when the queue of one is full, the other waits.
    """
    function_for("partition", predicate, "predicate")

    def numbered(node: Node) -> Node:
        return PartitionKey(inputs=(node,), function=predicate)

    step = attach_branches(numbered, Part, 2, limits("partition", capacity, overflow, patience))
    return cast("Callable[[Flow[T]], tuple[Flow[T], Flow[T]]]", step)


def partition_by(
    key: Callable[[T], object],
    count: int,
    *,
    capacity: int = CAPACITY,
    overflow: OverflowName = "wait",
    patience: float | None = PATIENCE,
) -> Callable[[Flow[T]], tuple[Flow[T], ...]]:
    """Return ``count`` flows; items with equal ``key(item)`` go to the same flow.

    For numbers, strings and bytes the choice is the same in every run; for other keys it depends on their
    ``hash``. All flows share one run, like those of ``broadcast``.
    """
    function_for("partition_by", key, "key")
    positive("partition_by", "count", count)

    def numbered(node: Node) -> Node:
        return PartitionByKey(inputs=(node,), function=key, number=count)

    return attach_branches(numbered, PartBy, count, limits("partition_by", capacity, overflow, patience))


def _stable_hash(key: object) -> int:
    """Return the same number for equal keys, and in every process for numbers, strings and bytes."""
    if isinstance(key, str):
        return crc32(key.encode("utf-8", "surrogatepass"))
    return crc32(key) if isinstance(key, bytes) else hash(key)


class PartitionKey(Keyed):
    """Pairs each item with the number of its part, for ``partition``."""

    operator = "partition"

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = (0 if f{k}(x) else 1, x)"]


class PartitionByKey(Keyed):
    """Pairs each item with the number of its part, for ``partition_by``; ``number`` is how many there are."""

    operator = "partition_by"
    number_is = "count"
    helpers: ClassVar[Mapping[str, Any]] = {"stable_hash": _stable_hash}

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = (stable_hash(f{k}(x)) % n{k}, x)"]


class PartitionRun(BranchRun):
    """The shared run of a partition: items come with the number of their branch."""

    def wanted(self) -> int:
        return min(super().wanted(), self.pace.size)

    def distribute(self, items: list[Any]) -> None:
        parts: dict[int, list[Any]] = {}
        for index, item in items:
            parts.setdefault(index, []).append(item)
        for index, part in parts.items():
            self.branches[index].put(part)


class Part(Branch):
    """One of the flows that ``partition`` returns."""

    operator = "partition"
    kind = PartitionRun


class PartBy(Part):
    """One of the flows that ``partition_by`` returns."""

    operator = "partition_by"
