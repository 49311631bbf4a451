"""``sample``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from math import floor
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.timing.newest import MOST, Newest, NewestNode, NewestStage
from penstock.runtime.arguments import refuse, seconds_for
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.stage import runs
from penstock.runtime.stream import Stream, advice_for

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks


def sample(every: float | Flow[Any]) -> Same:
    """Emit the newest item each ``every`` seconds, or per item of another flow; drop the others.

    Seconds count from the first request. No item is emitted twice: if none came since the last tick, none is
    emitted. At the end the last item is emitted at once; the end of the other flow also ends this one. If
    either fails, the waiting item is not emitted, and the position stands before it. Upstream is read only
    while an item is requested.
    """
    if isinstance(every, Stream):
        other = every.node
        return attach(lambda node: SampleBy(inputs=(node, other)))
    if isinstance(every, Iterable | AsyncIterable) or callable(every):
        refuse("sample", "seconds or a Flow", every, "every", advice_for(every))
    seconds = seconds_for("sample", "every", every)
    return attach(lambda node: Sample(inputs=(node,), seconds=seconds))


@node
class Sample(NewestNode):
    """The newest item every ``seconds``, unless it was emitted before."""

    operator = "sample"

    seconds: float


@node
class SampleBy(NewestNode):
    """The newest item of the first input for each item of the second, unless it was emitted before."""

    operator = "sample"
    stateful = True

    @property
    def structure(self) -> str:
        return "(flow)"

    def bound(self, n: int) -> float:
        return NewestNode.bound(self, n) + self.inputs[1].bound(1)


@runs(Sample)
class _SampleStage(NewestStage):
    """While no item is held, a tick has no effect; so there is a deadline only while one is held."""

    def __init__(self, site: Site, node: Sample) -> None:
        super().__init__(site)
        self._seconds = node.seconds
        self._began: float | None = None
        self._tick = 0.0  # the first tick after the held item, or the first item that it replaced, came

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        self.newest.leave()
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        while not self.ended:
            if self.newest.item:
                self.time_limit.left = self._tick - loop.time()
                if self.time_limit.left <= 0 or await self.read():
                    break
            else:
                self.time_limit.left = None
                await self.read()
                ticks = floor((loop.time() - self._began) / self._seconds) + 1
                self._tick = self._began + ticks * self._seconds
        return self.newest.take()


@runs(SampleBy)
class _SampleByStage(JoinStage):
    """Its state is whether the second input, and with it this stage, has ended."""

    def __init__(self, site: Site, _: SampleBy) -> None:
        super().__init__(site)
        self.done = bool(site.state)
        self._newest = Newest(self.inputs[0].page)
        self._over = self.done

    @property
    def buffered(self) -> int:
        return super().buffered + len(self._newest.item)

    def marks(self) -> Marks:
        key, items, (signals, at) = self.site.vertex.id, self._newest.marks(), self.inputs[1].place
        before, over = self._over and not self._newest.going, self._over
        return lambda i: {**items(i), **signals(at), key: over if i else before}

    def begin(self) -> None:
        super().begin()
        self._newest.leave()

    def ask(self, n: int) -> None:  # noqa: ARG002
        items, signals = self.inputs
        items.want(MOST)
        signals.want(1)

    def collect(self, n: int) -> list[Any]:  # noqa: ARG002
        """Keep the newest item; return it if the second input has an item or one of them has ended."""
        items, signals = self.inputs
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
        self.throw()
        return any(branch.ended for branch in self.inputs)
