"""What ``batch`` is with ``within=``: lists of what arrived within some seconds."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.fusion.element import Element
from penstock.operators.shape.batch_lists import weight_of
from penstock.runtime.feeder import Feeder
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import Order
from penstock.runtime.run import LARGEST_SLICE, Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from penstock.runtime.upstream import Marks, Upstream


@node
class BatchWithin(Node):
    """Gathers lists of up to ``size`` items that arrived within ``within`` seconds.

    If they are ``weighed``, the inputs are pairs of an item and its weight, and ``size`` is a sum of weights.
    """

    operator = "batch"
    own_order = Order.TIMED

    size: int | None
    within: float
    weighed: bool = False

    def bound(self, n: int) -> float:  # noqa: ARG002  a request returns one list
        if self.size is None or self.weighed:
            return math.inf
        return self.inputs[0].bound(self.size) + self.size  # the list delivered, and the next one

    def start(self, site: Site) -> Stage[Any]:
        return _BatchWithinStage(site, self)


class Weighed(Element):
    """Pairs each item with its weight, ``function(item)``."""

    operator = "batch"
    one_to_one = True
    helpers: ClassVar[Mapping[str, Any]] = {"weight_of": weight_of}

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = (x, weight_of(f{k}(x)))"]


class _Gathering(Feeder):
    """Holds up to one list. Without a size, it requests nothing after the deadline of its list."""

    def __init__(self, stage: Upstream[Any], node: BatchWithin, ready: Callable[[], None]) -> None:
        super().__init__(stage, LARGEST_SLICE if node.size is None else node.size, ready)
        self.size = math.inf if node.size is None else node.size
        self.deadline: float | None = None
        self._within = node.within
        self._in_time: int | None = None  # how many of the items came before the deadline, if not all

    @property
    def full(self) -> bool:
        """Whether the list takes no more items."""
        return len(self.held) >= self.size

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


class _Weighing(_Gathering):
    """The same for a list that ends by weight. It asks for as many items as the list has so far."""

    def __init__(self, stage: Upstream[Any], node: BatchWithin, ready: Callable[[], None]) -> None:
        super().__init__(stage, node, ready)
        self._weights: deque[float] = deque()  # of the items behind the list
        self._sum: float = 0
        self._count = 0  # how many items the list has
        self._full = False

    @property
    def full(self) -> bool:
        return self._full

    def room(self) -> int:
        return 0 if self._full else min(max(self._count, 1), LARGEST_SLICE)

    def put(self, items: list[Any]) -> None:
        super().put(items)
        self._weights.extend(weight for _, weight in items)
        self._gather()

    def _gather(self) -> None:
        """Count the items of the list, up to the first one that is too much for it."""
        while self._weights and not self._full:
            if self._count and self._sum + self._weights[0] > self.size:
                self._full = True
                return
            self._sum += self._weights.popleft()
            self._count += 1
            self._full = self._sum >= self.size

    def take(self) -> list[Any]:
        pairs = self.held.take(self._count)
        self._sum, self._count, self._full, self.deadline = 0, 0, False, None
        self._gather()
        self.begin()
        return [item for item, _ in pairs]


class _BatchWithinStage(Stage[Any]):
    """A task gathers up to one list ahead of demand; a request waits until the list is full or due."""

    def __init__(self, site: Site, node: BatchWithin) -> None:
        super().__init__(site)
        self._ready = Gate(self.run, own=True)
        kind = _Weighing if node.weighed else _Gathering
        self._feeder = kind(site.input(), node, self._notice)
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
        if feeder.ended:
            return len(feeder.held) > 0 and (feeder.failure is None or feeder.full)
        return feeder.full or feeder.over()

    def marks(self) -> Marks:
        at, count = self._feeder.held.marks(), self._last
        return lambda i: at(count if i else 0)

    async def _stop(self) -> None:
        await self._feeder.stop()
