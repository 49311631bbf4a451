"""``sample``."""

from __future__ import annotations

import asyncio
from math import floor
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.timing.newest import GULP, Newest, SamplingNode, SamplingStage
from penstock.runtime.arguments import seconds_for
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.stream import Stream

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["Sample", "SampleBy", "sample"]


def sample(every: float | Flow[Any]) -> Same:
    """Let the newest item pass every so many seconds, or whenever another flow gives an item; drop the rest.

    Seconds are counted from the first request. No item passes twice: where none came in between, none
    passes. At the end the last item passes at once; the end of the other flow ends this one too. If
    either fails, the item that waits does not pass, and a position stands before it. Upstream is read
    only while an item is asked for.
    """
    if isinstance(every, Stream):
        other = every.node
        return attach(lambda node: SampleBy(inputs=(node, other)))
    seconds = seconds_for("sample", "every", every)
    return attach(lambda node: Sample(inputs=(node,), seconds=seconds))


@node
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


@node
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
