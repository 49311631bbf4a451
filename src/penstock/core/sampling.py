"""Stages that keep only the newest item of those that come too fast: ``debounce`` and ``sample``.

Upstream is read only while an item is wanted, like everywhere. An item that a newer one replaces is
dropped, and settled: a position stands before the newest item that is held. When upstream fails, what is
held does not go out, so a resumed run reads it again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Any

from penstock.core.branches import JoinStage
from penstock.core.node import Node, Order
from penstock.core.stage import Stage
from penstock.core.timing import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks

__all__ = ["Debounce", "Sample", "SampleBy"]

GULP = 64
"""How many items to ask for at once, of which the last one is kept."""


class Newest:
    """The newest item that has come and not gone out, and where it stands."""

    __slots__ = ("_before", "_here", "item")

    def __init__(self, start: Marks) -> None:
        self.item: list[Any] = []
        """The item, if there is one."""
        self._here: tuple[Marks, int] = (start, 0)  # before the item, or behind what went out
        self._before: tuple[Marks, int] | None = None  # before the item that went out last

    def put(self, items: list[Any], page: Marks, at: int = 0) -> int:
        """Keep the last of ``items``, the first of which stands at ``at`` in ``page``; count the others."""
        dropped = len(items) - 1 + len(self.item)
        self.item = items[-1:]
        self._here = page, at + len(items) - 1
        return dropped

    def end(self, page: Marks) -> None:
        """Move the position to upstream's end, if nothing stands before that."""
        if not self.item:
            self._here = page, 0

    @property
    def going(self) -> bool:
        """Whether an item went out with the last chunk."""
        return self._before is not None

    def leave(self) -> None:
        """Take note that what went out has arrived."""
        self._before = None

    def take(self) -> list[Any]:
        """Let the item go out, if there is one."""
        items, self.item = self.item, []
        if items:
            self._before = self._here
            self._here = self._here[0], self._here[1] + 1
        return items

    def marks(self) -> Marks:
        """Return positions inside the last chunk, which is at most one item."""
        (page, at), (before, offset) = self._here, self._before or self._here
        return lambda i: page(at) if i else before(offset)


class SamplingNode(Node):
    """What the nodes share."""

    own_order = Order.LOSSY

    def bound(self, n: int) -> float:
        """Return M_up(64) + n."""
        return self.inputs[0].bound(GULP) + n


class SamplingStage(Stage[Any]):
    """A stage that reads one upstream until it is time for the newest item to go out."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.upstream = site.input()
        self.newest = Newest(self.upstream.marks())
        self.patience = Patience(None)
        self.ended = False

    @property
    def buffered(self) -> int:
        """One item, if one is held."""
        return len(self.newest.item)

    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield the one upstream."""
        yield self.upstream

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        return self.newest.marks()

    async def read(self) -> bool:
        """Ask upstream once; true if patience ran out before it answered."""
        if self.run.strained():
            await self.run.breathe()
        items = await self.patience.ask(self.upstream, GULP)
        if items:
            self.dropped += self.newest.put(items, self.upstream.marks())
        elif items is not None:
            self.ended = True
            self.newest.end(self.upstream.marks())
        return items is None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Debounce(SamplingNode):
    """An item goes out when no other has come for ``seconds``."""

    operator = "debounce"

    seconds: float

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _DebounceStage(site, self.seconds)


class _DebounceStage(SamplingStage):
    def __init__(self, site: Site, seconds: float) -> None:
        super().__init__(site)
        self._seconds = seconds

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        self.newest.leave()
        while not self.ended:
            if await self.read():
                break
            self.patience.left = self._seconds  # a newer item: quiet begins again
        self.patience.left = None
        return self.newest.take()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample(SamplingNode):
    """The newest item every ``seconds``, if there is one that has not gone out."""

    operator = "sample"

    seconds: float

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; time is counted from the first request."""
        return _SampleStage(site, self.seconds)


class _SampleStage(SamplingStage):
    """Where nothing is held, a tick changes nothing: so there is a deadline only where something is."""

    def __init__(self, site: Site, seconds: float) -> None:
        super().__init__(site)
        self._seconds = seconds
        self._began: float | None = None
        self._tick = 0.0  # the first one behind the moment at which the held item, or one it replaced, came

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        self.newest.leave()
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        while not self.ended:
            if self.newest.item:
                self.patience.left = self._tick - loop.time()
                if self.patience.left <= 0 or await self.read():
                    break
            else:
                self.patience.left = None
                await self.read()
                ticks = floor((loop.time() - self._began) / self._seconds) + 1
                self._tick = self._began + ticks * self._seconds
        return self.newest.take()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleBy(SamplingNode):
    """The newest item of the first input, if it has not gone out, whenever the second gives one."""

    operator = "sample"
    stateful = True

    @property
    def structure(self) -> str:
        """Part of the shape: the other form has no state."""
        return "(flow)"

    def bound(self, n: int) -> float:
        """Return M(64) + n of the first input and M(1) of the second."""
        return SamplingNode.bound(self, n) + self.inputs[1].bound(1)

    def start(self, site: Site) -> Stage[Any]:
        """Start both inputs; their tasks start with the first request."""
        return _SampleByStage(site)


class _SampleByStage(JoinStage):
    """Its state is whether the second input has ended, and with it this stage."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.done = bool(site.state)
        self._newest = Newest(self.branches[0].page)
        self._over = self.done

    @property
    def buffered(self) -> int:
        """What the inputs have given, and the item held."""
        return super().buffered + len(self._newest.item)

    def marks(self) -> Marks:
        """Return positions inside the last chunk, which is at most one item."""
        key, items, (signals, at) = self.site.vertex.id, self._newest.marks(), self.branches[1].place
        before, over = self._over and not self._newest.going, self._over
        return lambda i: {**items(i), **signals(at), key: over if i else before}

    def begin(self) -> None:
        """Take note that what was delivered before has arrived."""
        super().begin()
        self._newest.leave()

    def ask(self, n: int) -> None:  # noqa: ARG002
        """Let both inputs go on."""
        items, signals = self.branches
        items.want(GULP)
        signals.want(1)

    def collect(self, n: int) -> list[Any]:  # noqa: ARG002
        """Keep what has come; return it if it is time for that."""
        items, signals = self.branches
        if self._over:
            return []
        if items.left:
            page, at = items.place
            self.dropped += self._newest.put(items.take(items.left), page, at)
        elif items.ended and not items.failed:
            self._newest.end(items.page)
        ended = (items.ended and not items.failed) or (signals.ended and not signals.failed)
        self._over = signals.over
        return self._newest.take() if signals.take(signals.left) or ended else []

    def over(self) -> bool:
        """Say whether an input has ended."""
        for branch in self.branches:
            if branch.failed and branch.failure is not None:
                branch.failure.throw()
        return any(branch.ended for branch in self.branches)
