"""The operator ``batch``, which gathers items in lists of one size."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.operators.shape.batch_lists import BatchBy, BatchStrict
from penstock.runtime.arguments import assembled_at, flag_for, function_for, positive, seconds_for
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import Order
from penstock.runtime.run import LARGEST_SLICE, Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")


@overload
def batch(size: int, within: float | None = None) -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def batch(size: None = None, *, within: float) -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def batch(size: int, *, strict: bool) -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def batch(size: float, *, by: Callable[[T], float]) -> Callable[[Flow[T]], Flow[list[T]]]: ...
def batch(
    size: float | None = None,
    within: float | None = None,
    *,
    by: Callable[[Any], float] | None = None,
    strict: bool = False,
) -> Any:
    """Gather lists of ``size`` items; the last list may be shorter.

    A position stands before the first item of an unfinished list, so no item is stored. When upstream
    fails, the unfinished list is not delivered; a resumed run reads its items again. A run that is drained
    delivers it.

    Args:
        size: How many items a full list has. Without a size, ``within`` alone ends a list.
        within: Seconds, counted from the arrival of a list's first item, after which the list is delivered
            even if it is not full. A list is never empty. With ``within``, up to one full list is gathered
            ahead of demand, and the flow's order is *timed*.
        by: Returns the weight of an item, a number that is not negative, such as its length in bytes. Then
            ``size`` is the largest sum of the weights in a list. A heavier item has a list of its own. A run
            that is drained does not deliver the unfinished list.
        strict: Whether a shorter list at the end is a ``ValueError``, as in ``itertools.batched``. A run
            that is drained does not deliver it.
    """
    if size is None and within is None:
        msg = f"batch at {assembled_at()} needs a size, or seconds as batch(within=…)"
        raise GraphError(msg)
    flag_for("batch", strict=strict)
    chosen = (by is not None) + strict
    if chosen + (within is not None) > 1 or (size is None and chosen):
        msg = f"batch at {assembled_at()}: pass only one of by, strict and within; by and strict need a size"
        raise GraphError(msg)
    if size is not None:
        positive("batch", "size", size, least=1 if by is None else 0, whole=by is None)
    count: Any = size
    if by is not None:
        function_for("batch", by, "by")
        return attach(lambda node: BatchBy(inputs=(node,), function=by, size=count))
    if strict:
        return attach(lambda node: BatchStrict(inputs=(node,), size=count, step=count))
    if within is None:
        return attach(lambda node: Batch(inputs=(node,), number=count))
    within = seconds_for("batch", "within", within, zero=True)
    return attach(lambda node: BatchWithin(inputs=(node,), size=count, within=within))


class Batch(Element):
    """Gathers lists of ``number`` items; the last may be shorter."""

    operator = "batch"
    number_is = "size"
    reshapes = gathers = True

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n * self.number) + self.number - 1


@node
class BatchWithin(Node):
    """Gathers lists of up to ``size`` items that arrived within ``within`` seconds."""

    operator = "batch"
    own_order = Order.TIMED

    size: int | None
    within: float

    def bound(self, n: int) -> float:  # noqa: ARG002  a request returns one list
        if self.size is None:
            return math.inf
        return self.inputs[0].bound(self.size) + self.size  # the list delivered, and the next one

    def start(self, site: Site) -> Stage[Any]:
        return _BatchWithinStage(site, self)


class _Gathering(Feeder):
    """Holds up to one list. Without a size, it requests nothing after the deadline of its list."""

    def __init__(self, stage: Upstream[Any], node: BatchWithin, ready: Callable[[], None]) -> None:
        super().__init__(stage, LARGEST_SLICE if node.size is None else node.size, ready)
        self.size = math.inf if node.size is None else node.size
        self.deadline: float | None = None
        self._within = node.within
        self._in_time: int | None = None  # how many of the items came before the deadline, if not all

    def room(self) -> int:
        if self.size < math.inf:
            return super().room()
        return 0 if self.over() else LARGEST_SLICE

    def put(self, items: list[Any]) -> None:
        if self._in_time is None and self.size == math.inf and self.over():
            self._in_time = len(self.held)
        super().put(items)

    def over(self) -> bool:
        """Return whether the deadline of the list has passed."""
        return self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline

    def begin(self) -> None:
        """Set the deadline if there is an item of a new list."""
        if self.deadline is None and self.held:
            self.deadline = asyncio.get_running_loop().time() + self._within

    def take(self) -> list[Any]:
        """Remove and return the list."""
        items = self.held.take(len(self.held) if self._in_time is None else self._in_time)
        self._in_time = self.deadline = None
        self.begin()
        return items


class _BatchWithinStage(Stage[Any]):
    """A task gathers up to one list ahead of demand; a request waits until the list is full or due."""

    def __init__(self, site: Site, node: BatchWithin) -> None:
        super().__init__(site)
        self._ready = Gate(self.run, own=True)
        self._feeder = _Gathering(site.input(), node, self._notice)
        self._last = 0  # how many items the last list had

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._feeder.stage

    @property
    def buffered(self) -> int:
        return len(self._feeder.held)

    def _notice(self) -> None:
        self._feeder.begin()
        self._ready.open()

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002  a request returns one list
        feeder = self._feeder
        feeder.held.leave()  # a position taken from now on stands after the last list
        self._last = 0
        if self.run.strained():
            await self.run.breathe()
        while not self._due():
            if feeder.ended:
                if feeder.failure is not None:
                    feeder.failure.throw()
                return []
            if feeder.held or not await feeder.ask():
                feeder.feed()
                await self._ready.wait(feeder.deadline)
            else:
                feeder.begin()
        items = feeder.take()
        self._last = len(items)
        if not feeder.ended:
            feeder.feed()
        return [items]

    def _due(self) -> bool:
        feeder = self._feeder
        count = len(feeder.held)
        if feeder.ended:
            return count > 0 and (feeder.failure is None or count >= feeder.size)
        return count >= feeder.size or feeder.over()

    def marks(self) -> Marks:
        at, count = self._feeder.held.marks(), self._last
        return lambda i: at(count if i else 0)

    async def _stop(self) -> None:
        await self._feeder.stop()
